"""How fast a lane may go: moments are given out evenly, by all workers together, and never twice."""

from bisect import bisect_left
from datetime import UTC, datetime, timedelta

import pytest

from clarion.outbox import pace
from clarion.outbox.lanes import OpenLane, Room
from clarion.outbox.pace import HORIZON, Pace

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def taken_in(seconds: float, *paces: Pace, every: float) -> list[float]:
    """Take all there is, in rounds that come `every` so often (s)."""
    found: list[float] = []
    for number in range(round(seconds / every)):
        moments = pace.slots(paces, 1000 + number * every, 10_000)
        pace.use(paces, moments)
        found += moments
    return found


def lane(number: int, *, root: int = 0, is_on_trial: bool = False, share: float = 1.0) -> OpenLane:
    return OpenLane(number, root or number, is_on_trial, False, (), share, frozenset())


@pytest.mark.parametrize("rate", [0.5, 7, 100, 5_000])
@pytest.mark.parametrize("every", [0.005, 0.02, 0.09])
def test_no_second_holds_more_than_the_rate_and_none_is_wasted(rate: float, every: float) -> None:
    moments = taken_in(20, Pace(1, rate, 0.0), every=every)

    busiest = max(bisect_left(moments, start + 1) - number for number, start in enumerate(moments))
    assert busiest <= rate + 1
    assert len(moments) >= rate * 20 * 0.99


def test_what_was_not_taken_while_everything_stood_still_is_not_caught_up_with() -> None:
    bound = Pace(1, 10, 0.0)
    taken_in(1, bound, every=0.05)

    assert len(pace.slots([bound], 5_000.0, 10_000)) == int(HORIZON * 10) + 1


def test_a_lane_inside_another_keeps_both_paces() -> None:
    moments = taken_in(10, Pace(1, 50, 0.0), Pace(2, 20, 0.0), every=0.05)

    assert 195 <= len(moments) <= 203


def test_a_clock_that_began_anew_does_not_stop_the_lane() -> None:
    assert pace.slots([Pace(1, 8, 900_000.0)], 5.0, 100) == [5.0]


def test_a_lane_that_works_again_doubles_its_speed_from_a_tenth_within_twenty_seconds() -> None:
    shares = [pace.share(NOW, NOW + timedelta(seconds=seconds)) for seconds in (0, 4.9, 5, 10, 15, 20, 900)]

    assert shares == [0.1, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert pace.share(None, NOW) == pace.share(NOW, NOW - timedelta(hours=1)) == 1.0


@pytest.mark.parametrize(
    ("lanes", "under_way", "fair"),
    [
        ([lane(1)], {}, [128]),
        ([lane(1), lane(2)], {(1, 1): 100}, [28, 128]),
        ([lane(1), lane(2)], {(1, 1): 200}, [0, 128]),
        ([lane(1, is_on_trial=True), lane(2)], {}, [1, 128]),
        ([lane(1, is_on_trial=True)], {(1, 1): 1}, [0]),
        ([lane(1, share=0.1)], {}, [12]),
        # Lanes of one account share what is the account's; the other account has as much as all of them.
        ([lane(1), lane(2, root=1), lane(3, root=1), lane(4)], {(1, 1): 40}, [3, 43, 43, 128]),
    ],
)
def test_slots_are_shared_by_accounts_and_then_by_the_lanes_of_each(lanes, under_way, fair) -> None:
    room = Room(lanes, slots=256, under_way=under_way, answered=dict.fromkeys(range(9), 999))

    assert [room.fair(each) for each in lanes] == fair


def test_one_account_never_holds_all_the_slots() -> None:
    alone = lane(1)
    room = Room([alone], slots=256, under_way={}, answered={1: 999})
    room.take(alone, room.fair(alone))

    assert room.all_of(alone) == 0


def test_an_account_earns_its_slots_by_answers() -> None:
    alone = lane(1)
    rooms = [
        Room([alone], slots=256, under_way={}, answered=answered) for answered in ({}, {1: 50}, {1: 999})
    ]

    assert [room.fair(alone) for room in rooms] == [64, 114, 128]
