"""The SQLite backend: which statements take a turn, and from when to when they keep it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connections, transaction

from clarion.databases.sqlite.base import BUSY_S, DatabaseWrapper, writes
from clarion.lib.turnstile import Turnstile
from tests.databases.turns import ALIAS, free, in_thread, notes, run


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1",
        "  select 1",
        "VALUES (1)",
        "EXPLAIN QUERY PLAN DELETE FROM note",
        "WITH n AS (SELECT 1) SELECT * FROM n",
        "PRAGMA data_version",
        "PRAGMA foreign_keys = ON",
        "PRAGMA main.table_info(note)",
    ],
)
def test_a_reading_statement_needs_no_turn(query: str) -> None:
    assert not writes(query)


@pytest.mark.parametrize(
    "query",
    [
        "INSERT INTO note VALUES (1, 'a')",
        "\n  update note set text = ''",
        "DELETE FROM note",
        "REPLACE INTO note VALUES (1, 'a')",
        "WITH n AS (SELECT 1) insert INTO note SELECT * FROM n",
        "CREATE TABLE t (a)",
        "VACUUM",
        "BEGIN IMMEDIATE",
        "SAVEPOINT s",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA main.journal_mode = DELETE",
        "/* a remark first */ SELECT 1",
        "",
    ],
)
def test_whatever_is_not_known_to_read_needs_one(query: str) -> None:
    assert writes(query)


# -- what a connection is


def test_a_connection_promises_what_is_acknowledged(db_file: DatabaseWrapper) -> None:
    assert run(db_file, "PRAGMA journal_mode") == [("wal",)]
    assert run(db_file, "PRAGMA synchronous") == [(2,)]  # FULL
    assert run(db_file, "PRAGMA foreign_keys") == [(1,)]
    assert run(db_file, "PRAGMA busy_timeout") == [(BUSY_S * 1000,)]
    assert db_file.transaction_mode == "IMMEDIATE"


@pytest.mark.parametrize("name", [":memory:", "file:clarion?mode=memory&cache=shared"])
def test_a_database_in_memory_needs_no_turnstile(
    connect: Callable[..., DatabaseWrapper], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wrapper = connect(name)

    with transaction.atomic(using=ALIAS):
        run(wrapper, "CREATE TABLE note (id)")
        assert not wrapper.has_turn

    assert run(wrapper, "SELECT count(*) FROM note") == [(0,)]
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_an_address_has_the_turnstile_of_its_file(
    connect: Callable[..., DatabaseWrapper], path: Path
) -> None:
    wrapper = connect(f"file:{path}?cache=private")

    with transaction.atomic(using=ALIAS):
        assert wrapper.has_turn
        assert not free(path)


# -- from BEGIN to COMMIT


def test_a_transaction_has_the_turn_until_it_commits(db_file: DatabaseWrapper, path: Path) -> None:
    with transaction.atomic(using=ALIAS):
        assert not free(path)
        with transaction.atomic(using=ALIAS):
            run(db_file, "INSERT INTO note VALUES (1, 'a')")
        assert not free(path)

    assert free(path)
    assert notes(path) == 1


def test_a_transaction_has_the_turn_until_it_is_rolled_back(db_file: DatabaseWrapper, path: Path) -> None:
    @transaction.atomic(using=ALIAS)
    def write_twice() -> None:
        run(db_file, "INSERT INTO note VALUES (1, 'a')")
        with pytest.raises(IntegrityError), transaction.atomic(using=ALIAS):
            run(db_file, "INSERT INTO note VALUES (1, 'b')")
        assert not free(path)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_twice()

    assert free(path)
    assert notes(path) == 0


def test_what_runs_on_commit_runs_after_the_turn(db_file: DatabaseWrapper, path: Path) -> None:
    seen = []

    with transaction.atomic(using=ALIAS):
        transaction.on_commit(lambda: seen.append(free(path)), using=ALIAS)

    assert seen == [True]


def test_a_transaction_begun_by_hand_has_the_turn_too(db_file: DatabaseWrapper, path: Path) -> None:
    run(db_file, "BEGIN")
    assert not free(path)

    run(db_file, "COMMIT")

    assert free(path)


def test_autocommit_switched_off_has_the_turn_from_its_first_write(
    db_file: DatabaseWrapper, path: Path
) -> None:
    transaction.set_autocommit(False, using=ALIAS)
    run(db_file, "SELECT * FROM note")
    assert free(path)
    run(db_file, "INSERT INTO note VALUES (1, 'a')")
    assert not free(path)

    transaction.commit(using=ALIAS)

    assert free(path)
    transaction.set_autocommit(True, using=ALIAS)


# -- outside a transaction


def test_a_write_by_itself_has_the_turn_for_itself(db_file: DatabaseWrapper, path: Path) -> None:
    with db_file.cursor() as cursor:
        cursor.execute("INSERT INTO note VALUES (1, 'a')")
        assert free(path)
        cursor.executemany("INSERT INTO note VALUES (%s, %s)", [(2, "b"), (3, "c")])
        assert free(path)
        cursor.cursor.executescript("INSERT INTO note VALUES (4, 'd'); BEGIN; DELETE FROM note; ROLLBACK;")

    assert free(path)
    assert notes(path) == 4


@pytest.mark.parametrize(
    "fetch",
    [
        lambda cursor: [cursor.fetchone(), cursor.fetchone(), *cursor.fetchmany(5)],
        lambda cursor: [*cursor.fetchmany(2), cursor.fetchone()],
        lambda cursor: [*cursor.fetchmany(), *cursor.fetchall()],
        lambda cursor: list(cursor),
    ],
)
def test_rows_returned_by_a_write_are_there_when_its_turn_is_over(
    db_file: DatabaseWrapper, path: Path, fetch: Callable[[Any], list[Any]]
) -> None:
    with db_file.cursor() as cursor:
        cursor.execute("INSERT INTO note (text) VALUES ('a'), ('b'), ('c') RETURNING id")

        assert free(path)
        assert notes(path) == 3
        assert fetch(cursor) == [(1,), (2,), (3,)]
        assert cursor.fetchone() is None
        cursor.execute("SELECT text FROM note ORDER BY id")
        assert cursor.fetchall() == [("a",), ("b",), ("c",)]


def test_a_read_waits_for_nobody(db_file: DatabaseWrapper, path: Path) -> None:
    def read_while_another_thread_has_the_turn() -> list[Any]:
        try:
            return run(connections[ALIAS], "SELECT count(*) FROM note")
        finally:
            connections[ALIAS].close()

    with transaction.atomic(using=ALIAS):
        run(db_file, "INSERT INTO note VALUES (1, 'a')")
        assert in_thread(read_while_another_thread_has_the_turn) == [(0,)]


def test_a_write_that_gets_no_turn_says_that_the_database_is_locked(
    db_file: DatabaseWrapper, path: Path
) -> None:
    def write() -> str:
        try:
            with transaction.atomic(using=ALIAS):
                return "wrote"
        except OperationalError as error:
            return str(error)
        finally:
            connections[ALIAS].close()

    with Turnstile(path).turn():
        refusal = in_thread(write)

    assert refusal.startswith("database is locked: no turn")
    assert in_thread(write) == "wrote"
