"""The fault runs in small: real processes die in every way, and the sender's own ledger says what it cost.

`make faults` does the same at full size and on every database.
"""

import os

import pytest

from tests.faults.plans import Figures, Plan
from tests.faults.runner import carry_out

pytestmark = [pytest.mark.database, pytest.mark.slow]


def act(**plan: object) -> Figures:
    """Act a plan out on the database of this leg."""
    full = Plan(forked=True, patience=10, **plan)
    return carry_out(full, server=os.environ.get("CLARION_DATABASE_URL", ""), timeout=50)


@pytest.mark.parametrize(
    ("messages", "kills"), [(800, 2), pytest.param(2_000, 3, marks=pytest.mark.thorough)]
)
def test_random_kills_lose_nothing_and_double_at_most_what_was_in_flight(messages: int, kills: int) -> None:
    figures = act(scene="kills", messages=messages, kills=kills, in_flight=32)

    assert figures.breaches == []
    assert figures.lost == 0
    assert figures.hits > 0
    assert figures.duplicates <= figures.bound == kills * 32


@pytest.mark.thorough
def test_random_kills_double_nothing_where_doubtful_sends_are_held() -> None:
    figures = act(scene="kills", doubt="hold", messages=2_000, kills=3, in_flight=32)

    assert figures.breaches == []
    assert (figures.lost, figures.duplicates) == (0, 0)
    assert 0 < figures.doubtful <= figures.bound == 3 * 32


@pytest.mark.thorough
def test_a_death_at_any_crash_point_is_made_good_by_the_next_start() -> None:
    figures = act(scene="crash points", messages=50, in_flight=32, delay=0.04)

    assert figures.breaches == []
    assert figures.lost == 0


@pytest.mark.thorough
def test_a_worker_that_was_frozen_past_its_lease_changes_nothing_when_it_goes_on() -> None:
    figures = act(scene="freezes", messages=150, kills=1, in_flight=16, delay=0.2, lease=1.5)

    assert figures.breaches == []
    assert figures.late > 0


@pytest.mark.thorough
def test_a_message_that_kills_three_workers_is_dead_and_all_others_are_sent() -> None:
    figures = act(scene="poison", messages=60, in_flight=16)

    assert figures.breaches == []
    assert (figures.lost, figures.dead) == (0, 1)


@pytest.mark.thorough
def test_workers_that_renew_their_leases_are_not_taken_for_dead() -> None:
    # Every few milliseconds four workers look for dead ones, while each of them renews its lease twice a second.
    figures = act(scene="kills", kills=0, messages=4_000, workers=4, lease=1.5, haste=500.0)

    assert figures.breaches == []
    assert figures.duplicates == 0


@pytest.mark.thorough
def test_restarts_in_good_order_lose_nothing_and_double_nothing() -> None:
    figures = act(scene="restarts", messages=1_000, kills=3, in_flight=16)

    assert figures.breaches == []
    assert (figures.lost, figures.duplicates, figures.doubtful) == (0, 0, 0)
