"""A death at the crash points of files: half-taken uploads leave nothing, and every row is read and written once."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from clarion.flows import exports, tenants, uploads
from clarion.lib.crashpoints import KILLED
from clarion.models import Customer, Export, Import, Refusal, Tenant
from clarion.outbox import claims
from tests.faults.plans import Figures
from tests.faults.processes import Process, fork
from tests.faults.rig import PROCESS_PATIENCE, Rig, Stuck, figures_of

# Three batches of SQLite's; every tenth row is refused.
ROWS, WRONG_EVERY = 1_000, 10


def in_upload(rig: Rig, point: str) -> Figures:
    """Whoever takes the file dies over it; sent again, it is read as if nothing had been."""
    figures, before = _figures(rig), Import.objects.count()
    _end_of(rig.keep(fork(partial(_send, point), log=rig.log, crash_at=point)), figures)
    if Import.objects.count() != before:
        figures.breaches.append("a half-taken file is imported")
    row = _send(point)
    return _finish(rig, figures, lambda: _is_read(row, figures))


def in_import(rig: Rig, point: str) -> Figures:
    """The worker dies over a batch; the next one goes on from there."""
    figures, row = _figures(rig), _send(point)
    _kill_worker(rig, point, figures)
    return _finish(rig, figures, lambda: _is_read(row, figures))


def in_export(rig: Rig, point: str) -> Figures:
    """The worker dies over a slice; everybody is in the file, and once."""
    figures = _figures(rig)
    row = exports.create(rig.tenant, exports.Wanted("ndjson"), now=datetime.now(UTC))
    _kill_worker(rig, point, figures)
    return _finish(rig, figures, lambda: _is_written(row, figures))


def _figures(rig: Rig) -> Figures:
    return figures_of(rig.plan, kills=1, bound=0, messages=0)


def _send(point: str) -> Import:
    # A tag of its own: the clients of the visits before are changed by this one.
    rows = [f"{8 if number % WRONG_EVERY == 0 else 7}000{number:07};{point}\n" for number in range(ROWS)]
    data = f"phone;tag\n{''.join(rows)}".encode()
    return uploads.receive(_tenant(), [data], uploads.Hints(), now=datetime.now(UTC))


def _tenant() -> Tenant:
    # Not the rig's: its mailings count on their own audience.
    return tenants.find_or_create("files", now=datetime.now(UTC))


def _kill_worker(rig: Rig, point: str, figures: Figures) -> None:
    process = rig.start_worker(crash_at=point)
    _end_of(process, figures)
    claims.rescue_process(process.pid, now=datetime.now(UTC))


def _finish(rig: Rig, figures: Figures, is_done: Callable[[], bool]) -> Figures:
    """Let another worker finish, and look what it came to."""
    worker = rig.start_worker()
    try:
        rig.wait(is_done, "the file was never finished")
    except Stuck as reason:
        figures.breaches.append(f"stuck: {reason}")
    if rig.end(worker) != 0:
        figures.breaches.append("the worker that finished did not end well")
    return figures


def _is_read(row: Import, figures: Figures) -> bool:
    row.refresh_from_db()
    if row.state != Import.DONE:
        return False
    wrong = ROWS // WRONG_EVERY
    kept = Customer.objects.of(row.tenant).count()
    counts = (row.rows, row.refused, Refusal.objects.filter(origin=row).count(), kept)
    if counts != (ROWS, wrong, wrong, ROWS - wrong):
        figures.breaches.append(f"rows, refused, refusals, clients: {counts}")
    return True


def _is_written(row: Export, figures: Figures) -> bool:
    row.refresh_from_db()
    if row.state != Export.DONE or row.file is None:
        return False
    written = [json.loads(line)["id"] for line in b"".join(row.file.pieces()).splitlines()]
    kept = list(Customer.objects.of(row.tenant).order_by("id").values_list("id", flat=True))
    if written != kept:
        figures.breaches.append(f"{len(written)} lines for {len(kept)} clients")
    return True


def _end_of(process: Process, figures: Figures) -> None:
    code = process.wait(PROCESS_PATIENCE)
    if code != KILLED:
        figures.breaches.append(f"the process did not die at the point but ended with {code}")
