"""The wall clock of all processes is set forward and back while messages leave."""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from clarion.models import Mailing, State
from clarion.models.outgoing import Reason
from tests.faults.clock import Clock, Leap
from tests.faults.plans import Figures, Plan
from tests.faults.rig import Rig, figures_of
from tests.faults.senders import Stuck

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# What is on its way when the clock is set left by the old one, s; longer where others keep the machine busy.
ON_ITS_WAY, ON_ITS_SLOW_WAY = 0.1, 0.5
# How long the clock then stays before the mailing's beginning, or after its end, s: several rounds.
STAY = 1.0


def leaps(plan: Plan, folder: Path) -> Figures:
    """Set the clock at even marks of a mailing: always inside its window, or beyond its end."""
    figures = figures_of(plan, kills=0, bound=0)
    clock = Clock.of_this_run()
    over = plan.manner == "over its end"
    with Rig(plan, folder) as rig:
        crew = rig.start_crew()
        mailing = rig.create_mailing(window=(HOUR / 2 if over else 2 * DAY).total_seconds())
        began = time.monotonic()
        try:
            (_over_the_end if over else _inside)(rig, clock)
            rig.wait_until_settled(mailing)
            figures.breaches += _judge(rig, mailing, clock.leaps)
        except Stuck as reason:
            figures.breaches.append(f"stuck: {reason}")
        figures.seconds = time.monotonic() - began
        rig.end(crew)
        rig.judge(mailing, figures, too_late=Reason.WINDOW_OVER if over else "")
        rig.count_deaths(figures, asked=0)
    return figures


def _inside(rig: Rig, clock: Clock) -> None:
    """Forward and back by an hour and a day; then to before the beginning, where nothing may leave, and back."""
    steps = (HOUR, -HOUR, DAY, -DAY, -HOUR)
    for number, step in enumerate(steps, 1):
        rig.wait_until_taken(rig.plan.messages * number // (len(steps) + 1))
        clock.leap(step)
    time.sleep(STAY)
    clock.leap(HOUR)


def _over_the_end(rig: Rig, clock: Clock) -> None:
    rig.wait_until_taken(rig.plan.messages // 3)
    clock.leap(HOUR)
    # What was too late stays so when the clock is set right again.
    time.sleep(STAY)
    clock.leap(-HOUR)
    time.sleep(STAY)


def _judge(rig: Rig, mailing: Mailing, leaps: list[Leap]) -> Iterator[str]:
    on_its_way = ON_ITS_WAY if rig.plan.alone else ON_ITS_SLOW_WAY
    begin, end = mailing.starts_at.timestamp(), mailing.ends_at.timestamp()
    outside = [
        request
        for request in rig.sender.requests()
        if not begin <= request.at < end
        and not any(0 <= request.steady_at - leap.steady_at < on_its_way for leap in leaps)
    ]
    if outside:
        yield f"{len(outside)} came outside the window of their mailing"
    if rig.plan.manner == "over its end":
        late = mailing.counts.filter(state=State.EXPIRED, reason=Reason.WINDOW_OVER, count__gt=0)
        if not late.exists():
            yield "no message was too late"
