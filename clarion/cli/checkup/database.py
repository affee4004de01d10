"""The database: it answers, keeps what it acknowledged, and has our tables."""

import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor

from clarion import checks
from clarion.cli.checkup.folder import database_file, may, quoted
from clarion.cli.output import program
from clarion.cli.remarks import Remark, ok, warning, wrong
from clarion.lib.logs import code_of

# A server that is there answers within milliseconds; without a limit one behind a firewall is waited for minutes, s.
PATIENCE = 5
# With these 16 bytes every SQLite file begins (sqlite.org/fileformat.html, 1.3).
SQLITE = b"SQLite format 3\0"
# It is written back from 4 MB on, so one that is sixteen times as long is kept from it by somebody who reads on and on.
LONG_LOG = 64 * 2**20
MEGABYTE = 10**6

# What servers say when they refuse, and what that means. Their own sentences are not shown: they repeat values.
REFUSALS = (
    (
        re.compile(r'password|authentication|access denied|role "', re.IGNORECASE),
        "the server refuses this user or password",
        "export CLARION_DATABASE_URL={scheme}://USER:PASSWORD@{host}/{name}",
    ),
    (
        re.compile(r'database "[^"]*" does not exist|unknown database', re.IGNORECASE),
        "the server has no database {name}",
        "CREATE DATABASE {name}{collation}",
    ),
    (
        re.compile(
            r"refused|can't connect|time(d )?[- ]?out|no such file|resolve|unknown host", re.IGNORECASE
        ),
        "nobody answers at {host}",
        "sudo systemctl start {engine}",
    ),
)
# How each server calls what the commands above name.
WORDS = {
    "postgresql": {"scheme": "postgres", "engine": "postgresql", "collation": ""},
    "mysql": {
        "scheme": "mysql",
        "engine": "mariadb",
        "collation": f" CHARACTER SET utf8mb4 COLLATE {checks.COLLATIONS[0]}",
    },
}


def reachable() -> Iterator[Remark]:
    """It answers. A file is looked at before it is connected to: that would make a database of an empty one."""
    file = database_file()
    yield _server() if file is None else _missing(file) or _file(file)


def _missing(file: Path) -> Remark | None:
    if not file.exists() or not file.stat().st_size:
        seen = "empty" if file.exists() else "not there"
        return wrong(f"{file} is {seen}: nothing is installed yet", f"{program()} migrate")
    if not may(file, os.R_OK | os.W_OK):
        return wrong(f"{file} cannot be written by this user", f"sudo chown {os.geteuid()} {quoted(file)}*")
    with file.open("rb") as begin:
        if begin.read(len(SQLITE)) != SQLITE:
            return wrong(f"{file} is no SQLite database", f"cp BACKUP/{file.name} {quoted(file)}")
    return None


def _file(file: Path) -> Remark:
    try:
        _ask("SELECT COUNT(*) FROM sqlite_master")
    except (DatabaseError, InterfaceError) as error:
        return wrong(f"{file} cannot be read: {_kind(error)}", f"cp BACKUP/{file.name} {quoted(file)}")
    return ok(f"SQLite {sqlite3.sqlite_version}, {file}, {file.stat().st_size / MEGABYTE:.1f} MB")


def _server() -> Remark:
    at: dict[str, Any] = connection.settings_dict
    place = ":".join(filter(None, (at["HOST"] or "this machine", at["PORT"])))
    at["OPTIONS"].setdefault("connect_timeout", PATIENCE)
    try:
        version = _ask("SHOW server_version" if connection.vendor == "postgresql" else "SELECT VERSION()")
    except (DatabaseError, InterfaceError) as error:
        names = {**WORDS[connection.vendor], "host": place, "name": at["NAME"]}
        for pattern, seen, mend in REFUSALS:
            if pattern.search(str(error)):
                return wrong(seen.format(**names), mend.format(**names))
        return wrong(
            f"{place} cannot be asked: {_kind(error)}", "sudo systemctl status {engine}".format(**names)
        )
    product = "PostgreSQL " if connection.vendor == "postgresql" else ""
    return ok(f"{product}{version}, database {at['NAME']} at {place}, user {at['USER']}")


def _ask(question: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchone()[0]


def _kind(error: Exception) -> str:
    return f"{type(error).__name__} {code_of(error)}".strip()


def durability() -> Iterator[Remark]:
    """What `clarion run` refuses to start without."""
    broken = checks.database_promises(None)
    for message in broken:
        yield wrong(message.msg, str(message.hint))
    if not broken:
        yield ok("what was acknowledged survives a power cut")


def migrations() -> Iterator[Remark]:
    loader = MigrationExecutor(connection).loader
    ours = sorted(name for app, name in loader.disk_migrations if app == "clarion")
    applied = {name for app, name in loader.applied_migrations if app == "clarion"}
    newer = sorted(applied - set(ours))
    missing = sorted(
        f"{app}.{name}" for app, name in set(loader.disk_migrations) - set(loader.applied_migrations)
    )
    if newer:
        seen = f"the database is newer than this program: it has {', '.join(newer)}"
        yield wrong(seen, "git pull && make core")
    elif not applied:
        yield wrong("the database has no tables yet", f"{program()} migrate")
    elif missing:
        yield wrong(
            f"the database is older than this program: {', '.join(missing)} missing", f"{program()} migrate"
        )
    else:
        yield ok(f"up to date, {ours[-1]}")


def file(*, deep: bool) -> Iterator[Remark]:
    """The write-ahead log beside a SQLite file, and with `deep` the file itself."""
    path = database_file()
    if path is None:
        return
    log = Path(f"{path}-wal")
    length = log.stat().st_size if log.exists() else 0
    if length > LONG_LOG:
        seen = f"the write-ahead log is {length / MEGABYTE:.0f} MB long: somebody reads without an end"
        yield warning(seen, f"lsof {quoted(path)}")
    else:
        yield ok(f"write-ahead log {length / MEGABYTE:.1f} MB")
    if deep:
        verdict = _ask("PRAGMA quick_check(1)")
        if verdict == "ok":
            yield ok("read from end to end, no damage")
        else:
            yield wrong(f"it is damaged: {verdict}", f"cp BACKUP/{path.name} {quoted(path)}")
