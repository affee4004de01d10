"""The one function that changes states: it allows what the table allows, and rows and counters never part."""

from datetime import UTC, datetime

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clarion.flows import audit
from clarion.models import Mailing, MailingCount, Message, State, Tenant, Worker
from clarion.models.moves import IllegalMove, Move, move
from clarion.models.outgoing import NEXT, OPEN_STATES, STATUS, STATUSES, Reason, states_of
from tests.conftest import Clock
from tests.outbox.rounds import due_messages, enlist

pytestmark = pytest.mark.django_db

REASONS = ["", *sorted(value for name, value in vars(Reason).items() if name.isupper())]
LONGEST_REASON = 40  # the column's length
NOW = datetime(2030, 1, 1, tzinfo=UTC)
CREW = 12  # messages that walk: enough that several share a counter


def put(mailing: Mailing, state: str) -> None:
    """Have every message of the mailing in this state, and the counters say so."""
    total = mailing.message_set.update(state=state, reason="")
    mailing.counts.all().delete()
    MailingCount.objects.create(tenant=mailing.tenant, mailing=mailing, state=state, reason="", count=total)


def counted(mailing: Mailing) -> dict[tuple[str, str], int]:
    rows = mailing.counts.exclude(count=0).values_list("state", "reason", "count")
    return {(state, reason): count for state, reason, count in rows}


def step(mailing: Mailing, to: str, reason: str = "") -> None:
    with transaction.atomic():
        held = Message.objects.lock(list(mailing.message_set.values_list("pk", flat=True)))
        move(Message, [Move(row, to, reason) for row in held], NOW)


@pytest.mark.parametrize("state", State.values)
def test_what_the_table_allows_moves_the_row_and_its_counter(
    tenant: Tenant, clock: Clock, state: str
) -> None:
    mailing = due_messages(tenant, clock)

    for following in sorted(NEXT[state]):
        put(mailing, state)
        step(mailing, following, Reason.RETRY)

        row = mailing.message_set.get()
        assert (row.state, row.reason) == (following, Reason.RETRY)
        assert counted(mailing) == {(following, Reason.RETRY): 1}


@pytest.mark.parametrize("state", State.values)
def test_what_the_table_does_not_know_raises_and_writes_nothing(
    tenant: Tenant, clock: Clock, state: str
) -> None:
    fine, mailing = due_messages(tenant, clock), due_messages(tenant, clock)
    put(mailing, state)
    with transaction.atomic():
        (legal,) = Message.objects.lock([fine.message_set.get().pk])
        (held,) = Message.objects.lock([mailing.message_set.get().pk])

        for impossible in sorted(set(State.values) - NEXT[state]):
            with pytest.raises(IllegalMove, match=f"{state} cannot become {impossible}"):
                move(Message, [Move(legal, State.CANCELLED), Move(held, impossible)], NOW)

    assert fine.message_set.get().state == State.WAITING
    assert mailing.message_set.get().state == state
    assert counted(mailing) == {(state, ""): 1}
    assert counted(fine) == {(State.WAITING, ""): 1}


def test_a_final_state_has_no_way_out_and_an_open_one_has() -> None:
    final = {state for state in State.values if not NEXT[state]}

    # A provider's later word may still come for what was accepted.
    assert set(State.values) - final == {*OPEN_STATES, State.ACCEPTED}
    assert set(NEXT) == set(State.values) == set(STATUS)


def test_every_state_has_a_status_and_every_status_its_states() -> None:
    assert {state for status in STATUSES for state in states_of(status.lower())} == set(State.values)
    assert states_of("no such status") == []


def test_every_reason_fits_its_column() -> None:
    assert max(map(len, REASONS)) <= LONGEST_REASON


def test_rows_that_change_different_columns_are_moved_together(tenant: Tenant, clock: Clock) -> None:
    mailing = due_messages(tenant, clock, 3)
    ids = list(mailing.message_set.order_by("pk").values_list("pk", flat=True))

    with transaction.atomic():
        first, second, third = Message.objects.lock(ids)
        move(
            Message,
            [
                Move(third, State.CANCELLED, Reason.MAILING_CANCELLED, {"finished_at": clock()}),
                Move(first, State.SENDING, "", {"worker_id": 5, "tries": 1}),
                Move(second, State.WAITING, Reason.PAUSED),
            ],
            clock(),
        )

    rows = mailing.message_set.order_by("pk").values_list("state", "reason", "worker_id", "finished_at")
    assert list(rows) == [
        (State.SENDING, "", 5, None),
        (State.WAITING, Reason.PAUSED, None, None),
        (State.CANCELLED, Reason.MAILING_CANCELLED, None, clock()),
    ]
    assert counted(mailing) == {
        (State.SENDING, ""): 1,
        (State.WAITING, Reason.PAUSED): 1,
        (State.CANCELLED, Reason.MAILING_CANCELLED): 1,
    }


def test_a_row_that_stays_where_it_is_moves_no_counter(tenant: Tenant, clock: Clock) -> None:
    mailing = due_messages(tenant, clock, 2)
    before = counted(mailing)

    step(mailing, State.WAITING)

    assert counted(mailing) == before == {(State.WAITING, ""): 2}


def test_nothing_to_move_asks_nothing(db: None, django_assert_num_queries: object) -> None:
    with django_assert_num_queries(0):  # type: ignore[operator]
        move(Message, [], NOW)


# Which messages move in one transaction, and, for each, which of the states that may follow, and why.
WALKS = st.lists(
    st.lists(
        st.tuples(st.integers(0, CREW - 1), st.integers(0, 10), st.sampled_from(REASONS)),
        min_size=1,
        max_size=CREW,
        unique_by=lambda choice: choice[0],
    ),
    max_size=12,
)


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(walk=WALKS)
def test_whatever_happens_the_counters_equal_a_count(
    tenant: Tenant, clock: Clock, walk: list[list[tuple[int, int, str]]]
) -> None:
    with transaction.atomic():
        one, other = (due_messages(tenant, clock, CREW // 2) for _ in range(2))
        worker = enlist(clock)
        ids = [*one.message_set.values_list("pk", flat=True), *other.message_set.values_list("pk", flat=True)]

        for choices in walk:
            walk_on(ids, choices, worker)
            assert audit.run(clock()) == []

        assert sum(sum(counted(mailing).values()) for mailing in (one, other)) == CREW
        transaction.set_rollback(True)


def walk_on(ids: list[int], choices: list[tuple[int, int, str]], worker: Worker) -> None:
    """Move the chosen messages, as far as anything may follow, with what the audit asks of their new states."""
    held = {row.id: row for row in Message.objects.lock([ids[index] for index, _, _ in choices])}
    deadlines = dict(Message.objects.filter(pk__in=held).values_list("pk", "deadline_at"))
    moves = []
    for index, choice, reason in choices:
        row = held[ids[index]]
        following = sorted(NEXT[row.state])
        if following:
            to = following[choice % len(following)]
            columns = {"worker_id": worker.pk, "due_at": deadlines[row.id]}
            moves.append(Move(row, to, reason, columns if to in OPEN_STATES else {}))
    move(Message, moves, NOW)
