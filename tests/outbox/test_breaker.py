"""The breaker: what closes a lane, for how long, and what opens it again."""

import math
import random
from datetime import UTC, datetime, timedelta

import pytest

from clarion.lib.sending import InDoubt, Misconfigured, NotSent, Receipt, Refused, SendError, Throttled
from clarion.models import GatewayAccount, Lane
from clarion.outbox import breaker
from clarion.outbox.breaker import Breaker
from clarion.outbox.landing import Landing, TooLate, name
from tests.outbox.rounds import departure

NOW = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
TAKEN, REFUSED = Receipt(), Refused("no such number")
NOT_SENT, IN_DOUBT = NotSent("nobody there"), InDoubt("no answer")
MISCONFIGURED, THROTTLED = Misconfigured("who are you"), Throttled("slower", retry_after=30)


def landing(
    result: Receipt | SendError | TooLate, *, is_trial: bool = False, ended_at: datetime = NOW
) -> Landing:
    left = departure(GatewayAccount(lane_id=9), NOW + timedelta(hours=1), is_trial=is_trial)
    return Landing(left, result, started_at=ended_at - timedelta(seconds=1), ended_at=ended_at)


def broke(*results: Receipt | SendError | TooLate) -> list[bool]:
    remembers = Breaker()
    return [remembers.note(landing(result)) for result in results]


def after(lane: Lane, *landings: Landing, broke: bool = False, now: datetime = NOW) -> Lane:
    breaker.record(lane, landings, broke=broke, now=now, rng=random.Random(1))
    return lane


def test_it_breaks_when_half_of_at_least_ten_failed():
    assert broke(*[TAKEN, IN_DOUBT] * 5) == [False] * 9 + [True]
    assert not any(broke(*[TAKEN, TAKEN, IN_DOUBT] * 30))
    assert not any(broke(*[IN_DOUBT] * 9))


def test_it_breaks_when_nobody_was_reached_five_times_in_a_row():
    assert broke(*[NOT_SENT] * 5) == [False] * 4 + [True]
    assert not any(broke(*[NOT_SENT] * 4, TAKEN, *[NOT_SENT] * 4))


def test_who_answers_is_there_whatever_the_answer():
    assert not any(broke(*[REFUSED, MISCONFIGURED, THROTTLED, TooLate()] * 20))


def test_what_failed_a_minute_ago_says_nothing_about_now():
    remembers = Breaker()
    for _ in range(9):
        remembers.note(landing(IN_DOUBT))

    assert not remembers.note(landing(IN_DOUBT, ended_at=NOW + timedelta(seconds=61)))


def test_a_broken_lane_closes_for_fifteen_seconds_at_most_whoever_failed_with_it():
    lane = after(Lane(), *[landing(NOT_SENT)] * 50, broke=True)

    assert (lane.breaks, lane.closed_because) == (1, "nobody there")
    assert timedelta(seconds=7.5) <= lane.closed_until - NOW <= timedelta(seconds=15)


def test_each_failed_trial_doubles_the_break_up_to_five_minutes():
    lane, pauses = after(Lane(), landing(NOT_SENT), broke=True), []
    for _ in range(8):
        after(lane, landing(NOT_SENT, is_trial=True))
        pauses.append((lane.closed_until - NOW).total_seconds())

    for pause, longest in zip(pauses, [30, 60, 120, 240, 300, 300, 300, 300], strict=True):
        assert longest / 2 <= pause <= longest


def test_what_left_before_the_break_and_failed_makes_it_no_longer():
    lane = after(Lane(), landing(NOT_SENT), broke=True)
    until = lane.closed_until

    after(lane, *[landing(IN_DOUBT)] * 50, broke=True)

    assert (lane.breaks, lane.closed_until) == (1, until)


def test_five_in_a_row_open_a_broken_lane_and_it_goes_slowly_from_then_on():
    lane = after(Lane(), landing(NOT_SENT), broke=True)
    for _ in range(4):
        after(lane, landing(TAKEN, is_trial=True))
        assert lane.closed_until == NOW

    after(lane, landing(REFUSED, is_trial=True))

    assert (lane.closed_until, lane.breaks, lane.slow_since) == (None, 0, NOW)


@pytest.mark.parametrize("error", [MISCONFIGURED, THROTTLED], ids=name)
def test_one_is_enough_for_a_lane_that_was_closed_at_the_sender_s_word(error):
    lane = after(Lane(), landing(error))
    later = lane.closed_until + timedelta(seconds=1)

    after(lane, landing(TAKEN, is_trial=True), now=later)

    assert (lane.closed_until, lane.slow_since) == (None, None)


def test_a_trial_that_was_too_late_leaves_the_next_to_try():
    lane = after(Lane(), landing(NOT_SENT), broke=True)

    after(lane, landing(TooLate(), is_trial=True))

    assert (lane.closed_until, lane.breaks, lane.passed) == (NOW, 1, 0)


def test_a_good_answer_to_what_left_before_the_lane_closed_does_not_open_it():
    lane = after(Lane(), landing(MISCONFIGURED))

    after(lane, landing(TAKEN))

    assert lane.closed_until == NOW + timedelta(minutes=5)


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (MISCONFIGURED, 300),
        (THROTTLED, 30),
        (Throttled("slower"), 1),
        (Throttled("slower", retry_after=0), 1),
        (Throttled("slower", retry_after=0.2), 1),
        (Throttled("slower", retry_after=-5), 1),
        (Throttled("slower", retry_after=math.nan), 1),
        (Throttled("slower", retry_after=math.inf), 1),
        (Throttled("slower", retry_after=1e300), 86_400),
    ],
)
def test_a_refused_account_and_a_call_to_slow_down_close_the_lane(error, seconds):
    lane = after(Lane(), landing(error))

    assert (lane.closed_until, lane.closed_because) == (NOW + timedelta(seconds=seconds), error.detail)


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_pauses_the_longest_counts(order):
    answers = [THROTTLED, MISCONFIGURED, Throttled("slower")][::order]

    lane = after(Lane(), *map(landing, answers))

    assert (lane.closed_until, lane.closed_because) == (NOW + timedelta(minutes=5), "who are you")


@pytest.mark.parametrize("result", [TAKEN, REFUSED, NOT_SENT, IN_DOUBT, TooLate()], ids=name)
def test_what_concerns_one_message_closes_no_lane(result):
    assert after(Lane(), landing(result)).closed_until is None
