"""Compares what the receivers took, by their own ledgers, with the log of events and with what Clarion says."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from clarion.flows import audit
from clarion.models import (
    Delivery,
    DeliveryAttempt,
    DeliveryCount,
    Event,
    ParkedEvent,
    State,
    Subscription,
    Tenant,
)
from clarion.models.outgoing import OPEN_STATES
from clarion.outbox.deliveries import parcel_id
from tests.faults.plans import Figures
from tests.faults.receiver import Arrived, Receiver
from tests.faults.subscribers import Subscribers

# Rows named per breach; the count says how many there are.
NAMED = 5


class Row(NamedTuple):
    """What Clarion says of one delivery."""

    id: int
    seq: int
    state: str
    reason: str
    tries: int


def judge(subscribers: Subscribers, silent: Receiver, hung: Subscription, figures: Figures) -> None:
    """Fill in what became of the events, and every promise that was broken. Nothing may run any more."""
    tenant = subscribers.tenant
    log = dict(Event.objects.of(tenant).values_list("event_id", "seq"))
    if len(log) != figures.events:
        figures.breaches.append(f"{len(log)} of {figures.events} events are in the log")
    if parked := ParkedEvent.objects.count():
        figures.breaches.append(f"{parked} events were parked")
    for subscription in subscribers.healthy:
        rows = _rows(subscription)
        came = [each for each in subscribers.receiver.ledger() if each.path == subscription.ref]
        figures.breaches += _arrivals(subscription, rows, log, came, figures)
        figures.breaches += _accounts(subscription, rows, log, (State.ACCEPTED,))
    if figures.duplicates > figures.bound:
        figures.breaches.append(
            f"{figures.duplicates} doubles, at most {figures.bound} were allowed: kills × in flight"
        )
    rows = _rows(hung)
    figures.open = sum(row.state in OPEN_STATES for row in rows)
    figures.knocks = silent.taken()
    # What was in flight when workers died again and again is given up, and its reason says so.
    figures.breaches += _accounts(hung, rows, log, (State.WAITING, State.DEAD))
    figures.messages = sum(len(_rows(each)) for each in (*subscribers.healthy, hung))
    figures.hits = _hits(tenant, subscribers.healthy)
    figures.breaches += [f"audit: {finding.sentence}" for finding in audit.run(datetime.now(UTC))]


def _arrivals(
    subscription: Subscription, rows: list[Row], log: dict[str, int], came: list[Arrived], figures: Figures
) -> Iterator[str]:
    """Each event arrived; whoever remembers ids took it once."""
    name = subscription.ref
    missing = log.keys() - {each.event for each in came}
    figures.lost += len(missing)
    yield from _named(f"events never arrived at {name}", missing)
    yield from _named(
        f"events arrived at {name} that nobody told", {each.event for each in came} - log.keys()
    )
    times = Counter(each.parcel for each in came)
    figures.duplicates += times.total() - len(times)
    ids_of, events_of = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    for each in came:
        ids_of[each.event].add(each.parcel)
        events_of[each.parcel].add(each.event)
    yield from _named(
        f"events were taken twice by {name}, which goes by webhook-id",
        (event for event, ids in ids_of.items() if len(ids) > 1),
    )
    yield from _named(
        f"webhook-ids stood for several events at {name}",
        (parcel for parcel, events in events_of.items() if len(events) > 1),
    )
    yield from _named(
        f"deliveries arrived at {name} oftener than they were tried",
        (row.id for row in rows if times[parcel_id(subscription, row.id)] > row.tries),
    )


def _accounts(
    subscription: Subscription, rows: list[Row], log: dict[str, int], ends: tuple[str, ...]
) -> Iterator[str]:
    """Each event has one row, in a state where it may be; the counters say the same; each try ended once."""
    name = subscription.ref
    seqs = Counter(row.seq for row in rows)
    yield from _named(f"events have no delivery to {name}", set(log.values()) - seqs.keys())
    yield from _named(f"events have two deliveries to {name}", (seq for seq, n in seqs.items() if n > 1))
    elsewhere = [row for row in rows if row.state not in ends]
    for (state, reason), count in Counter((row.state, row.reason) for row in elsewhere).items():
        yield f"{count} deliveries to {name} are {state} {reason or '(no reason)'}"
    yield from _named(
        f"deliveries to {name} were given up without a reason",
        (row.id for row in rows if row.state not in (*OPEN_STATES, State.ACCEPTED) and not row.reason),
    )
    there = Counter((row.state, row.reason) for row in rows)
    counters = DeliveryCount.objects.of(subscription.tenant).filter(subscription=subscription, count__gt=0)
    kept = Counter(
        {(state, reason): n for state, reason, n in counters.values_list("state", "reason", "count")}
    )
    if there != kept:
        yield f"the counters of {name} say {dict(kept)}, the rows {dict(there)}"
    yield from _named(
        f"deliveries to {name} with tries that ended never or twice", _unended(subscription, rows)
    )


def _unended(subscription: Subscription, rows: list[Row]) -> Iterator[int]:
    """The tries that did not go right are told by attempts; the one that did, by the row itself."""
    ended: defaultdict[int, list[int]] = defaultdict(list)
    attempts = DeliveryAttempt.objects.of(subscription.tenant).filter(
        delivery__subscription=subscription, is_late=False
    )
    for pk, number in attempts.values_list("delivery_id", "number").iterator(chunk_size=10_000):
        ended[pk].append(number)
    for row in rows:
        if sorted(ended[row.id]) != list(range(1, row.tries + (row.state != State.ACCEPTED))):
            yield row.id


def _rows(subscription: Subscription) -> list[Row]:
    rows = Delivery.objects.of(subscription.tenant).filter(subscription=subscription)
    found = rows.values_list("id", "seq", "state", "reason", "tries")
    return [Row(*row) for row in found.iterator(chunk_size=10_000)]


def _hits(tenant: Tenant, healthy: list[Subscription]) -> int:
    """How many kills found sends to a receiver that answers under way: one that hangs always has some."""
    died = DeliveryAttempt.objects.of(tenant).filter(
        outcome="worker_died", delivery__subscription__in=healthy
    )
    return len(set(died.values_list("worker_id", flat=True)))


def _named(sentence: str, ids: Iterable[object]) -> Iterator[str]:
    found = sorted(ids, key=str)
    if found:
        yield f"{len(found)} {sentence}: {', '.join(map(str, found[:NAMED]))}"
