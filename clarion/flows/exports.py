"""Clients go out as a file: asked for, then written slice by slice by the worker, and given out when it is whole."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import structlog
from django.db import connection, transaction

from clarion.flows import rounds
from clarion.flows.columns import ID, MOST_COLUMNS, heading_of
from clarion.lib.cells import cell_of, guard
from clarion.lib.crashpoints import crashpoint
from clarion.lib.records import CSV, NDJSON
from clarion.models import Customer, Export, StoredFile, Tenant
from clarion.models.conditions import filter_of
from clarion.models.transactions import again_on_deadlock

log = structlog.get_logger()

MEDIA_TYPES = {CSV: "text/csv", NDJSON: "application/x-ndjson"}
# Clients in one transaction; what they come to is written in a few milliseconds (see imports.BATCH).
SLICE = {"sqlite": 1_000}
SERVER_SLICE = 5_000
# Slices of one round, each of another export as far as there are so many (see imports.ROUND).
ROUND = 5
# The columns of every file, in their order; behind them come the attributes.
FIELDS = ("phone", "operator_code", "tag", "timezone", "external_id")
# So that Excel reads it as UTF-8.
MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which clients go into a file, and in which format. None: all of them."""

    format: str
    operator_code: str | None = None
    tag: str | None = None
    filter: dict[str, Any] | None = None


@dataclass(slots=True)
class _Slice:
    """What the next clients of an export came to, before it is stored."""

    data: bytes
    names: Iterable[str]
    rows: int
    cursor: int
    is_last: bool


def create(tenant: Tenant, wanted: Wanted, *, now: datetime) -> Export:
    """Ask for a file of the clients there are now; the worker writes it.

    :raises BadFilter: nothing is stored then
    """
    if wanted.filter is not None:
        filter_of(wanted.filter)
    newest = Customer.objects.of(tenant).order_by("-id").values_list("id", flat=True).first()
    with transaction.atomic():
        name = f"clients-{now:%Y%m%d-%H%M%S}.{wanted.format}"
        file = StoredFile.objects.create(
            tenant=tenant, name=name, media_type=MEDIA_TYPES[wanted.format], created_at=now
        )
        row = Export.objects.create(
            tenant=tenant,
            file=file,
            format=wanted.format,
            operator_code_filter=wanted.operator_code,
            tag_filter=wanted.tag,
            filter=wanted.filter,
            is_surveyed=wanted.format != CSV,
            last_customer_id=newest or 0,
            created_at=now,
            served_at=now,
        )
    log.info("export_created", export_id=row.pk, tenant=tenant.name)
    return row


def run_due(now: datetime) -> int:
    """Write the next slices of the open exports, longest not served first; return how many slices."""
    rows = Export.objects.open().select_related("tenant", "file")[:ROUND]
    return rounds.in_turn(rows, lambda row: _serve(row, now), lambda row: _fail(row, now), most=ROUND)


def _fail(row: Export, now: datetime) -> Export | None:
    why = f"A mistake of ours behind client {row.cursor}; the log says more."
    return _under_lock(row, lambda locked: locked.end(Export.FAILED, why=why, now=now))


def _serve(row: Export, now: datetime) -> Export | None:
    # Read before the transaction: while one is open on SQLite nobody else writes.
    found = _surveyed(row) if not row.is_surveyed else _written(row)
    later = _under_lock(row, lambda locked: _store(locked, found, now))
    crashpoint("export.after_slice_commit")
    return later


def _under_lock(row: Export, edit: Callable[[Export], None]) -> Export | None:
    """Edit the row as it was read, save it and return it; None when another worker was faster."""

    def once() -> Export | None:
        with transaction.atomic():
            same = Export.objects.of(row.tenant).filter(
                pk=row.pk, cursor=row.cursor, is_surveyed=row.is_surveyed, state__in=Export.OPEN
            )
            locked = same.select_for_update(skip_locked=True).first()
            if locked is not None:
                # Its file as it is stored: what a try that was rolled back has appended is not there.
                locked.tenant = row.tenant
                edit(locked)
                locked.save()
                crashpoint("export.before_slice_commit")
        return locked

    return again_on_deadlock(once)


def _store(row: Export, found: _Slice, now: datetime) -> None:
    row.state, row.started_at, row.served_at = Export.RUNNING, row.started_at or now, now
    row.cursor = found.cursor
    if row.file is None:
        raise LookupError("a file is dropped only after its export has ended")
    new = {*found.names} - {*row.columns}
    row.columns = sorted({*row.columns, *new})
    if 1 + len(FIELDS) + len(row.columns) > MOST_COLUMNS:
        why = f"The clients have so many attributes that there are more than {MOST_COLUMNS} columns; take {NDJSON}."
        row.end(Export.FAILED, why=why, now=now)
        return
    if not row.is_surveyed:
        row.is_surveyed, row.cursor = found.is_last, 0 if found.is_last else row.cursor
        return
    if new:
        # Somebody was given an attribute after the survey; its column belongs into the header, so begin anew.
        row.file.clear()
        row.file.save()
        row.rows = row.cursor = 0
        return
    row.file.append(found.data)
    row.rows += found.rows
    if found.is_last:
        row.file.is_whole = True
        row.end(Export.DONE, now=now)
        log.info("export_ended", export_id=row.pk, tenant=row.tenant.name, rows=row.rows)
    row.file.save()


def _surveyed(row: Export) -> _Slice:
    """Look which attributes the next clients have."""
    found = list(_next(row).values_list("id", "attributes"))
    names = {name for _, attributes in found for name in attributes}
    return _Slice(b"", names, 0, found[-1][0] if found else row.cursor, len(found) < _size())


def _written(row: Export) -> _Slice:
    """Write down the next clients, in front of the first ones the header."""
    found = list(_next(row).values_list("id", *FIELDS, "attributes"))
    names: set[str] = set()
    if row.format == CSV:
        names = {name for *_, attributes in found for name in attributes}
        data = _cells(row, found)
    else:
        data = b"".join(msgspec.json.encode(_members(each)) + b"\n" for each in found)
    return _Slice(data, names, len(found), found[-1][0] if found else row.cursor, len(found) < _size())


def _next(row: Export) -> Any:
    return row.customers().filter(id__gt=row.cursor)[: _size()]


def _size() -> int:
    return SLICE.get(connection.vendor, SERVER_SLICE)


def _cells(row: Export, found: Sequence[tuple[Any, ...]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    if not row.rows:
        text.write(MARK)
        writer.writerow([ID, *FIELDS, *(guard(heading_of(name)) for name in row.columns)])
    for pk, *fields, attributes in found:
        values = [*fields, *(attributes.get(name) for name in row.columns)]
        writer.writerow([pk, *(guard(cell_of(value)) for value in values)])
    return text.getvalue().encode()


def _members(found: tuple[Any, ...]) -> Mapping[str, Any]:
    pk, *fields, attributes = found
    members = {"id": pk, **dict(zip(FIELDS, fields, strict=True)), "attributes": attributes}
    # As a single client is shown: what is ours alone where they have it.
    return {name: value for name, value in members.items() if name == "tag" or value not in (None, {})}
