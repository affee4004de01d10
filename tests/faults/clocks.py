"""`make clocks`: the wall clock is set while messages leave, and runs through the nights in which clocks change.

`python -m tests.faults.clocks [--messages 4000] [--databases sqlite postgres]`. Needs libfaketime (`apt install faketime`).
Exit code 0: no promise was broken, and each protection was missed when it was switched off.
"""

import argparse
import os
import sys
from collections.abc import Iterator

from tests.faults import clock
from tests.faults.plans import LEAPS, NIGHTS, ZONES, Plan
from tests.faults.reports import Column, begin, is_kept, is_missed
from tests.faults.teeth import CLOCK_TEETH
from tests.legs import LEGS, Unavailable

COLUMNS = (
    Column("run", 7, lambda figures: figures.scene),
    Column("manner", 17, lambda figures: figures.manner),
    Column("messages", 9, lambda figures: figures.messages),
    Column("lost", 5, lambda figures: figures.lost),
    Column("doubles", 8, lambda figures: figures.duplicates),
    Column("seconds", 8, lambda figures: f"{figures.seconds:.0f}"),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.clocks", description="Clocks are set.")
    parser.add_argument("--messages", type=int, default=4_000, help="of each mailing whose clock leaps")
    parser.add_argument("--databases", nargs="+", choices=list(LEGS), default=["sqlite", "postgres"])
    chosen = parser.parse_args()
    if clock.library() is None:
        print("skipped: libfaketime is not installed (apt install faketime)")
        return int(os.environ.get("LEGS") == "require")
    begin(COLUMNS, first="database".rjust(10))
    broken = 0
    for database in chosen.databases:
        try:
            with LEGS[database]() as server:
                broken += sum(
                    not is_kept(plan, COLUMNS, first=database.rjust(10), server=server)
                    for plan in all_plans(chosen.messages)
                )
                broken += sum(not is_missed(tooth, server) for tooth in CLOCK_TEETH)
        except Unavailable as reason:
            print(f"-- {database} skipped: {reason}", flush=True)
    print("every promise was kept" if not broken else f"{broken} runs broke a promise", flush=True)
    return min(broken, 1)


def all_plans(messages: int) -> Iterator[Plan]:
    """Every run."""
    for manner in LEAPS:
        yield Plan(
            scene="leaps", manner=manner, messages=messages, kills=0, delay=0.1, clock=True, in_flight=64
        )
    for manner in NIGHTS:
        # As many as the first night cannot hold: each closing cuts into what is under way.
        yield Plan(scene="nights", manner=manner, messages=2_400, kills=0, rate=100, clock=True, zones=ZONES)


if __name__ == "__main__":
    sys.exit(main())
