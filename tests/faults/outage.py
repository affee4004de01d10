"""A sender is away while its messages are due, then back: how many still knocked, how fast all others followed."""

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from clarion.models import Attempt, Lane, Mailing, State
from clarion.outbox import pace
from tests.faults.arrivals import between, peak
from tests.faults.plans import Figures, Plan
from tests.faults.rig import Rig, figures_of
from tests.faults.senders import Stuck

# So many requests may still reach a sender after its breaker has opened, until it is back.
MOST_KNOCKS = 40
# What any second may hold, and what the lane reaches once it is through its slow start, as parts of the rate.
HIGHEST, LEAST_AVERAGE = 1.1, 0.9
# Where others keep the machine busy the sender reads what came meanwhile all at once, and takes it to be new.
HIGHEST_SEEN = 1.3
# The share of the mailing that is sent before the sender goes away.
BEFORE = 0.05
# In the other manners it answers, or at least listens: how it then behaves. What hangs was not taken, so that
# whatever comes twice is our own doing.
PROFILES = {"busy": {"profile": "refuses"}, "hangs": {"profile": "hangs", "accepts": False}}


def outage(plan: Plan, folder: Path) -> Figures:
    """Take the sender away for `plan.outage` seconds."""
    # Only where connections break can an answer get lost that says "taken".
    figures = figures_of(plan, kills=0, bound=plan.in_flight if plan.manner == "refused" else 0)
    with Rig(plan, folder) as rig:
        crew = rig.start_crew()
        mailing = rig.create_mailing()
        began = time.monotonic()
        try:
            rig.wait_until_taken(int(plan.messages * BEFORE))
            gone_at, back_at = _take_away(rig)
            opened_at = _wait_for_the_breaker(rig, back_at) or gone_at
            time.sleep(max(0.0, back_at - time.time()))
            rig.wait_until_settled(mailing)
            rig.sender.wait_until_quiet()
            figures.breaches += _judge(rig, mailing, figures, opened_at, back_at)
        except Stuck as reason:
            figures.breaches.append(f"stuck: {reason}")
        figures.seconds = time.monotonic() - began
        rig.end(crew)
        rig.judge(mailing, figures)
        rig.count_deaths(figures, asked=0)
    return figures


def _take_away(rig: Rig) -> tuple[float, float]:
    """Let the sender go; return since when it is away and when it will be back, in seconds since 1970."""
    seconds, manner = rig.plan.outage, rig.plan.manner
    if manner == "refused":
        rig.sender.go_away(seconds)
    else:
        rig.sender.behave(seconds=seconds, **PROFILES[manner])
    return time.time(), time.time() + seconds


def _wait_for_the_breaker(rig: Rig, back_at: float) -> float | None:
    """Return when the lane was first seen to be closed, in seconds since 1970; None if it never was."""
    lane = Lane.objects.filter(pk=rig.account.lane_id)
    try:
        rig.wait(
            lambda: lane.filter(breaks__gt=0).exists(), "it never opened", patience=back_at - time.time()
        )
    except Stuck:
        return None
    return time.time()


def _judge(rig: Rig, mailing: Mailing, figures: Figures, opened_at: float, back_at: float) -> Iterator[str]:
    """Compare what the sender has seen with what its lane promises."""
    rate = rig.plan.rate
    requests = rig.sender.requests()
    seen = between([each.at for each in requests], opened_at, back_at)
    figures.knocks = max(len(seen), _refused(mailing, opened_at, back_at))
    if figures.knocks > MOST_KNOCKS:
        yield f"{figures.knocks} requests went to a sender that was away, at most {MOST_KNOCKS} were allowed"
    steady = [each.steady_at for each in requests]
    figures.peak = peak(steady) / rate
    highest = HIGHEST if rig.plan.alone else HIGHEST_SEEN
    if figures.peak > highest:
        yield f"{figures.peak:.2f} of the rate came in one second, at most {highest} were allowed"
    back = Lane.objects.get(pk=rig.account.lane_id).slow_since
    if back is None:
        yield "it did not begin slowly when the sender was back"
        return
    yield from _slow_start([each.at for each in requests], back, rate * highest)
    full_from = back.timestamp() + sum(duration for _, duration in _slow_steps())
    at_full = [each.at for each in requests if each.at >= full_from]
    figures.average = len(at_full) / ((at_full[-1] - full_from) * rate) if at_full else 0.0
    if rig.plan.alone and figures.average < LEAST_AVERAGE:
        yield f"after the slow start {figures.average:.2f} of the rate came, at least {LEAST_AVERAGE} was promised"
    given_up = mailing.counts.exclude(state=State.ACCEPTED).filter(count__gt=0)
    yield from (f"{row.count} messages ended as {row.state} {row.reason}" for row in given_up)


def _refused(mailing: Mailing, opened_at: float, back_at: float) -> int:
    """A sender does not see what its kernel refuses; the record of tries does."""
    attempts = Attempt.objects.filter(message__mailing=mailing).values_list("started_at", flat=True)
    return len(between([at.timestamp() for at in attempts], opened_at, back_at))


def _slow_start(times: list[float], back: datetime, highest: float) -> Iterator[str]:
    begin = back.timestamp()
    for share, duration in _slow_steps():
        step = between(times, begin, begin + duration)
        if len(step) > share * highest * duration + 1:
            yield f"{len(step)} came in {duration:.1f} s of the slow start, at {share:.0%} of the rate"
        begin += duration


def _slow_steps() -> Iterator[tuple[float, float]]:
    """Yield the part of its rate that a lane goes at after a break, and for how many seconds."""
    share = pace.FIRST_SHARE
    while share < 1:
        yield share, pace.DOUBLES_EVERY.total_seconds()
        share *= 2
