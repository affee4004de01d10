"""`make faults`: every fault run at full size on real databases, and a table of what each came to.

`python -m tests.faults.kills [--messages 100000] [--kills 20] [--databases sqlite postgres mariadb] [--seed N]`.
Servers come from tests/servers.py; one that is not there is skipped and named. Exit code 0: no promise was broken.
"""

import argparse
import os
import secrets
import signal
import sys
from collections.abc import Iterator

from msgspec.structs import replace

from tests.faults.plans import Figures, Plan
from tests.faults.runner import SceneFailed, carry_out
from tests.faults.teeth import TEETH, Tooth
from tests.legs import LEGS, Unavailable, server_version

COLUMNS = (
    ("database", 10),
    ("run", 13),
    ("doubt", 7),
    ("messages", 9),
    ("kills", 6),
    ("hits", 5),
    ("in flight", 10),
    ("lost", 5),
    ("doubles", 8),
    ("bound", 6),
    ("doubtful", 9),
    ("dead", 5),
    ("late", 5),
    ("seconds", 8),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.kills", description="Kill, freeze, count.")
    parser.add_argument("--messages", type=int, default=100_000, help="of each run with random kills")
    parser.add_argument("--kills", type=int, default=20, help="of each run with random kills")
    parser.add_argument("--databases", nargs="+", choices=list(LEGS), default=["sqlite", "postgres"])
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="of victims and moments")
    parser.add_argument("--runs", nargs="+", help="names of runs; all of them without")
    chosen = parser.parse_args()
    # Unwinds the `with` blocks, so that a terminated run leaves no server behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    print(f"seed {chosen.seed}", flush=True)
    print(" ".join(name.rjust(width) for name, width in COLUMNS), flush=True)

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
                broken += sum(not is_kept(database, plan, server) for plan in plans)
                broken += sum(not is_missed(tooth, server) for tooth in TEETH if not chosen.runs)
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
    yield Plan(scene="restarts", messages=20_000, kills=6, seed=seed, in_flight=64)


def is_missed(tooth: Tooth, server: str) -> bool:
    """Switch one protection off, and say whether the auditor noticed."""
    try:
        figures = carry_out(replace(tooth.plan, without=tooth.protection), server=server, timeout=120)
    except SceneFailed as error:
        figures = Figures(scene=tooth.plan.scene, doubt="", breaches=[f"the run itself failed: {error}"])
    seen = tooth.bites(figures)
    print(
        f"   without {tooth.protection}: " + ("seen" if seen else f"BROKEN, NOT SEEN: {figures.breaches}"),
        flush=True,
    )
    return seen


def is_kept(database: str, plan: Plan, server: str) -> bool:
    """Act one plan out and print its line, and under it what went wrong."""
    try:
        figures = carry_out(plan, server=server)
    except SceneFailed as error:
        figures = Figures(scene=plan.scene, doubt=plan.doubt, breaches=[f"the run itself failed: {error}"])
    values = (
        *(database, figures.scene, figures.doubt, figures.messages, figures.kills, figures.hits),
        *(figures.in_flight, figures.lost, figures.duplicates, figures.bound, figures.doubtful),
        *(figures.dead, figures.late, f"{figures.seconds:.1f}"),
    )
    print(" ".join(str(value).rjust(width) for value, (_, width) in zip(values, COLUMNS, strict=True)))
    for breach in figures.breaches:
        print(f"   BROKEN: {breach}")
    sys.stdout.flush()
    return not figures.breaches


if __name__ == "__main__":
    sys.exit(main())
