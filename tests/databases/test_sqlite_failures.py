"""The SQLite backend when things go wrong: no error, no close and no death leaves a turn behind."""

import gc
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from django.db import (
    DatabaseError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    connections,
    transaction,
)

from clarion.databases.sqlite.base import DatabaseWrapper
from tests.databases.turns import ALIAS, free, in_thread, notes, run


def test_a_begin_that_fails_gives_the_turn_back(connect: Callable[..., DatabaseWrapper], path: Path) -> None:
    wrapper = connect(path, timeout=0.01)
    run(wrapper, "CREATE TABLE note (id)")
    with closing(sqlite3.connect(path, isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")

        with pytest.raises(OperationalError, match="locked"), transaction.atomic(using=ALIAS):
            pass

        assert not wrapper.has_turn
    assert free(path)


def test_a_commit_that_is_refused_gives_the_turn_back(db_file: DatabaseWrapper, path: Path) -> None:
    run(db_file, "CREATE TABLE of_note (note REFERENCES note DEFERRABLE INITIALLY DEFERRED)")

    with pytest.raises(IntegrityError), transaction.atomic(using=ALIAS):
        run(db_file, "INSERT INTO of_note VALUES (99)")

    assert free(path)


def test_an_error_that_ends_the_transaction_gives_the_turn_back(db_file: DatabaseWrapper, path: Path) -> None:
    run(db_file, "INSERT INTO note VALUES (1, 'a')")

    @transaction.atomic(using=ALIAS)
    def write_again() -> None:
        try:
            run(db_file, "INSERT OR ROLLBACK INTO note VALUES (1, 'a')")
        finally:
            assert free(path)

    with pytest.raises(IntegrityError):
        write_again()

    assert free(path)


def test_a_wrong_statement_gives_the_turn_back(db_file: DatabaseWrapper, path: Path) -> None:
    for query, params in (("INSERT INTO nothing VALUES (1)", ()), ("INSERT INTO note VALUES (%s)", ())):
        with pytest.raises(DatabaseError):
            run(db_file, query, params)

        assert free(path)


def test_a_connection_closed_in_a_transaction_gives_the_turn_back(
    db_file: DatabaseWrapper, path: Path
) -> None:
    with transaction.atomic(using=ALIAS):
        run(db_file, "INSERT INTO note VALUES (1, 'a')")
        db_file.close()
        assert free(path)

    assert notes(path) == 0


def test_a_connection_closed_behind_our_back_gives_the_turn_back(
    db_file: DatabaseWrapper, path: Path
) -> None:
    @transaction.atomic(using=ALIAS)
    def write_and_close() -> None:
        run(db_file, "INSERT INTO note VALUES (1, 'a')")
        db_file.connection.close()

    with pytest.raises(ProgrammingError):
        write_and_close()

    assert free(path)
    assert notes(path) == 0


def test_a_thread_that_dies_in_a_transaction_gives_the_turn_back(
    db_file: DatabaseWrapper, path: Path
) -> None:
    def begin_and_die() -> None:
        transaction.atomic(using=ALIAS).__enter__()
        run(connections[ALIAS], "INSERT INTO note VALUES (1, 'a')")

    gc.disable()  # the collector would end it too, but nobody knows when it comes by
    try:
        in_thread(begin_and_die)

        assert free(path)
    finally:
        gc.enable()
    assert notes(path) == 0


def test_a_folder_that_was_taken_away_does_not_keep_a_connection_from_closing(
    connect: Callable[..., DatabaseWrapper], tmp_path: Path
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    with closing(sqlite3.connect(folder / "db")) as first:
        first.execute("PRAGMA journal_mode = WAL")
    wrapper = connect(folder / "db")
    run(wrapper, "SELECT 1")
    folder.rename(tmp_path / "elsewhere")

    wrapper.close()

    assert wrapper.connection is None
