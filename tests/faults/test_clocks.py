"""The runs of `make clocks` in small: the wall clock of all processes leaps, or runs through a night of two o'clocks."""

import pytest
from msgspec.structs import replace

from tests.faults import clock, plans
from tests.faults.runner import carry_out
from tests.faults.teeth import LEAPS, NIGHT

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(clock.library() is None, reason="libfaketime is not installed (apt install faketime)"),
]


@pytest.mark.parametrize("manner", plans.LEAPS)
def test_a_clock_that_leaps_makes_no_message_early_late_lost_or_doubled(manner: str) -> None:
    figures = carry_out(replace(LEAPS, manner=manner), timeout=50)

    assert figures.breaches == []
    assert (figures.lost, figures.duplicates) == (0, 0)


def test_in_a_night_whose_hours_come_twice_each_message_comes_once_and_inside_its_hours() -> None:
    figures = carry_out(NIGHT, timeout=50)

    assert figures.breaches == []
    assert (figures.lost, figures.duplicates) == (0, 0)
