"""The runs of `make outage` in small: a sender goes away and comes back, or hangs beside one that does not.

The other manners of both take as long and are left to `make outage`.
"""

import pytest
from msgspec.structs import replace

from tests.faults.runner import carry_out
from tests.faults.teeth import HANGING, OUTAGE

pytestmark = pytest.mark.thorough


@pytest.mark.parametrize("manner", ["refused", "busy"])
def test_a_sender_that_is_away_is_hardly_asked_then_slowly_and_nothing_is_given_up(manner: str) -> None:
    figures = carry_out(replace(OUTAGE, manner=manner), timeout=50)

    assert figures.breaches == []
    assert 0 < figures.knocks <= 40
    assert figures.lost == 0


def test_an_account_that_hangs_does_not_slow_another() -> None:
    figures = carry_out(HANGING, timeout=50)

    assert figures.breaches == []
