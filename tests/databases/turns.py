"""What the tests of the SQLite backend ask again and again: is the turn free, what is committed."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from clarion.databases.sqlite.base import DatabaseWrapper
from clarion.lib.turnstile import Turnstile, TurnTimeout

ENGINE = "clarion.databases.sqlite"
ALIAS = "turn"


def run(wrapper: DatabaseWrapper, query: str, params: Any = ()) -> list[Any]:
    with wrapper.cursor() as cursor:
        cursor.execute(query, params)
        return list(cursor.fetchall())


def notes(path: Path) -> int:
    """How many rows are committed, as another connection sees it."""
    with closing(sqlite3.connect(path)) as other:
        return int(other.execute("SELECT count(*) FROM note").fetchone()[0])


def in_thread(work: Callable[[], Any]) -> Any:
    answers = []
    thread = threading.Thread(target=lambda: answers.append(work()))
    thread.start()
    thread.join()
    return answers[0]


def free(path: Path) -> bool:
    """Whether another thread would get the turn at once, and SQLite's own lock with it."""

    def ask() -> bool:
        try:
            with Turnstile(path).turn(timeout=0), closing(sqlite3.connect(path, timeout=0)) as other:
                other.execute("BEGIN IMMEDIATE")
        except TurnTimeout:
            return False
        return True

    return bool(in_thread(ask))
