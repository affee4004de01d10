"""What a command of the fault runs prints: a line for each run, and under it every promise that was broken."""

import signal
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from tests.faults.plans import Figures, Plan
from tests.faults.runner import SceneFailed, carry_out
from tests.faults.teeth import Tooth


class Column(NamedTuple):
    """A title, its width, and what stands below it."""

    title: str
    width: int
    value: Callable[[Figures], object]


def begin(columns: Sequence[Column], *, first: str = "") -> None:
    """Print the titles. From here on SIGTERM unwinds the `with` blocks, so that nothing is left behind."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    print(first, *(column.title.rjust(column.width) for column in columns), flush=True)


def is_kept(
    plan: Plan, columns: Sequence[Column], *, first: str = "", server: str = "", timeout: float = 900
) -> bool:
    """Act one plan out and print its line, and under it what went wrong."""
    figures = _figures(plan, server, timeout)
    print(first, *(str(column.value(figures)).rjust(column.width) for column in columns))
    for breach in figures.breaches:
        print(f"   BROKEN: {breach}")
    sys.stdout.flush()
    return not figures.breaches


def is_missed(tooth: Tooth, server: str = "") -> bool:
    """Switch one protection off, and say whether that was noticed."""
    figures = _figures(replace(tooth.plan, without=tooth.protection), server, timeout=120)
    seen = tooth.bites(figures)
    print(
        f"   without {tooth.protection}: " + ("seen" if seen else f"BROKEN, NOT SEEN: {figures.breaches}"),
        flush=True,
    )
    return seen


def _figures(plan: Plan, server: str, timeout: float) -> Figures:
    try:
        return carry_out(plan, server=server, timeout=timeout)
    except SceneFailed as error:
        breach = f"the run itself failed: {error}"
        return Figures(scene=plan.scene, doubt=plan.doubt, manner=plan.manner, breaches=[breach])
