"""Many rows in one statement, in the three dialects. The only place that knows how each database takes a table of values."""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from typing import Any

import msgspec
from django.db import connection, models

Values = tuple[Any, ...]
# Rows in one INSERT on SQLite. More make it no faster; and with 16 columns 2,047 is all that its 32,766 places allow.
_MOST_AT_ONCE = 64


def lock_rows(
    model: type[models.Model],
    columns: Sequence[str],
    where: str,
    values: Sequence[Any],
    *,
    skip_locked: bool = False,
) -> list[Values]:
    """Lock the rows that `where` (with its ORDER BY) names, and return these columns: numbers, and texts.

    A time comes as a text, which `moment` reads. Written out, because what the ORM does with each row on the way
    was measured at 28 to 54 µs, more than all the rest of a row's way out.
    """
    sql = _select(model, columns, where)
    if connection.features.has_select_for_update:
        sql += " FOR UPDATE SKIP LOCKED" if skip_locked else " FOR UPDATE"
    return read(sql, values)


def read_rows(
    model: type[models.Model], columns: Sequence[str], ids: Collection[int], *expressions: str
) -> list[Values]:
    """Return these columns of the rows with these ids, in any order, as `lock_rows` does; a document comes as its text.

    Behind them stands what each of the SQL `expressions` gives for the row.
    """
    where = f"id IN ({numbers(ids)})"
    return read(_select(model, columns, where, *expressions), []) if ids else []


def select_rows(
    model: type[models.Model], columns: Sequence[str], where: str, values: Sequence[Any]
) -> list[Values]:
    """Return these columns of the rows that `where` names, as `lock_rows` does, locking nothing."""
    return read(_select(model, columns, where), values)


def read(sql: str, values: Sequence[Any]) -> list[Values]:
    """Return the rows of a SELECT, as the driver gives them; `moment` reads their times."""
    adapt = _adapter()
    with connection.cursor() as cursor:
        cursor.execute(sql, [adapt(value) for value in values])
        return list(cursor.fetchall())


def numbers(ids: Iterable[int]) -> str:
    """Return ids of our own as they stand in a statement: a place for each costs a driver 3 µs."""
    return ", ".join(str(int(each)) for each in ids)


def read_among(sql: str, values: Sequence[Any], among: Sequence[Any]) -> list[Values]:
    """Return the rows of a SELECT that asks `IN (…)` after all else: whether something is one of `among`.

    Written out for the same reason: the ORM looks at each of the values, for 3 µs.
    """
    sql, given = spread(sql, among)
    with connection.cursor() as cursor:
        cursor.execute(sql, [*values, *given])
        return list(cursor.fetchall())


def spread(sql: str, among: Sequence[Any]) -> tuple[str, list[Any]]:
    """Write `IN (…)` out for these values; return the SQL and the parameters that belong there."""
    if connection.vendor == "postgresql":
        # One place for all of them: filling in 5,000 took the driver longer than the server needs for the answer.
        return sql.replace("IN (…)", "= ANY(%s)"), [list(among)]
    return sql.replace("…", ", ".join(["%s"] * len(among))), list(among)


@lru_cache(maxsize=4096)
def moment(value: str | datetime) -> datetime:
    """Return the time that a database gave: as a text or not, with its zone or not. Kept, because it stands in many rows."""
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def update_rows(model: type[models.Model], columns: Sequence[str], rows: Sequence[Values]) -> None:
    """Write `columns` of the rows whose ids come first in each of `rows`: (id, value, value, …).

    One statement, however many rows: on PostgreSQL a statement per row was measured at 4,200 rows/s, this at 54,000.
    """
    fields: list[Any] = [model._meta.get_field(name) for name in columns]
    prepared = _adapted([None, *fields], rows)
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            assignments = ", ".join(f'"{field.column}" = %s' for field in fields)
            sql = f'UPDATE "{model._meta.db_table}" SET {assignments} WHERE id = %s'
            cursor.executemany(sql, [(*row[1:], row[0]) for row in prepared])
            return
        document = msgspec.json.encode(prepared, enc_hook=str).decode()
        build = _postgres if connection.vendor == "postgresql" else _mysql
        cursor.execute(build(model._meta.db_table, fields), [document])


def insert_rows(
    model: type[models.Model], columns: Sequence[str], rows: Sequence[Values], *, once: Sequence[str] = ()
) -> int:
    """Make a row of these columns for each of `rows`; what a database fills in by itself is left out.

    One statement, however many rows; on SQLite some. A JSON column takes its document as a text. Where there is a row
    already that is the same in the columns `once` (a unique constraint; not on MariaDB), none is made. Return how many were.
    """
    fields: list[Any] = [model._meta.get_field(name) for name in columns]
    prepared = _adapted(fields, rows)
    quote = connection.ops.quote_name
    table, names = quote(model._meta.db_table), ", ".join(quote(field.column) for field in fields)
    unique = ", ".join(quote(field.column) for field in fields if field.name in once)
    else_nothing = f" ON CONFLICT ({unique}) DO NOTHING" if once else ""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            return _insert_in_pieces(cursor, f"INSERT INTO {table} ({names}) VALUES", prepared, else_nothing)
        document = msgspec.json.encode(prepared, enc_hook=str).decode()
        if connection.vendor == "postgresql":
            values, source = postgres_values(fields)
        else:
            values = ", ".join(f"r.c{n}" for n in range(len(fields)))
            source = f"JSON_TABLE(%s, '$[*]' COLUMNS (n FOR ORDINALITY, {_paths(fields, 0)})) AS r"
        sql = f"INSERT INTO {table} ({names}) SELECT {values} FROM {source} ORDER BY r.n{else_nothing}"
        cursor.execute(sql, [document])
        return int(cursor.rowcount)


