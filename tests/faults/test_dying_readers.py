"""Readers of the log under fire: workers die at every place, and each event has had its effect once."""

import os

import pytest
from msgspec.structs import replace

from tests.faults.plans import Figures, Plan
from tests.faults.runner import carry_out
from tests.faults.teeth import READING, READING_TEETH, Tooth


def act(plan: Plan) -> Figures:
    return carry_out(plan, server=os.environ.get("CLARION_DATABASE_URL", ""), timeout=50)


@pytest.mark.database
@pytest.mark.slow
def test_workers_that_die_while_they_read_lose_nothing_and_double_nothing() -> None:
    figures = act(READING)

    assert figures.breaches == []
    assert (figures.lost, figures.duplicates, figures.kills) == (0, 0, READING.kills)
    assert figures.hits > 0


@pytest.mark.thorough
@pytest.mark.parametrize("tooth", READING_TEETH, ids=lambda tooth: tooth.protection)
def test_without_the_protection_it_is_missed(tooth: Tooth) -> None:
    figures = act(replace(tooth.plan, without=tooth.protection))

    assert tooth.bites(figures), figures
