"""One death at every named crash point, each in a mailing of its own; then a start without it, and the accounts."""

import signal
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

from clarion.lib.crashpoints import KILLED, POINTS
from clarion.models import Mailing, Message, State, Worker
from clarion.outbox import claims
from tests.faults import files, reading, redelivering
from tests.faults.plans import Figures, Plan
from tests.faults.processes import Process
from tests.faults.rig import PROCESS_PATIENCE, Rig, Stuck, figures_of
from tests.faults.web import Caller, start_web


def crash_points(plan: Plan, folder: Path) -> Figures:
    """Visit every point; the figures are the sums."""
    total = figures_of(plan, kills=0, bound=0, messages=0)
    began = time.monotonic()
    with Rig(plan, folder) as rig:
        for point in sorted(POINTS):
            for figures in _visit(rig, point):
                _add(total, point, figures)
    total.seconds = time.monotonic() - began
    return total


def _visit(rig: Rig, point: str) -> Iterable[Figures]:
    room = point.partition(".")[0]
    if room == "mailing":
        # With an Idempotency-Key the caller asks again; without, whatever was stored has to be enough.
        yield _in_web(rig, point, key="")
        yield _in_web(rig, point, key=f"order-{point}")
    elif room == "rescue":
        yield _in_rescue(rig, point)
    elif room == "reader":
        yield reading.in_reader(rig, point)
    elif room == "redelivery":
        yield redelivering.in_redelivery(rig, point)
    elif room == "export":
        yield files.in_export(rig, point)
    elif room == "import":
        yield (files.in_upload if "received" in point else files.in_import)(rig, point)
    else:
        mailing = rig.create_mailing()
        yield _recover(rig, mailing, [rig.start_worker(crash_at=point)])


def _in_rescue(rig: Rig, point: str) -> Figures:
    """The victim of a first kill is found by a sweep, and the sweeper dies over it."""
    mailing = rig.create_mailing()
    victim = rig.start_worker(lease_seconds=rig.shortest_lease)
    under_way = Message.objects.filter(mailing=mailing, state=State.SENDING)
    rig.wait(under_way.exists, "nothing was sent")
    rig.send_signal(victim.pid, signal.SIGKILL)
    victim.wait(PROCESS_PATIENCE)
    lapsed = Worker.objects.filter(ended_at=None)
    rig.wait(lambda: lapsed.filter(lease_until__lt=claims.lease_clock()).exists(), "the lease never lapsed")
    return _recover(rig, mailing, [rig.start_worker(crash_at=point)], kills=2)


def _in_web(rig: Rig, point: str, *, key: str) -> Figures:
    """The web process dies under a request; a caller who does not find the mailing asks again."""
    breaches: list[str] = []
    caller = Caller(rig, key=key)
    process, port = start_web(rig, crash_at=point)
    if caller.ask(port) is not None:
        breaches.append("the caller was answered")
    _end_of(process, breaches)
    stored = Mailing.objects.filter(finished_at=None).count()
    # Inside a request with a key the mailing's own commit is none yet: the answer is stored in the same one.
    expected = 1 if point == "mailing.created_after_commit" and not key else 0
    if stored != expected:
        breaches.append(f"{stored} mailings are stored after the crash, not {expected}")
    if not stored:
        process, port = start_web(rig)
        status = caller.ask(port)
        if status != HTTPStatus.CREATED:
            breaches.append(f"asked again, the caller was answered {status}")
        rig.end(process)
    figures = _recover(rig, Mailing.objects.get(finished_at=None), [], kills=0)
    figures.kills = 1
    figures.breaches += breaches
    return figures


def _recover(rig: Rig, mailing: Mailing, armed: list[Process], *, kills: int = 1) -> Figures:
    """Wait until the armed worker has died, do what its supervisor would do, and let another one finish."""
    figures = figures_of(rig.plan, kills=kills, bound=kills * rig.plan.in_flight)
    for process in armed:
        _end_of(process, figures.breaches)
        claims.rescue_process(process.pid, now=datetime.now(UTC))
    worker = rig.start_worker()
    try:
        rig.wait_until_settled(mailing)
    except Stuck as reason:
        figures.breaches.append(f"stuck: {reason}")
    if rig.end(worker) != 0:
        figures.breaches.append("the worker that finished did not end well")
    rig.judge(mailing, figures)
    return figures


def _end_of(process: Process, breaches: list[str]) -> None:
    code = process.wait(PROCESS_PATIENCE)
    if code != KILLED:
        breaches.append(f"the process did not die at the point but ended with {code}")


def _add(total: Figures, point: str, figures: Figures) -> None:
    for name in ("messages", "kills", "hits", "lost", "duplicates", "bound", "doubtful", "dead", "late"):
        setattr(total, name, getattr(total, name) + getattr(figures, name))
    total.breaches += [f"{point}: {breach}" for breach in figures.breaches]
