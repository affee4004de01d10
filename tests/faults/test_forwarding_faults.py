"""The runs of `make forwarding` in small: workers die, a receiver hangs, and the others' own ledger says what it cost."""

import os

import pytest
from msgspec.structs import replace

from tests.faults.plans import Figures, Plan
from tests.faults.runner import carry_out
from tests.faults.teeth import BESIDE, BESIDE_TEETH, CALLED, FORWARDED, FORWARDING_TEETH, Tooth


def act(plan: Plan) -> Figures:
    return carry_out(plan, server=os.environ.get("CLARION_DATABASE_URL", ""), timeout=50)


@pytest.mark.database
@pytest.mark.slow
def test_workers_that_die_while_they_forward_lose_nothing_and_whoever_goes_by_ids_takes_it_once() -> None:
    figures = act(FORWARDED)

    assert figures.breaches == []
    assert (figures.lost, figures.kills) == (0, FORWARDED.kills)
    assert figures.messages == 3 * FORWARDED.events
    assert figures.hits > 0
    assert figures.duplicates <= figures.bound == FORWARDED.kills * FORWARDED.in_flight
    assert figures.open > 0


@pytest.mark.database
@pytest.mark.thorough
@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(BESIDE, id="while it hangs"),
        pytest.param(CALLED, id="when it has failed", marks=pytest.mark.long),
    ],
)
def test_a_receiver_that_hangs_does_not_hold_up_the_others_and_is_hardly_called(plan: Plan) -> None:
    figures = act(plan)

    assert figures.breaches == []
    assert figures.knocks > 0


@pytest.mark.thorough
@pytest.mark.long
@pytest.mark.parametrize("tooth", [*FORWARDING_TEETH, *BESIDE_TEETH], ids=lambda tooth: tooth.protection)
def test_a_protection_of_forwarding_that_is_switched_off_is_missed(tooth: Tooth) -> None:
    figures = act(replace(tooth.plan, without=tooth.protection))

    assert tooth.bites(figures), figures
