"""The first half of the demo: a file of clients, as dirty as real ones, is written and comes in by the usual way."""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from clarion.cli.demo.workers import StillRuns
from clarion.cli.output import err, now, out
from clarion.flows import uploads
from clarion.models import Import, Tenant
from clarion.models.imports import refusals
from clarion.sandbox import people

MEGABYTE = 10**6
# Bytes read at once while the file is handed over: what a stored part holds.
PIECE = 256 * 1024
LOOKS_EVERY = 0.1
# Refused rows that are shown.
SHOWN = 3
# Of a row and of a reason that is shown, characters: a line of the terminal.
LETTERS = 100


def write(rows: int, seed: int) -> Counter[str]:
    """Write the file; return how many of its rows are `new`, `again` and `refused`, as they were meant."""
    fates = people.write(_path(), rows, seed=seed)
    size = _path().stat().st_size / MEGABYTE
    out.print(f"{_path().name}: {rows} rows, {size:.1f} MB, some of them dirty; all numbers are nobody's.")
    return fates


def bring(tenant: Tenant, still_runs: StillRuns) -> Import:
    """Hand the file over, and show how the worker reads it; return what it came to."""
    began = time.monotonic()
    row = uploads.receive(tenant, _pieces(), uploads.Hints(name=_path().name), now=now())
    columns = (
        TextColumn("Importing"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, disable=not err.is_terminal) as progress:
        task = progress.add_task("", total=row.size)
        while row.is_open:
            time.sleep(LOOKS_EVERY)
            still_runs()
            row.refresh_from_db()
            progress.update(task, completed=row.position)
    seconds = time.monotonic() - began
    out.print(
        f"Imported in {seconds:.1f} s: {row.created} created, {row.updated} updated, "
        f"{row.unchanged} unchanged, {row.refused} refused. The first of these:"
    )
    for _, (line, why, raw) in zip(range(SHOWN), refusals(row), strict=False):
        said = raw.decode(row.encoding, errors="replace").strip()
        out.print(f"  line {line}: {said[:LETTERS]!r}: {why[:LETTERS]}", markup=False)
    return row


def _path() -> Path:
    return Path(settings.CLARION.data) / "clients.csv"


def _pieces() -> Iterator[bytes]:
    with _path().open("rb") as file:
        while piece := file.read(PIECE):
            yield piece
