"""`make faults`: every fault run at full size on real databases, and a table of what each came to.

`python -m tests.faults.kills [--messages 100000] [--kills 20] [--databases sqlite postgres mariadb] [--seed N]`.
Servers come from tests/servers.py; one that is not there is skipped and named. Exit code 0: no promise was broken.
"""

import argparse
import os
import secrets
import sys
from collections.abc import Iterator

from tests.faults.plans import Plan
from tests.faults.reports import Column, begin, is_kept, is_missed
from tests.faults.teeth import READING_TEETH, TEETH
from tests.legs import LEGS, Unavailable, server_version

COLUMNS = (
    Column("run", 13, lambda figures: figures.scene),
    Column("doubt", 7, lambda figures: figures.doubt),
    Column("messages", 9, lambda figures: figures.messages),
    Column("kills", 6, lambda figures: figures.kills),
    Column("hits", 5, lambda figures: figures.hits),
    Column("in flight", 10, lambda figures: figures.in_flight),
    Column("lost", 5, lambda figures: figures.lost),
    Column("doubles", 8, lambda figures: figures.duplicates),
    Column("bound", 6, lambda figures: figures.bound),
    Column("doubtful", 9, lambda figures: figures.doubtful),
    Column("dead", 5, lambda figures: figures.dead),
    Column("late", 5, lambda figures: figures.late),
    Column("seconds", 8, lambda figures: f"{figures.seconds:.1f}"),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.kills", description="Kill, freeze, count.")
    parser.add_argument("--messages", type=int, default=100_000, help="of each run with random kills")
    parser.add_argument("--kills", type=int, default=20, help="of each run with random kills")
    parser.add_argument("--databases", nargs="+", choices=list(LEGS), default=["sqlite", "postgres"])
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="of victims and moments")
    parser.add_argument("--runs", nargs="+", help="names of runs; all of them without")
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    begin(COLUMNS, first="database".rjust(10))

    broken = 0
    plans = [
        plan
        for plan in all_plans(chosen.messages, chosen.kills, chosen.seed)
        if not chosen.runs or plan.scene in chosen.runs
    ]
    for database in chosen.databases:
        try:
            with LEGS[database]() as server:
                version = server_version(server) if server else "SQLite"
                print(f"-- {version}", flush=True)
                broken += sum(
                    not is_kept(plan, COLUMNS, first=database.rjust(10), server=server) for plan in plans
                )
                broken += sum(
                    not is_missed(tooth, server) for tooth in (*TEETH, *READING_TEETH) if not chosen.runs
                )
        except Unavailable as reason:
            print(f"-- {database} skipped: {reason}", flush=True)
            broken += os.environ.get("LEGS") == "require"
    print("every promise was kept" if not broken else f"{broken} runs broke a promise", flush=True)
    return min(broken, 1)


def all_plans(messages: int, kills: int, seed: int) -> Iterator[Plan]:
    """Every run. Leases are short where they have to lapse, and long where only the supervisor may rescue."""
    for doubt in ("resend", "hold"):
        yield Plan(scene="kills", doubt=doubt, messages=messages, kills=kills, seed=seed, in_flight=64)
    yield Plan(scene="crash points", messages=50, seed=seed, delay=0.1)
    for doubt in ("resend", "hold"):
        yield Plan(
            scene="freezes",
            doubt=doubt,
            messages=2_000,
            kills=4,
            seed=seed,
            in_flight=16,
            delay=0.2,
            lease=2.0,
        )
    yield Plan(scene="poison", messages=2_000, seed=seed, in_flight=64)
    yield Plan(scene="reading", messages=1, kills=kills, seed=seed)
    yield Plan(scene="restarts", messages=20_000, kills=6, seed=seed, in_flight=64)


if __name__ == "__main__":
    sys.exit(main())
