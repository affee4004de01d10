"""Events come in at a steady rate, with and without a subscriber who hangs: how late the others hear of them."""

import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

from clarion.flows import audit, events
from clarion.flows.event_forms import entity_event
from clarion.flows.events import Arrival
from clarion.models import Tenant
from clarion.outbox import breaker, lanes
from tests.faults.plans import Figures, Plan
from tests.faults.rig import Rig, figures_of
from tests.faults.senders import Stuck
from tests.faults.subscribers import Subscribers

# By so much the slowest hundredth may be later beside a receiver that hangs: part of what it is without, or ms; the
# greater of both. Where others keep the machine busy ten milliseconds are nothing, and whoever has to wait for a
# receiver that hangs waits for as long as it is given to answer.
MOST_PART, MOST_MS, MOST_SEEN_MS = 0.2, 10.0, 2000.0
# The first events find caches empty and pages unread, s.
WARMING = 1.0


class Look(NamedTuple):
    """How late events arrived, ms; and how many calls a receiver that hangs got meanwhile."""

    p50: float
    p99: float
    knocks: int


def forwarding_hanging(plan: Plan, folder: Path) -> Figures:
    """Look `plan.pairs` times at what events take without, and beside, a receiver that hangs on every call."""
    figures = figures_of(plan, bound=0)
    with Rig(plan, folder) as rig:
        subscribers = Subscribers(rig, folder)
        crew = rig.start_crew()
        began = time.monotonic()
        try:
            _look(rig, subscribers, WARMING)
            pairs = [_pair(rig, subscribers, number) for number in range(plan.pairs)]
        except Stuck as reason:
            figures.breaches.append(f"stuck: {reason}")
        else:
            _judge(plan, pairs, figures)
        figures.seconds = time.monotonic() - began
        rig.end(crew)
        figures.breaches += [f"audit: {finding.sentence}" for finding in audit.run(datetime.now(UTC))]
        rig.count_deaths(figures, asked=0)
    return figures


def _pair(rig: Rig, subscribers: Subscribers, number: int) -> tuple[Look, Look]:
    """Look once without and once beside, in turns first: whatever the machine does more and more of meets both."""
    seconds = rig.plan.seconds
    if number % 2:
        beside = _look_beside(rig, subscribers, seconds, number)
        return _look(rig, subscribers, seconds), beside
    without = _look(rig, subscribers, seconds)
    return without, _look_beside(rig, subscribers, seconds, number)


def _look_beside(rig: Rig, subscribers: Subscribers, seconds: float, number: int) -> Look:
    # A new one each time: nobody knows yet that it hangs.
    silent, hung = subscribers.start_silent(f"silent-{number}")
    look = _look(rig, subscribers, seconds)
    silent.end()
    subscribers.unsubscribe(hung)
    return look._replace(knocks=silent.taken())


def _look(rig: Rig, subscribers: Subscribers, seconds: float) -> Look:
    receiver, plan = subscribers.receiver, rig.plan
    before = receiver.taken()
    told: dict[str, float] = {}
    began = time.time()
    for number in range(int(seconds * plan.arrivals)):
        time.sleep(max(0.0, began + number / plan.arrivals - time.time()))
        at = time.time()
        told[_tell(subscribers.tenant)] = at
    arrivals = len(told) * len(subscribers.healthy)
    rig.wait_while_moving(lambda: receiver.taken() >= before + arrivals, receiver.taken)
    first: dict[str, float] = {}
    for each in receiver.ledger()[before:]:
        first.setdefault(each.parcel, (each.at - told[each.event]) * 1000)
    if len(first) != arrivals:
        raise Stuck(f"{len(first)} deliveries came of {arrivals}")
    cuts = quantiles(first.values(), n=100)
    return Look(cuts[49], cuts[98], 0)


def _tell(tenant: Tenant) -> str:
    """Let one event come in; return its id."""
    draft = entity_event({"event_type": "PRODUCT"}, UTC)
    events.append([Arrival(tenant, draft)], datetime.now(UTC))
    return draft.event_id


def _judge(plan: Plan, pairs: list[tuple[Look, Look]], figures: Figures) -> None:
    figures.p50 = median(without.p50 for without, _ in pairs)
    figures.p99 = median(without.p99 for without, _ in pairs)
    figures.p50_beside = median(beside.p50 for _, beside in pairs)
    figures.p99_beside = median(beside.p99 for _, beside in pairs)
    figures.rise = median(beside.p99 - without.p99 for without, beside in pairs)
    most = max(MOST_PART * figures.p99, MOST_MS if plan.alone else MOST_SEEN_MS)
    if figures.rise > most:
        figures.breaches.append(
            f"beside a receiver that hangs the p99 of the others rose by {figures.rise:.1f} ms, {most:.1f} is allowed"
        )
    figures.knocks = max(beside.knocks for _, beside in pairs)
    # Until the breaker has seen enough, with what left by then; afterwards one trial after each break.
    trials = 1 + int(plan.seconds / breaker.FIRST_BREAK.total_seconds() * 2)
    calls = plan.workers * (breaker.LEAST + plan.in_flight // lanes.UNPROVEN) + trials
    if figures.knocks > calls:
        figures.breaches.append(f"{figures.knocks} calls went to a receiver that hangs, {calls} are allowed")
