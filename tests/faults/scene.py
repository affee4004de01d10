"""`python -m tests.faults.scene PLAN FILE`: act one plan out in the installation of CLARION_DATA; figures to FILE."""

import sys
from collections.abc import Callable
from pathlib import Path

import django
import msgspec
from django.conf import settings

if __name__ == "__main__":
    django.setup()

from django.core.management import call_command

from clarion import worker
from clarion.lib import logs
from clarion.outbox import breaker, pace
from tests.faults.clock import Clock
from tests.faults.crash_points import crash_points
from tests.faults.forwarding_hanging import forwarding_hanging
from tests.faults.forwarding_kills import forwarding_kills
from tests.faults.freezes import freezes
from tests.faults.full_disks import full_disks
from tests.faults.hanging import hanging
from tests.faults.intake_kills import intake_kills
from tests.faults.leaps import leaps
from tests.faults.nights import nights
from tests.faults.outage import outage
from tests.faults.plans import Figures, Plan
from tests.faults.poison import poison
from tests.faults.power_cuts import power_cuts
from tests.faults.random_kills import random_kills
from tests.faults.reading import reading
from tests.faults.restarts import restarts
from tests.faults.server_stops import server_stops

SCENES: dict[str, Callable[[Plan, Path], Figures]] = {
    "kills": random_kills,
    "crash points": crash_points,
    "freezes": freezes,
    "poison": poison,
    "restarts": restarts,
    "reading": reading,
    "outage": outage,
    "hanging": hanging,
    "forwarding kills": forwarding_kills,
    "forwarding hanging": forwarding_hanging,
    "nights": nights,
    "leaps": leaps,
    "intake kills": intake_kills,
    "power cuts": power_cuts,
    "server stops": server_stops,
    "disk full": full_disks,
}
# What else a short run would spend its time waiting for. Forked workers take it from here.
PAUSES = (
    (worker, "HOUSEKEEPING_EVERY"),
    (breaker, "FIRST_BREAK"),
    (breaker, "LONGEST_BREAK"),
    (pace, "DOUBLES_EVERY"),
)


def main() -> None:
    plan = msgspec.json.decode(sys.argv[1], type=Plan)
    logs.set_up(level=settings.CLARION.log_level, form=settings.CLARION.log_format)
    if plan.forked:
        # As often as the outbox looks: a short run is mostly waiting for the next look.
        worker.FLOWS_IDLE = worker.IDLE
    for module, name in PAUSES:
        setattr(module, name, getattr(module, name) / plan.haste)
    if plan.clock:
        Clock.let_sleep()
    settings.CLARION.data.mkdir(parents=True, exist_ok=True)
    call_command("migrate", verbosity=0, interactive=False)
    figures = SCENES[plan.scene](plan, settings.CLARION.data)
    Path(sys.argv[2]).write_bytes(msgspec.json.encode(figures))


if __name__ == "__main__":
    main()
