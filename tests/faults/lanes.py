"""`make outage`: a sender is away for minutes while its messages are due; and one hangs beside another that does not.

`python -m tests.faults.lanes [--seconds 600] [--messages 20000] [--rate 500] [--manners refused busy hangs]`.
Exit code 0: no promise was broken, and each protection was missed when it was switched off.
"""

import argparse
import sys
from collections.abc import Iterator

from tests.faults.plans import HANGING, OUTAGES, Plan
from tests.faults.reports import Column, begin, is_kept, is_missed
from tests.faults.teeth import LANE_TEETH

COLUMNS = (
    Column("run", 8, lambda figures: figures.scene),
    Column("manner", 13, lambda figures: figures.manner),
    Column("messages", 9, lambda figures: figures.messages),
    Column("knocks", 7, lambda figures: figures.knocks),
    Column("peak", 6, lambda figures: f"{figures.peak:.2f}"),
    Column("average", 8, lambda figures: f"{figures.average:.2f}"),
    Column("kept", 6, lambda figures: f"{figures.kept:.2f}"),
    Column("lost", 5, lambda figures: figures.lost),
    Column("doubles", 8, lambda figures: figures.duplicates),
    Column("seconds", 8, lambda figures: f"{figures.seconds:.0f}"),
)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.lanes", description="Senders go away, or hang."
    )
    parser.add_argument("--seconds", type=float, default=600.0, help="how long the sender is away")
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--rate", type=float, default=500.0, help="of the account, messages a second")
    parser.add_argument("--manners", nargs="+", choices=[*OUTAGES, *HANGING], help="all of them without")
    chosen = parser.parse_args()
    begin(COLUMNS)
    broken = 0
    for plan in all_plans(chosen.messages, chosen.rate, chosen.seconds):
        if not chosen.manners or plan.manner in chosen.manners:
            broken += not is_kept(plan, COLUMNS, timeout=chosen.seconds + 1800)
    if not chosen.manners:
        broken += sum(not is_missed(tooth) for tooth in LANE_TEETH)
    print("every promise was kept" if not broken else f"{broken} runs broke a promise", flush=True)
    return min(broken, 1)


def all_plans(messages: int, rate: float, seconds: float) -> Iterator[Plan]:
    """Every run. While the longest break of five minutes lasts nothing moves, and that is right."""
    more = {"messages": messages, "kills": 0, "in_flight": 256}
    for manner in HANGING:
        yield Plan(scene="hanging", manner=manner, **more)
    for manner in OUTAGES:
        yield Plan(scene="outage", manner=manner, rate=rate, outage=seconds, patience=600.0, **more)


if __name__ == "__main__":
    sys.exit(main())
