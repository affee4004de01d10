"""Deliveries that are looked at, and those that did not arrive and are asked for again."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

import structlog
from django.db import transaction
from django.db.models import F

from clarion.flows.forwarding import LONGEST, hold_lanes
from clarion.flows.subscriptions import check_is_active
from clarion.models import Delivery, DeliveryAttempt, DeliveryCount, Event, Lane, State, Subscription, Tenant
from clarion.models.deliveries import RECOVERABLE, line
from clarion.models.moves import Move, move
from clarion.models.outgoing import OPEN_STATES, URGENT, Held, Reason
from clarion.models.transactions import again_on_deadlock

log = structlog.get_logger()

# What went wrong for good, and is looked at to be mended.
FAILURES = (State.FAILED, State.DEAD, State.UNDELIVERED, State.EXPIRED)
# So many of the latest failures are looked at, of each state: read in 50 ms (SQLite).
MOST_FAILURES = 10_000


class StillOpen(Exception):
    """The delivery is on its way; nothing has to be asked for."""


class AlreadySent(Exception):
    """The receiver took the delivery."""


class EventGone(Exception):
    """The log no longer has the event."""


class TriedOnce(Exception):
    """The delivery is an example that somebody wanted to see go; another one shows what is so now."""


class FailureGroup(NamedTuple):
    """Deliveries that failed alike: why, how many, since and until when, and the latest of them."""

    reason: str
    code: str
    size: int
    first_at: datetime
    last_at: datetime
    newest_id: int
    excerpt: str


def newest(
    subscription: Subscription,
    *,
    states: Iterable[str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    most: int,
) -> list[Delivery]:
    """Return a subscription's latest deliveries, the latest first: those made from `since` to before `until`.

    `before`: an id behind which the list goes on. Each state is read on its own, in the order of an index.
    """
    rows = (
        Delivery.objects.of(subscription.tenant, leads=False)
        .filter(subscription=subscription)
        .select_related("subscription")
        .order_by("-pk")
    )
    last = None if until is None else _first_since(subscription, until)
    if last is not None:
        rows = rows.filter(pk__lte=last)
    if until is not None:
        rows = rows.filter(created_at__lt=until)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found: list[Delivery] = []
    for state in _states_there(subscription, states):
        found += rows.filter(state=state)[:most]
    found.sort(key=lambda row: -row.pk)
    # They were made in the order of their ids: behind the first that is too old there are no others.
    return [row for row in found[:most] if since is None or row.created_at >= since]


def failures(subscription: Subscription) -> tuple[list[FailureGroup], bool]:
    """Return what failed for good, by reason and code, the most frequent first; and whether that is all of it."""
    rows = (
        Delivery.objects.of(subscription.tenant, leads=False)
        .filter(subscription=subscription)
        .order_by("-pk")
    )
    groups: dict[tuple[str, str], list[tuple[int, datetime]]] = defaultdict(list)
    is_all = True
    for state in _states_there(subscription, FAILURES):
        columns = rows.filter(state=state).values_list("reason", "code", "pk", "finished_at", "created_at")
        found = list(columns[: MOST_FAILURES + 1])
        is_all = is_all and len(found) <= MOST_FAILURES
        for reason, code, pk, finished_at, created_at in found[:MOST_FAILURES]:
            groups[reason, code].append((pk, finished_at or created_at))
    excerpts = _excerpts(subscription.tenant, [max(each)[0] for each in groups.values()])
    told = []
    for (reason, code), members in groups.items():
        moments = [at for _, at in members]
        newest_id = max(members)[0]
        excerpt = excerpts.get(newest_id, "")
        told.append(FailureGroup(reason, code, len(members), min(moments), max(moments), newest_id, excerpt))
    return sorted(told, key=lambda each: (-each.size, each.reason, each.code)), is_all


def retry(delivery: Delivery, *, by: str, now: datetime) -> Delivery:
    """Let a delivery that did not arrive go again, at once, with all its tries; `by` is who asked, for the log.

    :raises Inactive, StillOpen, AlreadySent, EventGone, TriedOnce: nothing is changed then
    """
    if delivery.seq is None:
        raise TriedOnce(f"Delivery {delivery.pk} is an example, which is tried once; ask for another test.")

    def once() -> Delivery:
        with transaction.atomic():
            subscription = Subscription.objects.of(delivery.tenant).get(pk=delivery.subscription_id)
            check_is_active(subscription)
            put = put_back(subscription, [delivery.pk], priority=URGENT, now=now)
            again = Delivery.objects.of(delivery.tenant).select_related("subscription").get(pk=delivery.pk)
            if not put:
                raise _why_not(again)
        return again

    again = again_on_deadlock(once)
    log.info("delivery_retried", delivery_id=delivery.pk, tenant=delivery.tenant.name, by=by)
    return again


def put_back(subscription: Subscription, ids: Sequence[int], *, priority: int, now: datetime) -> int:
    """Let those of these deliveries that did not arrive go again, in the caller's transaction; return how many.

    Not those whose event the log no longer has. Where an order is kept they stand in line again.
    """
    tenant = subscription.tenant
    is_ordered = Lane.objects.filter(pk=subscription.lane_id, is_ordered=True).exists()
    if is_ordered:
        hold_lanes([subscription.lane_id])
    rows = Delivery.objects.of(tenant, leads=False)
    held = [row for row in rows.lock(list(ids)) if row.state in RECOVERABLE]
    numbers = dict(rows.filter(pk__in=[row.id for row in held]).values_list("pk", "seq"))
    wanted = [seq for seq in numbers.values() if seq is not None]
    events = Event.objects.of(tenant).filter(seq__in=wanted)
    abouts = {event.seq: event.about for event in events.defer("body", "facts")}
    moves: list[Move] = []
    lines: set[int] = set()
    for row in held:
        seq = numbers[row.id]
        if seq is not None and seq not in abouts:
            continue
        place = line(subscription.pk, abouts[seq]) if is_ordered and seq is not None else None
        moves.append(_again(row, place, priority, now))
        lines |= {place} if place is not None else set()
    move(Delivery, moves, now)
    if lines:
        # Whoever was let go and has not gone yet steps back: what goes again was told before it.
        in_line = rows.filter(order_key__in=sorted(lines), state=State.WAITING, reason=Reason.IN_LINE)
        in_line.filter(due_at__lt=F("deadline_at")).update(due_at=F("deadline_at"))
        rows.let_go(lines, now)
    return len(moves)


def _again(row: Held, place: int | None, priority: int, now: datetime) -> Move:
    columns = {
        "due_at": now if place is None else now + LONGEST,
        "deadline_at": now + LONGEST,
        "finished_at": None,
        "counted_tries": 0,
        "worker_deaths": 0,
        "order_key": place,
        "priority": priority,
    }
    return Move(row, State.WAITING, "" if place is None else Reason.IN_LINE, columns)


def _why_not(delivery: Delivery) -> Exception:
    if delivery.state in OPEN_STATES:
        return StillOpen(f"Delivery {delivery.pk} is {delivery.status}: it is on its way.")
    if delivery.state in RECOVERABLE:
        return EventGone(f"The log no longer has event {delivery.seq}.")
    return AlreadySent(
        f"Delivery {delivery.pk} is {delivery.status}; to send its event once more, ask for a replay from "
        f"after_seq {(delivery.seq or 1) - 1} until_seq {delivery.seq}."
    )


def _states_there(subscription: Subscription, states: Iterable[str] | None) -> list[str]:
    counts = DeliveryCount.objects.of(subscription.tenant).filter(subscription=subscription, count__gt=0)
    there = set(counts.values_list("state", flat=True))
    return sorted(there if states is None else there & {str(state) for state in states})


def _first_since(subscription: Subscription, moment: datetime) -> int | None:
    """Return the id of the first delivery of an event that came at this moment or later; None where there is none.

    Whatever has a larger id was made later: of years of deliveries those of one day are found by it.
    """
    events = Event.objects.of(subscription.tenant).filter(received_at__gte=moment)
    seq = events.order_by("received_at", "seq").values_list("seq", flat=True).first()
    rows = Delivery.objects.of(subscription.tenant, leads=False).filter(
        subscription=subscription, redelivery_id=0
    )
    return (
        None
        if seq is None
        else rows.filter(seq__gte=seq).order_by("seq").values_list("pk", flat=True).first()
    )


def _excerpts(tenant: Tenant, ids: Sequence[int]) -> dict[int, str]:
    """Return what the other side said last of each of these deliveries."""
    tries = DeliveryAttempt.objects.of(tenant).filter(delivery__in=ids).order_by("pk")
    return dict(tries.values_list("delivery_id", "excerpt"))
