"""What a run of something that leaves says: how much a second, and what each of it costs whom."""

import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import NamedTuple

from django.db import connection

from bench.figures import Figure, cpu_seconds
from bench.installation import wait_until

# This part is sent before the measuring begins, by ours and by the rival.
WARM_UP = 0.2
# Often enough for a rate, too rarely to be a part of it, s.
LOOK = 0.1


class Run(NamedTuple):
    """How many a second; and processor time for each, µs, of the sending side, the one that takes it, the database."""

    rate: float
    ours: float
    taker: float
    database: float


class Mark(NamedTuple):
    """What has been done and used up to a moment, s of processor time."""

    at: float
    done: int
    ours: float
    taker: float
    database: float


def timed(done: Callable[[], int], total: int, taker: int, used: Callable[[], float]) -> Run:
    """Measure when a part is done already: what processes need to start is no part of their rate.

    `taker` is the pid of the process that takes what is sent; `used` the processor time of the sending side so far, s.
    """
    wait_until(lambda: done() >= total * WARM_UP, pause=LOOK)
    before = mark(done, taker, used)
    wait_until(lambda: done() >= total, pause=LOOK)
    return between(before, mark(done, taker, used))


def mark(done: Callable[[], int], taker: int, used: Callable[[], float]) -> Mark:
    """Look at everything at once."""
    return Mark(time.perf_counter(), done(), used(), cpu_seconds(taker), _database_seconds())


def between(before: Mark, after: Mark) -> Run:
    """Return what went on between two moments."""
    seconds, number, *spent = (late - early for early, late in zip(before, after, strict=True))
    number = max(number, 1)
    return Run(number / seconds, *(each / number * 1e6 for each in spent))


def costs(runs: Sequence[Run], taker: str, unit: str, size: str) -> Iterator[Figure]:
    """Say what one costs each of the processes; `taker` is what the one is called that takes it."""
    for name, who in (("ours", "the worker"), ("taker", taker), ("database", "the database")):
        used = median(getattr(run, name) for run in runs)
        if used > 0:
            yield Figure(f"… processor time of {who}", used, unit, size)


def _database_seconds() -> float:
    """Processor time of the database server's processes so far, s; none on SQLite, whose work is the worker's own."""
    if connection.vendor != "postgresql":
        return 0.0
    with connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity")
        return sum(cpu_seconds(pid) for (pid,) in cursor.fetchall())
