"""How a log grows without a gap, in the three dialects.

Numbers are given inside the transaction that stores the rows, under the lock of the tenant's head. So they commit in
their order, and what is rolled back gives its numbers back.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec
from django.db import connection, models

from clarion.models.bulk import Values, insert_rows, postgres_values, read, read_among
from clarion.models.tenants import Tenant

# So much of a batch goes in one statement, by the characters of its longest column.
MOST_BYTES = 4 * 1024 * 1024
# On MariaDB by the bytes of the statement: as it ships it breaks the connection above 16 MiB, so half of it. One event
# of 1 MiB may take all of that by itself: a quote in it has four bytes there, and a key attribute is in it twice.
MOST_ON_THE_WIRE = 8 * 1024 * 1024
# Numbers, times, commas and quotes of a row, bytes.
_BESIDE = 300
# And so many rows: SQLite stores them in about 25 ms, the longest that a turn should take.
MOST_ROWS = 5_000


class Log(NamedTuple):
    """A table of numbered entries, that of its heads (each tenant's last number), and the columns a caller gives.

    The first of them is the id, the last the longest.
    """

    heads: type[models.Model]
    entries: type[models.Model]
    columns: tuple[str, ...]

    @property
    def id_column(self) -> str:
        return self.columns[0]


def append(log: Log, tenant: Tenant, rows: Sequence[Values]) -> dict[str, int]:
    """Store rows of the log's columns; return id and number of the new.

    To be called in a transaction. The ids of `rows` differ from each other.
    """
    numbers: dict[str, int] = {}
    for piece in _pieces(rows):
        before = AT_ONCE[connection.vendor](log, tenant, piece)
        if before is None:
            piece, before = _step_by_step(log, tenant, piece)
        numbers |= {str(row[0]): before + n for n, row in enumerate(piece, 1)}
    return numbers


def _pieces(rows: Sequence[Values]) -> list[list[Values]]:
    weigh, most = (on_the_wire, MOST_ON_THE_WIRE) if connection.vendor == "mysql" else (_length, MOST_BYTES)
    pieces: list[list[Values]] = []
    size = 0
    for row in rows:
        weight = weigh(row)
        size += weight
        if not pieces or size > most or len(pieces[-1]) >= MOST_ROWS:
            pieces.append([])
            size = weight
        pieces[-1].append(row)
    return pieces


def _length(row: Values) -> int:
    return len(row[-1])


def on_the_wire(row: Values) -> int:
    """Return how many bytes a row has at most in a statement for MariaDB: it goes as JSON, in a text of SQL."""
    return _BESIDE + sum(_escaped(value) for value in row if isinstance(value, str))


def _escaped(text: str) -> int:
    size = len(text) if text.isascii() else len(text.encode())
    # JSON writes a quote and a backslash with a backslash before it, and SQL does so again for each of the two.
    size += 3 * (text.count('"') + text.count("\\")) + text.count("'")
    # A control character is seven bytes in the end. JSON has none, and only short columns are no JSON.
    return size if text.isprintable() else size + 6 * sum(each < " " for each in text)


def _at_once_on_postgres(log: Log, tenant: Tenant, rows: Sequence[Values]) -> int | None:
    """Take numbers and store, in one statement; None, and nothing done, where an id is known or the log is new.

    It is never the statement that leaves known ids out: it sees the log as it was before it waited for the head.
    """
    sql = _postgres_statement(log)
    document = msgspec.json.encode(rows, enc_hook=str).decode()
    with connection.cursor() as cursor:
        cursor.execute(sql, [len(rows), tenant.pk, len(rows), tenant.pk, document])
        before, stored = cursor.fetchone()
    if before is None:
        return None
    if stored != len(rows):
        _take_back(log, tenant, before)
        return None
    return int(before)


@cache
def _postgres_statement(log: Log) -> str:
    fields: list[Any] = [log.entries._meta.get_field(name) for name in log.columns]
    names = ", ".join(f'"{field.column}"' for field in fields)
    values, source = postgres_values(fields)
    return (
        f'WITH h AS (UPDATE "{log.heads._meta.db_table}" SET seq = seq + %s WHERE tenant_id = %s '
        f"RETURNING seq - %s AS before), "
        f'i AS (INSERT INTO "{log.entries._meta.db_table}" (tenant_id, seq, {names}) '
        f"SELECT %s, h.before + r.n, {values} FROM h CROSS JOIN {source} ORDER BY r.n "
        f"ON CONFLICT (tenant_id, {fields[0].column}) DO NOTHING RETURNING 1) "
        f"SELECT (SELECT before FROM h), (SELECT count(*) FROM i)"
    )


def _at_once_on_sqlite(log: Log, tenant: Tenant, rows: Sequence[Values]) -> int | None:
    """The same in three statements, which nobody comes between: this transaction is the only one that writes."""
    # Written out, because it is half of what a small batch costs.
    found = read(f"SELECT seq FROM {log.heads._meta.db_table} WHERE tenant_id = %s", [tenant.pk])
    if not found:
        return None
    before = int(found[0][0])
    if _store(log, tenant, rows, before, once=("tenant", log.id_column)) != len(rows):
        _take_back(log, tenant, before)
        return None
    _move_head(log, tenant, before + len(rows))
    return before


def _not_at_once(*_: Any) -> None:
    """MariaDB has no statement that stores and says how much of it was new without hiding what it cut."""


def _store(log: Log, tenant: Tenant, rows: Sequence[Values], before: int, *, once: Sequence[str] = ()) -> int:
    """Give the rows the numbers after `before`; with `once`, leave out those known by it; return how many went in."""
    numbered = [(tenant.pk, before + n, *row) for n, row in enumerate(rows, 1)]
    return insert_rows(log.entries, ("tenant", "seq", *log.columns), numbered, once=once)


def _take_back(log: Log, tenant: Tenant, before: int) -> None:
    """Undo what this transaction appended. Rare; a savepoint for each piece would cost every one of them."""
    log.entries._default_manager.filter(tenant=tenant, seq__gt=before).delete()
    _move_head(log, tenant, before)


def _move_head(log: Log, tenant: Tenant, seq: int) -> None:
    sql = f"UPDATE {log.heads._meta.db_table} SET seq = %s WHERE tenant_id = %s"
    with connection.cursor() as cursor:
        cursor.execute(sql, [seq, tenant.pk])


AT_ONCE: dict[str, Callable[..., int | None]] = {
    "postgresql": _at_once_on_postgres,
    "sqlite": _at_once_on_sqlite,
    "mysql": _not_at_once,
}


def _step_by_step(log: Log, tenant: Tenant, rows: Sequence[Values]) -> tuple[list[Values], int]:
    """Lock the head, see which ids are known, store the others; return these, and the number before theirs."""
    before = _locked_head(log, tenant)
    # A statement of its own, so it sees whatever was committed before the lock was had.
    known = {
        found
        for (found,) in read_among(
            f"SELECT {log.id_column} FROM {log.entries._meta.db_table} "
            f"WHERE tenant_id = %s AND {log.id_column} IN (…)",
            [tenant.pk],
            [row[0] for row in rows],
        )
    }
    fresh = [row for row in rows if row[0] not in known]
    if fresh:
        _store(log, tenant, fresh, before)
        _move_head(log, tenant, before + len(fresh))
    return fresh, before


def _locked_head(log: Log, tenant: Tenant) -> int:
    rows = log.heads._default_manager.filter(tenant=tenant)
    locked = rows.select_for_update().values_list("seq", flat=True).first()
    if locked is None:
        # Of two who begin a log at once, the second waits here for the first, and finds its row.
        log.heads._default_manager.get_or_create(tenant=tenant)
        locked = rows.select_for_update().values_list("seq", flat=True).first()
    return int(locked or 0)
