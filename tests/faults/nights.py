"""A mailing with local hours through the night in which the clocks change, under a clock that runs through it.

The clock runs fast where nothing begins or ends, and as usual around every opening and closing. What counts is the time
that the sender noted at each request, by the same clock, read off the wall clock of the customer's zone.
"""

import time as steady
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from clarion.lib.hours import Hours
from clarion.models import Customer, Mailing, Message, State
from tests.faults.clock import Clock
from tests.faults.plans import NIGHTS, Figures, Plan
from tests.faults.rig import Rig, figures_of
from tests.faults.senders import Stuck

# Where clocks go from two to three or back, or from two to half past: opened twice, closed early, never closed.
HOURS = Hours(time(1, 45), time(2, 40))
# This night and the next: what does not fit into one stretch has another.
WINDOW = timedelta(hours=44)
# The clock runs as usual from so long before an opening or a closing until so long after it, s: a send begins at least
# two seconds before a closing.
BEFORE_OPENING, BEFORE_CLOSING, AFTER = 0.3, 2.5, 0.3
# Whatever lies between takes so long, s, in a run without haste.
BETWEEN = 2.0


def nights(plan: Plan, folder: Path) -> Figures:
    """Take the clock through the night that `plan.manner` names."""
    figures = figures_of(plan, kills=0, bound=0)
    clock = Clock.of_this_run()
    clock.leap_to(NIGHTS[plan.manner])
    with Rig(plan, folder) as rig:
        crew = rig.start_crew()
        mailing = rig.create_mailing(
            window=WINDOW.total_seconds(), local_from=HOURS.begins, local_until=HOURS.ends
        )
        began = steady.monotonic()
        stretches = _stretches(plan, mailing)
        try:
            rig.wait(lambda: _is_made(mailing), "the messages were not made")
            for moment, before, zone in sorted(_moments(stretches)):
                clock.run_to(moment - timedelta(seconds=before), seconds=BETWEEN / plan.haste)
                clock.run_to(moment + timedelta(seconds=AFTER), seconds=before + AFTER)
                if zone:
                    rig.wait(lambda zone=zone: not _waits(mailing, zone), f"not all of {zone} were sent")
            rig.wait_until_settled(mailing)
            figures.breaches += _judge(rig, mailing, stretches)
        except Stuck as reason:
            figures.breaches.append(f"stuck: {reason}")
        figures.seconds = steady.monotonic() - began
        rig.end(crew)
        rig.judge(mailing, figures)
        rig.count_deaths(figures, asked=0)
    return figures


def _is_made(mailing: Mailing) -> bool:
    mailing.refresh_from_db()
    return mailing.materialised_at is not None


def _waits(mailing: Mailing, zone: str) -> bool:
    there = Customer.objects.filter(zone=zone).values("pk")
    rows = Message.objects.filter(mailing=mailing, customer_id__in=there)
    return rows.filter(state__in=(State.WAITING, State.SENDING)).exists()


def _stretches(plan: Plan, mailing: Mailing) -> dict[str, list[tuple[datetime, datetime]]]:
    return {
        zone: list(HOURS.stretches(mailing.starts_at, mailing.ends_at, ZoneInfo(zone))) for zone in plan.zones
    }


def _moments(stretches: dict[str, list[tuple[datetime, datetime]]]) -> Iterator[tuple[datetime, float, str]]:
    """Yield each opening and closing, with how long before it the clock runs as usual.

    The last opening has the name of its zone, for whose rest the clock then waits, and no closing.
    """
    for zone, found in stretches.items():
        for opening, closing in found:
            is_last = closing == found[-1][1]
            yield opening, BEFORE_OPENING, zone if is_last else ""
            if not is_last:
                yield closing, BEFORE_CLOSING, ""


def _judge(
    rig: Rig, mailing: Mailing, stretches: dict[str, list[tuple[datetime, datetime]]]
) -> Iterator[str]:
    home = dict(Customer.objects.values_list("pk", "zone"))
    messages = Message.objects.filter(mailing=mailing).values_list("pk", "customer_id")
    zone_of = {pk: home[customer_id] for pk, customer_id in messages}
    seen: Counter[tuple[str, int]] = Counter()
    outside = []
    for request in rig.sender.requests():
        zone = zone_of[request.message_id]
        at = datetime.fromtimestamp(request.at, UTC)
        # Not asked of `Hours`: it is what is judged here.
        wall = at.astimezone(ZoneInfo(zone)).time()
        if not (HOURS.begins <= wall < HOURS.ends and mailing.starts_at <= at < mailing.ends_at):
            outside.append(f"{wall:%H:%M:%S.%f} in {zone}")
        for number, (opening, closing) in enumerate(stretches[zone]):
            seen[zone, number] += opening <= at < closing
    if outside:
        yield f"{len(outside)} came outside their local hours: {', '.join(outside[:3])}"
    for zone, found in stretches.items():
        unused = [opening for number, (opening, _) in enumerate(found) if not seen[zone, number]]
        yield from (f"nothing was sent in {zone} from {opening} on" for opening in unused)