def _insert_in_pieces(cursor: Any, head: str, rows: Sequence[Sequence[Any]], tail: str) -> int:
    """Insert with few statements, each of a size that was seen before, and so compiled; return how many rows went in.

    With each statement the thread lets go of the interpreter and has to get it back: with one for each row, a server
    that was busy meanwhile took a quarter fewer events.
    """
    made = at = 0
    while at < len(rows):
        size = min(_MOST_AT_ONCE, 1 << (len(rows) - at).bit_length() - 1)
        slots = ", ".join([f"({', '.join(['%s'] * len(rows[at]))})"] * size)
        cursor.execute(f"{head} {slots}{tail}", list(chain.from_iterable(rows[at : at + size])))
        made += cursor.rowcount
        at += size
    return made


def postgres_values(fields: Sequence[Any]) -> tuple[str, str]:
    """Return how PostgreSQL reads the values of `fields` from rows in a document, and the source with its one place.

    The source is `r`; `r.n` counts its rows from 1.
    """
    values = ", ".join(f"(r.v ->> {n})::{_uncut(field)}" for n, field in enumerate(fields))
    return values, "jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS r(v, n)"


def add_to_counts(model: type[models.Model], key: Sequence[str], rows: Sequence[Values]) -> None:
    """Add to the counters with these keys: (key, …, by). The first three columns are the unique key.

    One statement; a counter that is missing is made, also when another transaction makes it at the same time.
    """
    table = connection.ops.quote_name(model._meta.db_table)
    slots = ", ".join(["(" + ", ".join(["%s"] * (len(key) + 1)) + ")"] * len(rows))
    if connection.vendor == "mysql":
        on_conflict = "ON DUPLICATE KEY UPDATE `count` = `count` + VALUES(`count`)"
    else:
        unique = ", ".join(key[:3])
        on_conflict = f'ON CONFLICT ({unique}) DO UPDATE SET "count" = {table}."count" + excluded."count"'
    names = ", ".join(map(connection.ops.quote_name, (*key, "count")))
    with connection.cursor() as cursor:
        sql = f"INSERT INTO {table} ({names}) VALUES {slots} {on_conflict}"
        cursor.execute(sql, [value for row in rows for value in row])


def _postgres(table: str, fields: Sequence[Any]) -> str:
    assignments = ", ".join(
        f'"{field.column}" = (r.v ->> {n})::{_uncut(field)}' for n, field in enumerate(fields, 1)
    )
    return (
        f'UPDATE "{table}" AS t SET {assignments} '
        "FROM jsonb_array_elements(%s::jsonb) AS r(v) WHERE t.id = (r.v ->> 0)::bigint"
    )


def _mysql(table: str, fields: Sequence[Any]) -> str:
    assignments = ", ".join(f"t.`{field.column}` = r.c{n}" for n, field in enumerate(fields, 1))
    columns = f"id BIGINT PATH '$[0]', {_paths(fields, 1)}"
    # By the ids, and in this order: left to itself it looks through a small table, and waits for others' rows.
    return (
        f"UPDATE JSON_TABLE(%s, '$[*]' COLUMNS ({columns})) AS r STRAIGHT_JOIN `{table}` AS t "
        f"FORCE INDEX (PRIMARY) "
        f"ON t.id = r.id SET {assignments}"
    )


def _paths(fields: Sequence[Any], first: int) -> str:
    """Where MariaDB finds the value of each field in a row. Without ERROR one that does not fit would become NULL."""
    return ", ".join(
        f"c{n} {_longer(field)} PATH '$[{n}]' ERROR ON ERROR" for n, field in enumerate(fields, first)
    )


def _readable(field: Any) -> str:
    column: str = connection.ops.quote_name(field.column)
    if not isinstance(field, models.DateTimeField):
        return column
    return f"CAST({column} AS {'char' if connection.vendor == 'mysql' else 'text'})"


def _select(model: type[models.Model], columns: Sequence[str], where: str, *expressions: str) -> str:
    named = ", ".join([*map(_readable, map(model._meta.get_field, columns)), *expressions])
    return f"SELECT {named} FROM {connection.ops.quote_name(model._meta.db_table)} WHERE {where}"


def _adapted(fields: Sequence[Any], rows: Sequence[Values]) -> Sequence[Sequence[Any]]:
    """Return the rows with their times as the database takes them; PostgreSQL takes them as they are.

    Only columns of times are looked at: asking every value what it is took a tenth of a round.
    """
    times = [n for n, field in enumerate(fields) if isinstance(field, models.DateTimeField)]
    if not times or connection.vendor == "postgresql":
        return rows
    adapt = _adapter()
    prepared = [list(row) for row in rows]
    known: dict[Any, Any] = {}
    for row in prepared:
        for n in times:
            value = row[n]
            # Looked up here, because one moment stands in many rows and a call costs more than the look.
            if value not in known:
                known[value] = adapt(value)
            row[n] = known[value]
    return prepared


def _adapter() -> Callable[[Any], Any]:
    """Return what makes a value one that the database takes. Only times need it."""
    adapt_time = connection.ops.adapt_datetimefield_value
    return lambda value: adapt_time(value) if isinstance(value, datetime) else value


def _longer(field: Any) -> str:
    """The type to read a value as. MariaDB cuts it to varchar(n) in silence; one more character, and the column refuses."""
    kind: str = field.db_type(connection)
    if isinstance(field, models.JSONField):
        return "longtext"
    return f"varchar({field.max_length + 1})" if kind.startswith("varchar") else kind


def _uncut(field: Any) -> str:
    """The type to cast a text to. To varchar(n) PostgreSQL would cut; the column refuses what is too long."""
    kind: str = field.db_type(connection)
    return "text" if kind.startswith("varchar") else kind
