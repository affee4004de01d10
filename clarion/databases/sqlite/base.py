"""Django's SQLite backend, with every write behind the turnstile of the database file (lib/turnstile.py).

Why: SQLite lets one write at a time, and who waits for it sleeps and looks again, so a process that commits
back to back starves every other one. Here each write transaction takes a fair turn before BEGIN and gives it
back after COMMIT or ROLLBACK. A checkpoint runs inside a commit or a close, hence inside a turn, and meets no
write.
"""

import contextlib
import os
import re
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.db.backends.sqlite3 import base

from clarion.databases.sqlite.creation import DatabaseCreation
from clarion.lib.turnstile import PATIENCE_S, Turn, Turnstile, TurnTimeout

# Behind the turnstile nobody of ours makes SQLite wait; a shell on the file, or a backup, may for a moment.
BUSY_S = 5.0

# Whatever is not known to read takes a turn: one turn too many costs microseconds, one too few a lost race.
_READING_WORDS = {"SELECT", "VALUES", "EXPLAIN"}
_WRITING_PRAGMAS = {
    "APPLICATION_ID",
    "AUTO_VACUUM",
    "INCREMENTAL_VACUUM",
    "JOURNAL_MODE",
    "OPTIMIZE",
    "USER_VERSION",
    "WAL_CHECKPOINT",
}
_FIRST_WORD = re.compile(r"\s*(\w*)(?:\s+(?:\w+\.)?(\w+))?")
_CHANGING_WORD = re.compile(r"\b(?:INSERT|UPDATE|DELETE|REPLACE)\b", re.IGNORECASE)


def writes(query: str) -> bool:
    """Say whether a statement may write, and so needs a turn outside a transaction. In doubt it may."""
    if query.startswith("SELECT"):  # nearly all of Django's
        return False
    first = _FIRST_WORD.match(query)
    word, second = (first[1].upper(), (first[2] or "").upper()) if first else ("", "")
    if word == "WITH":
        return _CHANGING_WORD.search(query) is not None
    if word == "PRAGMA":
        return second in _WRITING_PRAGMAS
    return word not in _READING_WORDS


