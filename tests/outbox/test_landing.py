"""What each answer means: for its row, for its lane, for the record."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from clarion.lib.retry import MAILING
from clarion.lib.sending import InDoubt, Misconfigured, NotSent, Receipt, Refused, SendError, Throttled
from clarion.models import GatewayAccount, State
from clarion.models.moves import Move
from clarion.models.outgoing import FIRST_TRY, NEXT, RETRY, URGENT, Held, Reason
from clarion.outbox.landing import Effects, Landing, TooLate, effects, name
from tests.outbox.rounds import departure

NOW = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
FAR, NEAR = NOW + timedelta(hours=1), NOW + timedelta(seconds=1)
OURS = Held(id=1, state=State.SENDING, reason="", tenant_id=2, owner_id=3, worker_id=7, tries=4)
LAST_TRY = MAILING.most_tries - 1

TAKEN = Receipt(provider_id="abc", code="0")
REFUSED = Refused("no such number", code="400")
MISCONFIGURED = Misconfigured("who are you", code="401")
THROTTLED = Throttled("slower", code="429", retry_after=30)
NOT_SENT = NotSent("nobody there", code="connect")
IN_DOUBT = InDoubt("no answer", code="timeout")


def landing(
    result: Receipt | SendError | TooLate,
    *,
    deadline: datetime = FAR,
    counted: int = 0,
    until: datetime | None = None,
    is_trial: bool = False,
    priority: int = FIRST_TRY,
) -> Landing:
    left = departure(
        GatewayAccount(lane_id=9),
        deadline,
        id=OURS.id,
        try_number=OURS.tries,
        counted_tries=counted,
        until=until or deadline,
        is_trial=is_trial,
        priority=priority,
    )
    return Landing(left, result, started_at=NOW - timedelta(seconds=1), ended_at=NOW)


def decide(*landings: Landing, held: Held | None = OURS, policy: str = "resend") -> Effects:
    rows = {} if held is None else {held.id: held}
    rng = random.Random(1)
    return effects(landings, rows, worker_id=7, policies={9: policy}, now=NOW, rng=rng)


def only_move(*landings: Landing, policy: str = "resend") -> Move:
    (step,) = decide(*landings, policy=policy).moves
    return step


# What came back, policies, the deadline, counted tries before -> the state, the reason.
FINAL = [
    (TAKEN, ("resend", "hold"), (FAR, NEAR), 0, State.ACCEPTED, ""),
    (REFUSED, ("resend", "hold"), (FAR, NEAR), 0, State.FAILED, Reason.REFUSED),
    (TooLate(), ("resend", "hold"), (FAR, NEAR), 0, State.EXPIRED, Reason.WINDOW_OVER),
    (MISCONFIGURED, ("resend", "hold"), (NEAR,), 0, State.EXPIRED, Reason.WINDOW_OVER),
    (THROTTLED, ("resend", "hold"), (NEAR,), 0, State.EXPIRED, Reason.WINDOW_OVER),
    (NOT_SENT, ("resend", "hold"), (NEAR,), 0, State.EXPIRED, Reason.NO_TIME_TO_RETRY),
    (NOT_SENT, ("resend", "hold"), (FAR, NEAR), LAST_TRY, State.DEAD, Reason.TRIES_USED_UP),
    (IN_DOUBT, ("resend",), (NEAR,), 0, State.EXPIRED, Reason.IN_DOUBT),
    (IN_DOUBT, ("resend",), (FAR, NEAR), LAST_TRY, State.DEAD, Reason.TRIES_USED_UP),
]


@pytest.mark.parametrize(("result", "policies", "deadlines", "counted", "state", "reason"), FINAL)
def test_an_answer_that_ends_a_message(result, policies, deadlines, counted, state, reason):
    for policy in policies:
        for deadline in deadlines:
            step = only_move(landing(result, deadline=deadline, counted=counted), policy=policy)

            assert (step.to, step.reason, step.columns["finished_at"]) == (state, reason, NOW)
            assert step.to in NEXT[State.SENDING]
            assert step.columns.get("code", "") == getattr(result, "code", "")
            assert "counted_tries" not in step.columns


# What came back, policies, counted tries before -> the reason, counted tries after, least and most seconds to wait.
AGAIN = [
    (NOT_SENT, ("resend", "hold"), 0, Reason.RETRY, 1, 1, 6),
    (NOT_SENT, ("resend", "hold"), LAST_TRY - 1, Reason.RETRY, LAST_TRY, 1, 601),
    (NotSent("busy", retry_after=120), ("resend", "hold"), 0, Reason.RETRY, 1, 120, 120),
    (IN_DOUBT, ("resend",), 0, Reason.RETRY, 1, 1, 6),
    (InDoubt("busy", retry_after=120), ("resend",), 0, Reason.RETRY, 1, 120, 120),
    (MISCONFIGURED, ("resend", "hold"), 3, Reason.LANE_CLOSED, 3, 0, 0),
    (MISCONFIGURED, ("resend", "hold"), LAST_TRY, Reason.LANE_CLOSED, LAST_TRY, 0, 0),
    (THROTTLED, ("resend", "hold"), 3, Reason.LANE_CLOSED, 3, 0, 0),
    (THROTTLED, ("resend", "hold"), LAST_TRY, Reason.LANE_CLOSED, LAST_TRY, 0, 0),
]


@pytest.mark.parametrize(("result", "policies", "counted", "reason", "counted_after", "least", "most"), AGAIN)
def test_an_answer_after_which_it_is_tried_again(
    result, policies, counted, reason, counted_after, least, most
):
    for policy in policies:
        step = only_move(landing(result, counted=counted), policy=policy)

        assert (step.to, step.reason) == (State.WAITING, reason)
        assert step.columns["counted_tries"] == counted_after
        assert step.columns["priority"] == RETRY
        assert timedelta(seconds=least) <= step.columns["due_at"] - NOW <= timedelta(seconds=most)
        assert "finished_at" not in step.columns


@pytest.mark.parametrize("deadline", [FAR, NEAR])
@pytest.mark.parametrize("counted", [0, LAST_TRY])
def test_a_lost_answer_under_hold_is_looked_at_again_at_the_deadline(deadline, counted):
    step = only_move(landing(IN_DOUBT, deadline=deadline, counted=counted), policy="hold")

    assert (step.to, step.reason) == (State.UNKNOWN, Reason.IN_DOUBT)
    assert step.columns == {"due_at": deadline, "code": "timeout"}


def test_a_receipt_is_kept_on_the_row():
    step = only_move(landing(Receipt(provider_id="p" * 300, code="c" * 99)))

    assert step.columns == {"provider_id": "p" * 255, "code": "c" * 64, "finished_at": NOW}


@pytest.mark.parametrize(
    "fenced",
    [
        OURS._replace(worker_id=8),
        OURS._replace(worker_id=None),
        OURS._replace(tries=5),
        OURS._replace(state=State.WAITING),
        OURS._replace(state=State.UNKNOWN),
        OURS._replace(state=State.ACCEPTED),
    ],
)
@pytest.mark.parametrize("result", [TAKEN, REFUSED, IN_DOUBT, TooLate()], ids=name)
def test_an_answer_to_a_row_that_is_no_longer_ours_is_noted_and_changes_nothing(fenced, result):
    outcome = decide(landing(result), held=fenced)

    (attempt,) = outcome.attempts
    assert outcome.moves == []
    assert (attempt.is_late, attempt.outcome, attempt.number) == (True, name(result), 4)


def test_an_answer_to_a_row_that_is_gone_changes_nothing():
    assert decide(landing(IN_DOUBT), held=None) == Effects()


def test_what_went_right_at_once_needs_no_attempt():
    assert decide(landing(TAKEN)).attempts == []


@pytest.mark.parametrize("error", [REFUSED, MISCONFIGURED, THROTTLED, NOT_SENT, IN_DOUBT], ids=name)
def test_what_went_wrong_is_kept_as_an_attempt(error):
    (attempt,) = decide(landing(error)).attempts

    assert (attempt.tenant_id, attempt.message_id, attempt.worker_id) == (2, 1, 7)
    assert (attempt.number, attempt.outcome, attempt.is_late) == (4, name(error), False)
    assert (attempt.code, attempt.detail) == (error.code, error.detail)
    assert (attempt.started_at, attempt.ended_at) == (NOW - timedelta(seconds=1), NOW)


def test_strange_words_of_an_adapter_are_kept_as_far_as_every_database_takes_them():
    error = NotSent("a\x00b\ud800" + "x" * 9_999, code="\x00" + "c" * 99, excerpt="\x00" + "é" * 9_999)

    outcome = decide(landing(error))

    (attempt,) = outcome.attempts
    assert attempt.detail == "ab?" + "x" * 497
    assert attempt.code == outcome.moves[0].columns["code"] == "c" * 64
    assert attempt.excerpt == "é" * 2_048


def test_a_try_that_the_local_hours_ended_before_it_began_waits_for_the_next_ones():
    step = only_move(landing(TooLate(), until=NEAR))

    assert (step.to, step.reason, step.columns) == (State.WAITING, Reason.LOCAL_HOURS, {"due_at": NOW})


@pytest.mark.parametrize(("before", "after"), [(FIRST_TRY, RETRY), (RETRY, RETRY), (URGENT, URGENT)])
def test_what_is_urgent_stays_so_and_all_else_lines_up_behind_first_tries(before, after):
    assert only_move(landing(NOT_SENT, priority=before)).columns["priority"] == after
    assert only_move(landing(THROTTLED, priority=before)).columns["priority"] == after


@pytest.mark.parametrize("error", [NOT_SENT, IN_DOUBT], ids=name)
def test_a_failure_on_trial_for_the_lane_is_no_try_of_the_message(error):
    step = only_move(landing(error, counted=LAST_TRY, is_trial=True))

    assert (step.to, step.columns["counted_tries"]) == (State.WAITING, LAST_TRY)


@pytest.mark.parametrize(
    ("result", "word"),
    [
        (TAKEN, "accepted"),
        (REFUSED, "refused"),
        (MISCONFIGURED, "misconfigured"),
        (THROTTLED, "throttled"),
        (NOT_SENT, "not_sent"),
        (IN_DOUBT, "in_doubt"),
        (TooLate(), "too_late"),
    ],
)
def test_each_kind_of_answer_has_a_word(result, word):
    assert name(result) == word
