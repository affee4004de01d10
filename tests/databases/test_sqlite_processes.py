"""The SQLite backend among processes: nothing is lost, nobody is locked out, nobody starves."""

import sqlite3
import statistics
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.databases.turns import ENGINE

PROCESS = """
import sys
import django
from django.conf import settings
engine, name, pragmas = sys.argv[1:4]
options = {"transaction_mode": "IMMEDIATE", "init_command": pragmas}
settings.configure(
    DATABASES={"default": {"ENGINE": engine, "NAME": name, "OPTIONS": options, "TEST": {"NAME": name + ".test"}}},
    INSTALLED_APPS=["django.contrib.contenttypes"], USE_TZ=True,
)
django.setup()
from django.db import OperationalError, connection, transaction
cursor = connection.cursor()
"""
COUNT_UP = """
for _ in range(200):
    with transaction.atomic():
        cursor.execute("SELECT n FROM count")
        n = cursor.fetchone()[0]
        cursor.execute("UPDATE count SET n = %s", [n + 1])
"""
COMMIT_BACK_TO_BACK = """
print("begun", flush=True)
while True:
    with transaction.atomic():
        cursor.execute("INSERT INTO turn (who) VALUES ('greedy')")
"""
# Prints how many turns others had between the moment of asking and the own turn.
ASK_NOW_AND_THEN = """
import time
for _ in range(int(sys.argv[4])):
    time.sleep(0.002)
    cursor.execute("SELECT max(id) FROM turn")
    seen = cursor.fetchone()[0] or 0
    try:
        with transaction.atomic():
            cursor.execute("INSERT INTO turn (who) VALUES ('patient') RETURNING id")
            own = cursor.fetchone()[0]
    except OperationalError:  # not within five seconds
        cursor.execute("SELECT max(id) + 1 FROM turn")
        own = cursor.fetchone()[0]
    print(own - seen - 1)
"""
# Its log stays beside the file, and holds all of it.
BE_KILLED_BEFORE_THE_LAST_CLOSE = """
import os
cursor.execute("CREATE TABLE left_over (n)")
os._exit(0)
"""
SET_UP_TEST_DATABASES = """
import glob, sqlite3
from django.test.utils import setup_databases, teardown_databases
made = setup_databases(verbosity=0, interactive=False, parallel=2)
for worker in ("1", "2"):
    clone = connection.creation.get_test_db_clone_settings(worker)["NAME"]
    tables = sqlite3.connect(clone)
    print(tables.execute("SELECT count(*) FROM django_content_type").fetchone())
    print(tables.execute("SELECT count(*) FROM sqlite_master WHERE name = 'left_over'").fetchone())
teardown_databases(made, verbosity=0, parallel=2)
print(glob.glob(name + "*.test*"))
"""


def start(
    code: str, path: Path, *more: str, engine: str = ENGINE, pragmas: str = ""
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS + code, engine, str(path), pragmas, *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def turns_waited(path: Path, asks: int, **how: str) -> list[int]:
    """How many turns a process waited each time it asked, beside one that commits back to back."""
    with closing(sqlite3.connect(path)) as first:
        first.execute("PRAGMA journal_mode = WAL")
        first.execute("CREATE TABLE turn (id INTEGER PRIMARY KEY, who TEXT)")
    greedy = start(COMMIT_BACK_TO_BACK, path, **how)
    try:
        assert greedy.stdout is not None
        assert greedy.stdout.readline() == "begun\n"
        patient = start(ASK_NOW_AND_THEN, path, str(asks), **how)
        printed, complaint = patient.communicate()
    finally:
        greedy.kill()
        greedy.communicate()
    assert patient.returncode == 0, complaint
    return [int(line) for line in printed.split()]


@pytest.mark.slow
def test_four_processes_that_count_up_lose_nothing_and_are_never_locked_out(path: Path) -> None:
    with closing(sqlite3.connect(path)) as first, first:
        first.execute("CREATE TABLE count (n)")
        first.execute("INSERT INTO count VALUES (0)")

    counters = [start(COUNT_UP, path) for _ in range(4)]
    complaints = [counter.communicate()[1] for counter in counters]

    assert complaints == ["", "", "", ""]
    with closing(sqlite3.connect(path)) as after:
        assert after.execute("SELECT n FROM count").fetchone() == (800,)


@pytest.mark.slow
def test_a_process_waits_a_turn_or_two_beside_one_that_commits_back_to_back(path: Path) -> None:
    waited = turns_waited(path, asks=40)

    # One turn runs already and one may begin while we ask. The sum leaves room for a machine that stops this
    # process for a moment between the look at the log and the question; starving is thousands of turns.
    assert statistics.median(waited) <= 3, waited
    assert sum(waited) <= 40 * 25, waited


@pytest.mark.thorough
def test_without_the_turnstile_the_same_process_starves(
    path: Path, record_property: Callable[[str, object], None]
) -> None:
    """The reason for all of this. How bad it gets is the machine's; that it is beyond what a turnstile allows is not."""
    waited = turns_waited(
        path, asks=3, engine="django.db.backends.sqlite3", pragmas="PRAGMA synchronous = FULL"
    )

    record_property("turns waited without the turnstile", waited)
    print("turns waited without the turnstile:", waited)  # noqa: T201 - shown by `pytest -rP`
    # 25 a question is the most that the test above allows on average; here hundreds to thousands were measured.
    assert max(waited) > 25, waited


@pytest.mark.slow
def test_test_databases_are_made_cloned_and_removed_whole(path: Path) -> None:
    clone = path.with_name(f"{path.name}_1.test")
    start(BE_KILLED_BEFORE_THE_LAST_CLOSE, clone).communicate()
    assert clone.with_name(f"{clone.name}-wal").stat().st_size > 0

    printed, complaint = start(SET_UP_TEST_DATABASES, path).communicate()

    assert printed.splitlines() == ["(1,)", "(0,)", "(1,)", "(0,)", "[]"], complaint
