"""`make forwarding`: workers are killed while events are forwarded, and a receiver hangs on every call.

`python -m tests.faults.forwarding [--events 100000] [--kills 20] [--pairs 9] [--seconds 20] [--databases …] [--runs …]`.
Servers come from tests/servers.py; one that is not there is skipped and named. Exit code 0: no promise was broken, and
each protection was missed when it was switched off.
"""

import argparse
import os
import secrets
import sys

from tests.faults.plans import Plan
from tests.faults.reports import Column, begin, is_kept, is_missed
from tests.faults.teeth import BESIDE_TEETH, FORWARDING_TEETH
from tests.legs import LEGS, Unavailable, server_version

# What a webhook is given to answer, s: the receiver that hangs takes twice as long.
TIMEOUT = 15.0
# A run at full size takes some minutes; one that takes so long stands still, s.
PATIENCE = 3_600.0

COLUMNS = {
    "kills": (
        Column("events", 7, lambda figures: figures.events),
        Column("rows", 7, lambda figures: figures.messages),
        Column("kills", 6, lambda figures: figures.kills),
        Column("hits", 5, lambda figures: figures.hits),
        Column("lost", 5, lambda figures: figures.lost),
        Column("doubles", 8, lambda figures: figures.duplicates),
        Column("bound", 6, lambda figures: figures.bound),
        Column("calls that hung", 15, lambda figures: figures.knocks),
        Column("still open", 10, lambda figures: figures.open),
        Column("seconds", 8, lambda figures: f"{figures.seconds:.0f}"),
    ),
    "hanging": (
        Column("p50", 8, lambda figures: f"{figures.p50:.1f}"),
        Column("beside", 8, lambda figures: f"{figures.p50_beside:.1f}"),
        Column("p99", 8, lambda figures: f"{figures.p99:.1f}"),
        Column("beside", 8, lambda figures: f"{figures.p99_beside:.1f}"),
        Column("rise", 8, lambda figures: f"{figures.rise:.1f}"),
        Column("calls that hung", 15, lambda figures: figures.knocks),
        Column("seconds", 8, lambda figures: f"{figures.seconds:.0f}"),
    ),
}
TEETH = {"kills": FORWARDING_TEETH, "hanging": BESIDE_TEETH}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.forwarding", description="Forward, kill, count."
    )
    parser.add_argument("--events", type=int, default=100_000, help="of the run with kills")
    parser.add_argument("--kills", type=int, default=20, help="of the same")
    parser.add_argument("--pairs", type=int, default=9, help="of looks without and beside one that hangs")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each of these")
    parser.add_argument("--databases", nargs="+", choices=list(LEGS), default=list(LEGS))
    parser.add_argument("--runs", nargs="+", choices=list(TEETH), default=list(TEETH))
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="of victims and moments")
    parser.add_argument("--toothless", action="store_true", help="do not switch protections off")
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    broken = 0
    for database in chosen.databases:
        try:
            with LEGS[database]() as server:
                print(f"-- {server_version(server) if server else 'SQLite'}", flush=True)
                broken += sum(_broken(run, chosen, server) for run in chosen.runs)
        except Unavailable as reason:
            print(f"-- {database} skipped: {reason}", flush=True)
            broken += os.environ.get("LEGS") == "require"
    print("every promise was kept" if not broken else f"{broken} runs broke a promise", flush=True)
    return min(broken, 1)


def _broken(run: str, chosen: argparse.Namespace, server: str) -> int:
    """Act a run out, then without its protections; return how many of these broke a promise."""
    begin(COLUMNS[run], first=run.rjust(10))
    kept = is_kept(_plan(run, chosen), COLUMNS[run], first=" " * 10, server=server, timeout=PATIENCE)
    teeth = [] if chosen.toothless else TEETH[run]
    return (not kept) + sum(not is_missed(tooth, server) for tooth in teeth)


def _plan(run: str, chosen: argparse.Namespace) -> Plan:
    if run == "kills":
        return Plan(
            scene="forwarding kills",
            messages=0,
            events=chosen.events,
            kills=chosen.kills,
            seed=chosen.seed,
            in_flight=64,
            timeout=TIMEOUT,
            # What was there at two deaths goes alone, once nothing that hangs is under way.
            patience=120.0,
        )
    return Plan(
        scene="forwarding hanging",
        messages=0,
        kills=0,
        workers=1,
        in_flight=64,
        delay=0.0,
        timeout=TIMEOUT,
        pairs=chosen.pairs,
        seconds=chosen.seconds,
        seed=chosen.seed,
    )


if __name__ == "__main__":
    sys.exit(main())
