"""When the next try is due: the width of the jitter, what the other side asked for, and the deadline."""

import math
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.lib.retry import LONGEST_RETRY_AFTER, MAILING, Policy, delay, next_try

NOW = datetime(2024, 7, 1, 12, tzinfo=UTC)
MARGIN = 2.0


class Lowest(random.Random):
    """Chance at its low end."""

    def random(self) -> float:
        return 0.0


class Highest(random.Random):
    """Chance at its high end."""

    def random(self) -> float:
        return math.nextafter(1.0, 0.0)


def seconds_to(moment: datetime | None) -> float:
    assert moment is not None
    return (moment - NOW).total_seconds()


@pytest.mark.parametrize(
    ("tries", "ceiling"), [(0, 5), (1, 5), (2, 10), (3, 20), (7, 320), (8, 600), (12, 600), (10**9, 600)]
)
def test_the_ceiling_doubles_with_every_try_up_to_the_cap(tries: int, ceiling: float) -> None:
    assert delay(tries, MAILING, rng=Highest()) == pytest.approx(MAILING.floor + ceiling)
    assert delay(tries, MAILING, rng=Lowest()) == MAILING.floor


def test_delays_fill_the_whole_width() -> None:
    rng = random.Random(7)

    delays = sorted(delay(3, MAILING, rng=rng) - MAILING.floor for _ in range(2000))

    # Uniform over 20 s: each quarter of the draws lies in its quarter of the width, with 10 % to spare.
    assert [delays[500], delays[1000], delays[1500]] == pytest.approx([5, 10, 15], rel=0.1)


def test_without_a_deadline_the_next_try_is_the_delay_away() -> None:
    due = next_try(NOW, 2, MAILING, None, None, MARGIN, Highest())

    assert seconds_to(due) == pytest.approx(11)


def test_the_other_side_can_ask_for_more_time_and_never_for_less() -> None:
    assert seconds_to(next_try(NOW, 1, MAILING, 90.0, None, MARGIN, Highest())) == 90
    assert seconds_to(next_try(NOW, 8, MAILING, 3.0, None, MARGIN, Highest())) == pytest.approx(601)


@pytest.mark.parametrize("nonsense", [-1.0, math.nan, math.inf, -math.inf])
def test_a_retry_after_that_is_no_time_is_ignored(nonsense: float) -> None:
    assert seconds_to(next_try(NOW, 1, MAILING, nonsense, None, MARGIN, Lowest())) == MAILING.floor


def test_a_retry_after_of_years_is_a_day() -> None:
    assert seconds_to(next_try(NOW, 1, MAILING, 1e12, None, MARGIN, Lowest())) == LONGEST_RETRY_AFTER


def test_a_wait_beyond_the_deadline_becomes_a_last_try_just_before_it() -> None:
    deadline = NOW + timedelta(seconds=102)

    earliest = next_try(NOW, 8, MAILING, None, deadline, MARGIN, Highest())
    latest = next_try(NOW, 8, Policy(ceilings=(600.0,), floor=101), None, deadline, MARGIN, Lowest())

    assert seconds_to(earliest) == pytest.approx(90)
    assert latest is None


def test_the_last_try_keeps_the_least_wait() -> None:
    deadline = NOW + timedelta(seconds=3.05)

    due = next_try(NOW, 8, MAILING, None, deadline, MARGIN, Highest())

    assert seconds_to(due) == pytest.approx(MAILING.floor)


def test_a_deadline_nearer_than_the_least_wait_cannot_be_made() -> None:
    assert next_try(NOW, 1, MAILING, None, NOW + timedelta(seconds=2.9), MARGIN, Highest()) is None


def test_a_deadline_nearer_than_the_other_side_allows_cannot_be_made() -> None:
    assert next_try(NOW, 1, MAILING, 300.0, NOW + timedelta(seconds=200), MARGIN, Lowest()) is None


def test_a_deadline_in_the_past_cannot_be_made() -> None:
    assert next_try(NOW, 1, MAILING, None, NOW - timedelta(days=1), MARGIN, Lowest()) is None


@given(
    tries=st.integers(0, 50),
    asked=st.none() | st.floats(),
    window=st.floats(-1e6, 1e6),
    margin=st.floats(0, 60),
    seed=st.integers(0, 2**32),
)
def test_a_try_is_never_too_early_and_never_too_late(
    tries: int, asked: float | None, window: float, margin: float, seed: int
) -> None:
    deadline = NOW + timedelta(seconds=window)

    due = next_try(NOW, tries, MAILING, asked, deadline, margin, random.Random(seed))

    if due is not None:
        rounding = timedelta(microseconds=2)
        assert due >= NOW + timedelta(seconds=MAILING.floor) - rounding
        assert due <= deadline - timedelta(seconds=margin) + rounding
