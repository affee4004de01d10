"""The database matrix: every test marked `database`, once on SQLite, once on PostgreSQL, once on MariaDB.

`python -m tests.legs [leg …]`. A leg's server: the one in TEST_POSTGRES_URL or TEST_MYSQL_URL; else a private
one (tests/servers.py); else, with LEGS=install, apt-get brings one; else the leg is skipped and the closing
table says why. LEGS=require makes a skip a failure. Exit code 0: every leg that ran passed.
"""

import argparse
import contextlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tests.servers import Unavailable, mariadb_server, postgres_server, server_version

__all__ = ["Unavailable", "mariadb_server", "postgres_server", "server_version"]

WORKERS = "2"  # the machines of CI have two cores, and each worker makes a database of its own


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the closing table; `passed` is None where the leg was skipped."""

    leg: str
    version: str
    passed: bool | None
    words: str
    seconds: float


def main() -> int:
    """Run the chosen legs, print the table, return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.legs", description="Run the tests marked `database` on each database."
    )
    parser.add_argument("leg", nargs="*", help=f"of {', '.join(LEGS)}; all of them without")
    legs = parser.parse_args().leg or list(LEGS)
    if unknown := [leg for leg in legs if leg not in LEGS]:
        parser.error(f"no leg {', '.join(unknown)}; there are {', '.join(LEGS)}")
    # Unwinds the `with` blocks, so that a terminated run leaves no server behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))

    results = [run_leg(leg) for leg in legs]

    print_table(results)
    skip_fails = os.environ.get("LEGS") == "require"
    return int(any(r.passed is False or (r.passed is None and skip_fails) for r in results))


def run_leg(leg: str) -> Result:
    """Start the leg's server, run the marked tests on it, stop it."""
    started = time.monotonic()
    print(f"\n== {leg} ==", flush=True)
    try:
        with LEGS[leg]() as url, tempfile.TemporaryDirectory(prefix="clarion-") as data:
            version = server_version(url) if url else f"SQLite {sqlite3.sqlite_version}"
            passed, words = run_tests({"CLARION_DATABASE_URL": url, "CLARION_DATA": data})
    except Unavailable as reason:
        return Result(leg, "-", None, str(reason), time.monotonic() - started)
    return Result(leg, version, passed, words, time.monotonic() - started)


def run_tests(settings: dict[str, str]) -> tuple[bool, str]:
    """Run pytest, passing its output through; return its verdict and its counts in words."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-m",
        "database and not thorough and not slow",
        "-n",
        WORKERS,
        "--dist",
        "loadgroup",
    ]
    last = ""
    with subprocess.Popen(
        command,
        env={**os.environ, **settings},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as tests:
        for line in tests.stdout or ():
            print(line, end="", flush=True)
            last = line if line.strip() else last
    counts = re.findall(r"\d+ (?:passed|failed|skipped|errors?|xfailed)", last)
    # pytest ends with 5 when no test is marked: a matrix that ran nothing has not passed.
    return tests.returncode == 0, ", ".join(counts) or f"pytest ended with {tests.returncode}"


def print_table(results: Sequence[Result]) -> None:
    """Print one line a leg, then the totals."""
    print(f"\n{'leg':<9} {'server':<32} {'result':<7} {'seconds':>7}  tests")
    for r in results:
        verdict = {True: "passed", False: "FAILED", None: "skipped"}[r.passed]
        print(f"{r.leg:<9} {r.version:<32} {verdict:<7} {r.seconds:>7.1f}  {r.words}")
    verdicts = [r.passed for r in results]
    passed, failed, skipped = (verdicts.count(verdict) for verdict in (True, False, None))
    print(f"legs: {passed} passed, {failed} failed, {skipped} skipped", flush=True)


@contextlib.contextmanager
def no_server() -> Iterator[str]:
    """Give the empty address: Clarion then keeps SQLite in its data folder."""
    yield ""


LEGS: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "sqlite": no_server,
    "postgres": postgres_server,
    "mariadb": mariadb_server,
}

if __name__ == "__main__":
    sys.exit(main())
