"""Refuses to start half-configured or less durable than promised. Run by every command through Django's checks."""

import re
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core import checks
from django.db import DatabaseError, InterfaceError, NotSupportedError, connection

LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Compare byte by byte and do not ignore trailing blanks: MariaDB's and MySQL's names for it.
COLLATIONS = ("utf8mb4_nopad_bin", "utf8mb4_0900_bin")
# The first with SKIP LOCKED (10.6), by which workers share the work, and with JSON_TABLE (10.6), by which rows are stored.
OLDEST_MARIADB = (10, 6)
# The database could not be asked.
AWAY = "clarion.E003"


def register() -> None:
    checks.register(development_mode)
    checks.register(database_promises, checks.Tags.database)


def development_mode(app_configs: Any, **_: Any) -> list[checks.CheckMessage]:
    """Without credentials, nobody but this machine may reach the port."""
    if settings.CLARION.dev and settings.CLARION.host not in LOOPBACK:
        hint = "Unset CLARION_DEV, or set CLARION_HOST=127.0.0.1."
        return [checks.Error("Development mode listens on loopback only.", hint=hint, id="clarion.E001")]
    return []


def database_promises(app_configs: Any, **_: Any) -> list[checks.CheckMessage]:
    """What is acknowledged must survive a power cut, and ids that differ must stay different."""
    look = {"sqlite": _sqlite, "postgresql": _postgres, "mysql": _mysql}[connection.vendor]
    try:
        return [checks.Error(sentence, hint=hint, id="clarion.E002") for sentence, hint in look()]
    except NotSupportedError as error:
        # Django's own floor, which it names: PostgreSQL 14, MySQL 8.0.11.
        return [checks.Error(f"{error}.", hint="Take a newer server.", id="clarion.E002")]
    except (DatabaseError, InterfaceError) as error:
        hint = "Is the server up, and CLARION_DATABASE_URL right?"
        sentence = f"The database cannot be asked: {type(error).__name__}."
        return [checks.Error(sentence, hint=hint, id=AWAY)]


def reasons_not_to_start() -> list[checks.CheckMessage]:
    """What a process that is started by hand refuses. A database that is away is none: it may come back."""
    found = [*development_mode(None), *database_promises(None)]
    return [message for message in found if message.id != AWAY]


def _sqlite() -> Iterator[tuple[str, str]]:
    if _ask("PRAGMA synchronous") != 2:
        yield "SQLite's synchronous is not FULL.", "Use the engine clarion.databases.sqlite."
    if _ask("PRAGMA journal_mode") not in ("wal", "memory"):
        yield (
            "SQLite does not keep a write-ahead log.",
            "Put the file on a local disk: WAL needs shared memory.",
        )


def _postgres() -> Iterator[tuple[str, str]]:
    for name in ("fsync", "full_page_writes"):
        if _ask(f"SHOW {name}") != "on":
            yield (
                f"PostgreSQL's {name} is off: a power cut could lose or damage data.",
                f"ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf();",
            )
    if _ask("SHOW synchronous_commit") == "off":
        yield (
            "PostgreSQL's synchronous_commit is off: a power cut could lose what was acknowledged.",
            "ALTER SYSTEM SET synchronous_commit = on; SELECT pg_reload_conf();",
        )


def _mysql() -> Iterator[tuple[str, str]]:
    yield from too_old(str(_ask("SELECT VERSION()")))
    if _ask("SELECT @@innodb_flush_log_at_trx_commit") != 1:
        yield (
            "innodb_flush_log_at_trx_commit is not 1: a power cut could lose what was acknowledged.",
            "SET GLOBAL innodb_flush_log_at_trx_commit = 1; and the same in the server's configuration.",
        )
    if _ask("SELECT @@log_bin") == 1 and _ask("SELECT @@sync_binlog") != 1:
        yield (
            "sync_binlog is not 1 while the binary log is on.",
            "SET GLOBAL sync_binlog = 1; and the same in the server's configuration.",
        )
    collation = _ask("SELECT @@collation_database")
    if collation not in COLLATIONS:
        hint = f"ALTER DATABASE … CHARACTER SET utf8mb4 COLLATE {COLLATIONS[0]}, before the first migration."
        yield f"The database's collation {collation} joins ids that differ in case or in blanks.", hint
    if "STRICT_ALL_TABLES" not in str(_ask("SELECT @@sql_mode")):
        yield (
            "The server cuts values that are too long (sql_mode is not strict).",
            "Leave sql_mode to Clarion.",
        )


def too_old(version: str) -> Iterator[tuple[str, str]]:
    """Complain about a MariaDB, by what it calls itself, that lacks what Clarion runs on."""
    numbers = re.search(r"(\d+)\.(\d+)\.\d+-mariadb", version, re.IGNORECASE)
    if numbers and (int(numbers[1]), int(numbers[2])) < OLDEST_MARIADB:
        wanted = ".".join(map(str, OLDEST_MARIADB))
        yield (
            f"MariaDB {version} is too old: it has no SKIP LOCKED or no JSON_TABLE.",
            f"Take {wanted} or newer.",
        )


def _ask(question: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchone()[0]
