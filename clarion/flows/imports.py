"""Clients come in by a file: a batch of its rows at a time, each whole or not at all, until it is read or cancelled."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from django.db import IntegrityError, connection, transaction

from clarion.flows import rounds
from clarion.flows.columns import BadHeader, BadRow, CellReader, Column, read_header, read_object
from clarion.lib.crashpoints import crashpoint
from clarion.lib.records import CSV, LEAST_PIECE, Record, Taken, take
from clarion.models import Import, Refusal, StoredFile
from clarion.models.transactions import MOST_TRIES, again_on_deadlock
from clarion.models.upserts import CREATED, REFUSED, UNCHANGED, UPDATED, Wish, upsert

log = structlog.get_logger()

# Rows in one transaction. On SQLite it keeps everybody else from writing, for about 25 ms; a server lets them.
BATCH = {"sqlite": 400}
SERVER_BATCH = 5_000
# Batches of one round, each of another tenant as far as there are so many: what else is due waits for 0.2 s at most.
# Looking at all that may be due costs a third of a batch, so one batch a round would be a third slower.
ROUND = 5
# Bytes that rows have in ordinary files; a batch of longer ones has fewer rows.
ORDINARY_ROW = 200
# Bytes of a line that is too long passed over at once: a gigabyte is done with in 256 batches.
SKIPPED = 4 * 1024 * 1024


class AlreadyOver(Exception):
    """It has ended, so it cannot be cancelled."""


@dataclass(slots=True)
class _Step:
    """What the next batch of a file came to, before it is stored."""

    wishes: list[tuple[Record, Wish]] = field(default_factory=list)
    refused: list[tuple[Record, str]] = field(default_factory=list)
    header: bytes = b""
    columns: Sequence[Column] = ()
    failure: str = ""
    bytes: int = 0
    lines: int = 0
    is_inside: bool = False


def run_due(now: datetime) -> int:
    """Read the next batches of the oldest open imports, one of every tenant; return how many batches."""
    rows = Import.objects.next_of_each_tenant().select_related("tenant", "file")[:ROUND]
    return rounds.in_turn(rows, lambda row: _serve(row, now), lambda row: _fail(row, now), most=ROUND)


def cancel(row: Import, *, now: datetime) -> Import:
    """Let no more of it be read; what was read stays. Cancelling twice is cancelling once.

    :raises AlreadyOver:
    """
    ended = _end(row, Import.CANCELLED, now=now)
    if ended.state != Import.CANCELLED:
        raise AlreadyOver("The import is over.")
    return ended


def _fail(row: Import, now: datetime) -> Import:
    why = f"A mistake of ours at line {row.line}; the log says more."
    return _end(row, Import.FAILED, why=why, now=now)


def _end(row: Import, state: str, *, why: str = "", now: datetime) -> Import:
    def once() -> Import:
        with transaction.atomic():
            locked = Import.objects.of(row.tenant).select_for_update().get(pk=row.pk)
            if locked.is_open:
                locked.end(state, why=why, now=now)
                locked.save()
        return locked

    return again_on_deadlock(once)


def _serve(row: Import, now: datetime) -> Import | None:
    """Read a batch and store it; return the import as it is then, None when another worker was faster.

    It is read before the transaction: while one is open on SQLite nobody else writes.
    """
    step = _read(row)

    def once() -> Import | None:
        with transaction.atomic():
            # As it was when the batch was read, or it was somebody else who went on with it.
            same = Import.objects.of(row.tenant).filter(
                pk=row.pk, position=row.position, state__in=Import.OPEN
            )
            locked = same.select_for_update(skip_locked=True).first()
            if locked is not None:
                locked.tenant, locked.file = row.tenant, row.file
                _store(locked, step, now)
                crashpoint("import.before_batch_commit")
        return locked

    later = again_on_deadlock(lambda: _again_on_conflict(once))
    crashpoint("import.after_batch_commit")
    return later


def _again_on_conflict(once: Callable[[], Import | None]) -> Import | None:
    """Run it again when somebody else made a client with one of the external ids in the same moment."""
    for remaining in reversed(range(MOST_TRIES)):
        try:
            return once()
        except IntegrityError:
            if not remaining:
                raise
    raise AssertionError("unreachable: the last try returns or raises")


def _read(row: Import) -> _Step:
    """Read the next batch, the header first where there is one."""
    most = BATCH.get(connection.vendor, SERVER_BATCH)
    if row.file is None:
        return _Step(failure="The file is gone.")
    taken = _take(row, row.file, most, size=SKIPPED if row.is_inside else most * ORDINARY_ROW)
    if not taken.bytes:
        taken = _take(row, row.file, most, size=LEAST_PIECE)
    if not taken.bytes and row.position < row.size:
        raise RuntimeError("no record ends in a piece that is long enough for one")
    step = _Step(bytes=taken.bytes, lines=taken.lines, is_inside=taken.is_inside, columns=row.columns)
    records = taken.records
    if row.format == CSV and not row.columns and records:
        records = _begin(step, records)
    elif row.format == CSV and not row.columns and row.position + taken.bytes >= row.size:
        step.failure = "The file has blank lines only."
    reader = CellReader(step.columns)
    for record in records:
        try:
            if record.why:
                raise BadRow(record.why)
            wish = reader.read(record.cells) if row.format == CSV else read_object(record.cells[0])
            step.wishes.append((record, wish))
        except BadRow as reason:
            step.refused.append((record, str(reason)))
    return step


def _take(row: Import, file: StoredFile, most: int, *, size: int) -> Taken:
    piece = file.read(row.position, size)
    is_end = row.position + len(piece) >= row.size
    return take(piece, row.form, most=most, is_end=is_end, is_inside=row.is_inside)


def _begin(step: _Step, records: list[Record]) -> list[Record]:
    """Take the header off the first records."""
    header, *rest = records
    try:
        if header.why:
            raise BadHeader(f"The first line cannot be read: {header.why}.")
        step.columns = read_header(header.cells)
    except BadHeader as error:
        step.failure = str(error)
        return []
    step.header = header.raw
    return rest


def _store(row: Import, step: _Step, now: datetime) -> None:
    """Write what a batch came to: clients, refusals, counts, and how far the reading is."""
    row.started_at, row.served_at = row.started_at or now, now
    if step.failure:
        row.end(Import.FAILED, why=step.failure, now=now)
        row.save()
        log.info("import_ended", import_id=row.pk, tenant=row.tenant.name, state=row.state)
        return
    wishes = [wish for _, wish in step.wishes]
    outcomes = upsert(row.tenant, wishes, as_text=row.format == CSV, now=now)
    counts = dict.fromkeys((CREATED, UPDATED, UNCHANGED, REFUSED), 0)
    refused = list(step.refused)
    for (record, _), outcome in zip(step.wishes, outcomes, strict=True):
        counts[outcome.what] += 1
        if outcome.what == REFUSED:
            refused.append((record, outcome.why))
    Refusal.objects.bulk_create(
        Refusal(origin=row, line=row.line + record.line, reason=why, raw=record.raw)
        for record, why in sorted(refused, key=lambda pair: pair[0].line)
    )
    row.created += counts[CREATED]
    row.updated += counts[UPDATED]
    row.unchanged += counts[UNCHANGED]
    row.refused += len(refused)
    row.position += step.bytes
    row.line += step.lines
    row.is_inside = step.is_inside
    row.columns, row.header = step.columns, step.header or row.header
    row.state = Import.RUNNING
    if row.position >= row.size:
        row.end(Import.DONE, now=now)
        log.info("import_ended", import_id=row.pk, tenant=row.tenant.name, state=row.state, rows=row.rows)
    row.save()
