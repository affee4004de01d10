"""The runs of `make durable` in small: what was acknowledged is kept, once, whatever dies, stops or fills up.

MariaDB's stops, and the teeth that need a server, are left to the full runs.
"""

import os
import shutil

import pytest
from msgspec.structs import replace

from tests.faults import teeth
from tests.faults.plans import Figures, Plan
from tests.faults.runner import carry_out, may_mount
from tests.faults.teeth import Tooth
from tests.servers import Unavailable, private_postgres

pytestmark = [pytest.mark.slow]
TEETH = teeth.INTAKE_TEETH + teeth.CUT_TEETH + teeth.DISK_TEETH


def act(plan: Plan) -> Figures:
    """Act a plan out on the database of this leg."""
    return carry_out(plan, server=os.environ.get("CLARION_DATABASE_URL", ""), timeout=50)


def skip_where_it_cannot_be(plan: Plan) -> None:
    if plan.scene == "power cuts" and shutil.which("strace") is None:
        pytest.skip("strace is not installed (apt install strace)")
    if plan.room and not may_mount():
        pytest.skip("only root may mount a small disk")


@pytest.mark.database
@pytest.mark.parametrize(
    "plan",
    [
        replace(teeth.POSTS, events=300, kills=1),
        pytest.param(replace(teeth.SHARED, events=1_500, watched=True), marks=pytest.mark.thorough),
    ],
    ids=["alone", "shared and watched"],
)
def test_a_killed_web_process_loses_no_event_and_stores_none_twice(plan: Plan) -> None:
    figures = act(plan)

    assert figures.breaches == []
    assert (figures.events, figures.lost, figures.duplicates) == (plan.events, 0, 0)
    assert figures.again > 0
    assert figures.seen == figures.effects == (plan.events if plan.watched else 0)


@pytest.mark.thorough
def test_a_power_cut_loses_no_acknowledged_event_and_damages_nothing() -> None:
    skip_where_it_cannot_be(teeth.CUTS)
    figures = carry_out(teeth.CUTS, timeout=50)

    assert figures.breaches == []
    assert (figures.cuts, figures.cuts_lost, figures.cuts_damaged) == (teeth.CUTS.cuts, 0, 0)


@pytest.mark.thorough
def test_a_full_disk_is_told_and_taken_up_when_there_is_room_again() -> None:
    skip_where_it_cannot_be(teeth.DISK)
    figures = carry_out(teeth.DISK, timeout=50)

    assert figures.breaches == []
    assert figures.later > 0
    assert (figures.events, figures.lost) == (teeth.DISK.events, 0)


@pytest.mark.thorough
def test_a_server_that_stops_without_a_word_loses_nothing_and_is_found_again() -> None:
    try:
        with private_postgres() as server:
            figures = carry_out(replace(teeth.STOPS, server=server), timeout=50)
    except Unavailable as reason:
        pytest.skip(str(reason))

    assert figures.breaches == []
    assert figures.later > 0
    assert (figures.events, figures.lost) == (teeth.STOPS.events, 0)


@pytest.mark.thorough
@pytest.mark.parametrize("tooth", TEETH, ids=lambda tooth: tooth.protection)
def test_a_protection_that_is_switched_off_is_missed(tooth: Tooth) -> None:
    skip_where_it_cannot_be(tooth.plan)
    figures = carry_out(replace(tooth.plan, without=tooth.protection), timeout=50)

    assert tooth.bites(figures), figures