class DatabaseWrapper(base.DatabaseWrapper):
    """One connection. OPTIONS: Django's, and `turn_timeout`: how many seconds a turn is waited for.

    Transactions begin IMMEDIATE, so one that only reads passes the turnstile as well: a read that turns into
    a write later could not wait (SQLite refuses it at once). Reads outside a transaction pass nothing. What
    goes around Django's cursors (the raw connection) takes its own turn. A database in memory has no
    turnstile.
    """

    creation_class = DatabaseCreation

    def __init__(self, settings_dict: dict[str, Any], alias: str = "default") -> None:
        super().__init__(settings_dict, alias)
        self._patience = PATIENCE_S
        self._turnstile: Turnstile | None = None
        self._turn: Turn | None = None

    def get_connection_params(self) -> dict[str, Any]:
        params: dict[str, Any] = super().get_connection_params()
        self.transaction_mode: str = self.transaction_mode or "IMMEDIATE"
        self._patience = params.pop("turn_timeout", PATIENCE_S)
        params.setdefault("timeout", BUSY_S)
        return params

    def get_new_connection(self, conn_params: dict[str, Any]) -> sqlite3.Connection:
        if not self.is_in_memory_db():
            # As private as the file: it holds what people were sent.
            Path(_file_of(conn_params["database"])).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection: sqlite3.Connection = super().get_new_connection(conn_params)
        try:
            # FULL, said aloud: what is acknowledged survives a power cut. Not every build of SQLite has it as
            # its default, and NORMAL loses the last commits in WAL mode.
            connection.execute("PRAGMA synchronous = FULL")
            self._turnstile = None if self.is_in_memory_db() else Turnstile(_file_of(conn_params["database"]))
            if self._turnstile is not None:
                _mourn(self)
                self._write_ahead(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _write_ahead(self, connection: sqlite3.Connection) -> None:
        # The mode is kept in the file. Setting it needs the file alone and does not wait for others, so it is
        # set once, in a turn; checkpoints stay at SQLite's own 1,000 pages.
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            self.take_turn()
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            finally:
                self._give_turn()

    def create_cursor(self, name: str | None = None) -> base.SQLiteCursorWrapper:
        if self._turnstile is None:
            plain: base.SQLiteCursorWrapper = super().create_cursor(name)
            return plain
        cursor: TurnCursor = self.connection.cursor(factory=TurnCursor)
        cursor.wrapper = self
        return cursor

    @property
    def has_turn(self) -> bool:
        """Whether this connection keeps its turn at present: from BEGIN to COMMIT or ROLLBACK."""
        return self._turn is not None

    def take_turn(self, patience: float | None = None) -> None:
        """Wait for the turn, if this connection does not have it.

        :raises sqlite3.OperationalError: none came in time, or the lock files cannot be used
        """
        if self._turn is None and self._turnstile is not None:
            try:
                self._turn = self._turnstile.turn(self._patience if patience is None else patience)
            except TurnTimeout as error:
                raise sqlite3.OperationalError(f"database is locked: {error}") from error
            except OSError as error:
                raise sqlite3.OperationalError(f"the turnstile cannot be used: {error}") from error

    def settle_turn(self) -> None:
        """Give the turn back unless a transaction is open. Called after whatever may have ended one.

        SQLite is asked, not Django: it knows of a BEGIN that failed, of a COMMIT that was refused and leaves
        the transaction open, and of an error that rolled everything back.
        """
        if self._turn is None:
            return
        try:
            if self.connection is not None and self.connection.in_transaction:
                return
        except sqlite3.ProgrammingError:
            pass  # closed behind our back, which rolled back
        self._give_turn()

    def _give_turn(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.release()

    def _commit(self) -> None:
        try:
            super()._commit()  # type: ignore[misc]
        finally:
            self.settle_turn()

    def _rollback(self) -> None:
        try:
            super()._rollback()  # type: ignore[misc]
        finally:
            self.settle_turn()

    def _close(self) -> None:
        # The last connection that closes writes a checkpoint, so it does that in a turn. Who finds the turn
        # taken is not the last one: whoever has it has a connection too.
        with contextlib.suppress(sqlite3.OperationalError):
            self.take_turn(patience=0)
        try:
            super()._close()  # type: ignore[misc]
        finally:
            self._give_turn()

    def give_up(self) -> None:
        """End what a dead thread left open: roll back by closing, then let the next one in."""
        if self._turn is not None and not self.allow_thread_sharing:
            try:
                with contextlib.suppress(sqlite3.Error):
                    self.connection.close()
            finally:
                self._give_turn()


class TurnCursor(base.SQLiteCursorWrapper):
    """A cursor whose writes take a turn: for one statement, or for the transaction that it begins."""

    wrapper: DatabaseWrapper
    _kept: Iterator[Any] | None = None

    def convert_query(self, query: str, *, param_names: Any = None) -> str:
        if param_names is None:
            return _with_question_marks(query)
        named: str = super().convert_query(query, param_names=param_names)
        return named

    def execute(self, query: str, params: Any = None) -> "TurnCursor":
        self._kept = None
        if not self.wrapper.has_turn and not writes(query):
            super().execute(query, params)
            return self
        self.wrapper.take_turn()
        try:
            super().execute(query, params)
            self._keep_rows()
        finally:
            self.wrapper.settle_turn()
        return self

    def executemany(self, query: str, param_list: Any) -> "TurnCursor":
        self._kept = None
        self.wrapper.take_turn()
        try:
            super().executemany(query, param_list)
        finally:
            self.wrapper.settle_turn()
        return self

    def executescript(self, script: str) -> "TurnCursor":
        self._kept = None
        self.wrapper.take_turn()
        try:
            super().executescript(script)
        finally:
            self.wrapper.settle_turn()
        return self

    def _keep_rows(self) -> None:
        # INSERT … RETURNING outside a transaction commits when its last row is fetched, not when it is
        # executed; so the rows are fetched within the turn and handed out from here.
        if self.description is not None and not self.connection.in_transaction:
            self._kept = iter(super().fetchall())

    def fetchone(self) -> Any:
        return super().fetchone() if self._kept is None else next(self._kept, None)

    def fetchmany(self, size: int | None = None) -> list[Any]:
        size = self.arraysize if size is None else size
        if self._kept is None:
            return super().fetchmany(size)
        return [row for _, row in zip(range(size), self._kept, strict=False)]

    def fetchall(self) -> list[Any]:
        return super().fetchall() if self._kept is None else list(self._kept)

    def __next__(self) -> Any:
        return super().__next__() if self._kept is None else next(self._kept)


@lru_cache(maxsize=256)  # a process has fewer statements that it says again and again
def _with_question_marks(query: str) -> str:
    """Return the statement as the driver has it, as Django does; an INSERT of many rows is long to go through each time."""
    return base.FORMAT_QMARK_REGEX.sub("?", query).replace("%%", "%")


class _Estate:
    """The connections of one thread. Ends with it, and ends what they left open.

    Without it an open transaction would keep its turn until the garbage collector comes by: Django's
    connections hold themselves in cycles.
    """

    def __init__(self) -> None:
        self.left: set[weakref.ref[DatabaseWrapper]] = set()

    def __del__(self) -> None:
        for reference in self.left:
            wrapper = reference()
            if wrapper is not None:
                wrapper.give_up()


_thread = threading.local()


def _mourn(wrapper: DatabaseWrapper) -> None:
    if not hasattr(_thread, "estate"):
        _thread.estate = _Estate()
    _thread.estate.left.add(weakref.ref(wrapper))


def _file_of(name: Any) -> str:
    text = os.fspath(name)
    return unquote(urlsplit(text).path) if text.startswith("file:") else text
