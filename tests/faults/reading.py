"""Workers die while they read the log: at the crash points of readers, and at random. Each event has its effect once."""

import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from clarion import worker
from clarion.flows import readers, tenants
from clarion.lib.crashpoints import KILLED
from clarion.models import EventHead, ParkedEvent, ReaderPosition, Tenant
from clarion.outbox import claims
from tests.faults import without
from tests.faults.plans import Figures, Plan
from tests.faults.processes import Process, fork
from tests.faults.rig import PROCESS_PATIENCE, Rig, Stuck, figures_of
from tests.flows.recording import fill, recorder, seen

# Of a visit to a crash point: several slices, the first of which has 200.
EVENTS = 700
# Come in between two kills: a tenth of a second's reading on SQLite, so that kills find readers at work.
BETWEEN = 1_000


def reading(plan: Plan, folder: Path) -> Figures:
    """Let two workers read what comes in, and kill one of them again and again at a random place."""
    figures = figures_of(plan, bound=0, messages=plan.kills * BETWEEN)
    began = time.monotonic()
    with Rig(plan, folder) as rig:
        tenant = _tenant()
        crew = [_start(rig) for _ in range(plan.workers)]
        for _ in range(plan.kills):
            mark = _head(tenant) + rig.rng.randrange(BETWEEN)
            fill(tenant, BETWEEN, datetime.now(UTC))
            try:
                rig.wait(partial(_has_come_to, tenant, mark), f"nobody read as far as {mark}")
            except Stuck as reason:
                figures.breaches.append(f"stuck: {reason}")
                break
            figures.hits += not _has_come_to(tenant, _head(tenant))
            victim = crew.pop(rig.rng.randrange(len(crew)))
            victim.kill()
            _bury(victim)
            crew.append(_start(rig))
        _finish(rig, tenant, crew, figures)
    figures.seconds = time.monotonic() - began
    return figures


def in_reader(rig: Rig, point: str) -> Figures:
    """The worker dies over a slice; the next one goes on from where the position says."""
    figures = figures_of(rig.plan, kills=1, bound=0, messages=EVENTS)
    tenant = _tenant()
    fill(tenant, EVENTS, datetime.now(UTC))
    victim = _start(rig, crash_at=point)
    code = _bury(victim)
    if code != KILLED:
        figures.breaches.append(f"the process did not die at the point but ended with {code}")
    _finish(rig, tenant, [_start(rig)], figures)
    return figures


def _finish(rig: Rig, tenant: Tenant, crew: list[Process], figures: Figures) -> None:
    """Let the crew read to the end, and look what it came to."""
    try:
        rig.wait(lambda: _has_come_to(tenant, _head(tenant)), "the log was never read to its end")
    except Stuck as reason:
        figures.breaches.append(f"stuck: {reason}")
    if any(rig.end(process) != 0 for process in crew):
        figures.breaches.append("a worker did not end well")
    found = seen(tenant)
    figures.lost = _head(tenant) - len(set(found))
    figures.duplicates = len(found) - len(set(found))
    if figures.lost or figures.duplicates:
        figures.breaches.append(f"{figures.lost} events had no effect, {figures.duplicates} were read twice")
    if parked := ParkedEvent.objects.count():
        figures.breaches.append(f"{parked} events were parked")


def _start(rig: Rig, **changes: object) -> Process:
    return rig.keep(fork(partial(_work, rig.plan.without), log=rig.log, **changes))


def _work(lacking: str) -> None:
    if lacking:
        without.switch_off(lacking)
    readers.READERS = (recorder(),)
    worker.run()


def _bury(victim: Process) -> int:
    code = victim.wait(PROCESS_PATIENCE)
    claims.rescue_process(victim.pid, now=datetime.now(UTC))
    return code


def _tenant() -> Tenant:
    # Not the rig's: its mailings count on their own audience.
    return tenants.find_or_create("readers", now=datetime.now(UTC))


def _head(tenant: Tenant) -> int:
    return EventHead.objects.of(tenant).values_list("seq", flat=True).first() or 0


def _has_come_to(tenant: Tenant, seq: int) -> bool:
    return ReaderPosition.objects.of(tenant).filter(seq__gte=seq).exists()
