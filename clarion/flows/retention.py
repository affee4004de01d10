"""How long each tenant's rows are kept, and what drops them then: in small batches, whatever depends on them first."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Length

from clarion.flows import readers
from clarion.flows.reading import lock_position
from clarion.flows.rounds import each
from clarion.models import (
    Attempt,
    Delivery,
    DeliveryAttempt,
    DeliveryCount,
    Engagement,
    Event,
    EventHead,
    Mailing,
    Message,
    ParkedEvent,
    ReaderPosition,
    Tenant,
)
from clarion.models.engagements import Kind
from clarion.models.outgoing import OPEN_STATES
from clarion.models.transactions import again_on_deadlock
from clarion.settings import MOST_DAYS

log = structlog.get_logger()

# Rows dropped in one transaction: SQLite does so many within 25 ms, their places in all indexes included.
BATCH = {"sqlite": 200}
SERVER_BATCH = 500
# Characters of documents dropped at once; freeing their pages took SQLite 10 ms.
MOST_CHARACTERS = 4 * 1024 * 1024

# Logs, or tenants' deliveries, cut in one step, those with the oldest first. To find them is a look at every tenant.
LOGS = 8

# Logs looked at in one step, as one that is too old cannot be cut while deliveries wait for its events: a week at most.
MOST_LOGS = 8 * LOGS

# What is kept, the unit its time is given in, and the least that is promised to callers.
UNITS = {
    "keep_events_days": timedelta(days=1),
    "keep_messages_days": timedelta(days=1),
    "keep_deliveries_days": timedelta(days=1),
    "keep_attempts_days": timedelta(days=1),
    "keep_answers_hours": timedelta(hours=1),
}
LEAST_ANSWERS = 24
# As the settings have it.
MOST = timedelta(days=MOST_DAYS)


class BadRetention(ValueError):
    """Nothing can be kept for so long, or so shortly."""


def kept(tenant: Tenant, what: str) -> int:
    """Return for how many units this tenant's rows are kept; 0 for ever."""
    return _amount(what, getattr(tenant, what))


def keep(tenant: Tenant, changes: Mapping[str, int | None]) -> None:
    """Keep this tenant's rows for so long from now on: None as the installation has it, 0 for ever.

    :raises BadRetention: nothing is changed then
    """
    for what, amount in changes.items():
        if amount and amount > MOST // UNITS[what]:
            raise BadRetention(f"The longest is {MOST // UNITS[what]}, but for ever.")
        if what == "keep_answers_hours" and amount is not None and amount < LEAST_ANSWERS:
            raise BadRetention(f"Answers are kept {LEAST_ANSWERS} hours at least, and not for ever.")
    for what, amount in changes.items():
        setattr(tenant, what, amount)
    if changes:
        tenant.save(update_fields=list(changes))
        log.info("retention_changed", tenant=tenant.name, **changes)


def served_before(tenant: Tenant, what: str, now: datetime) -> datetime | None:
    """Return before which moment this tenant's rows have served their time; None where they are kept for ever."""
    return _outdated_before(what, getattr(tenant, what), now)


def kept_by_tenants(what: str, now: datetime) -> Iterator[tuple[int | None, datetime]]:
    """Give every time that tenants have set for something, as it stands in their rows, and before when it is over.

    Without those that keep it for ever.
    """
    for own in Tenant.objects.order_by(what).values_list(what, flat=True).distinct():
        before = _outdated_before(what, own, now)
        if before is not None:
            yield own, before


def prune_events(now: datetime) -> int:
    """Drop a batch from the beginning of each log that goes back too far, of the oldest first; return how many events.

    Never what a reader has not read, nor what it has parked: that can be given to it again. Nor what a delivery waits for.
    """
    dropped = 0
    for own, before in kept_by_tenants("keep_events_days", now):
        logs = 0
        for head in _logs_to_cut(own, before).select_related("tenant")[:MOST_LOGS]:
            cut = _cut(head.tenant, before)
            dropped, logs = dropped + cut, logs + (cut > 0)
            if dropped >= batch() or logs == LOGS:
                break
    return dropped


def prune_messages(now: datetime) -> int:
    """Drop the next messages of mailings that ended long ago, with their attempts; return how much was done.

    The mailing remembers how many there were, and its counts stay as they are.
    """
    done = 0
    for own, before in kept_by_tenants("keep_messages_days", now):
        rows = Mailing.objects.filter(tenant__keep_messages_days=own)
        due = rows.to_prune(before).order_by("finished_at", "id")
        done += sum(each(due, _drop_messages, now, most=1))
    return done


def prune_attempts(now: datetime) -> int:
    """Drop the next batch of tries that are too old, of each kind; return how many."""
    dropped = 0
    for own, before in kept_by_tenants("keep_attempts_days", now):
        tenants = Tenant.objects.filter(keep_attempts_days=own)
        for model in (Attempt, DeliveryAttempt):
            rows: Any = model._default_manager
            oldest = rows.filter(tenant=OuterRef("pk")).order_by("ended_at").values("ended_at")[:1]
            with_old = tenants.annotate(oldest=Subquery(oldest)).filter(oldest__lt=before)
            for tenant in with_old.order_by("oldest")[:1]:
                old = rows.of(tenant).filter(ended_at__lt=before).order_by("ended_at")
                ids = list(old.values_list("pk", flat=True)[: batch()])
                dropped += rows.of(tenant).filter(pk__in=ids).delete()[0]
    return dropped


def _amount(what: str, own: int | None) -> int:
    """Return for how many units something is kept by tenants with this in their row: None as the installation has it."""
    return int(getattr(settings.CLARION, what)) if own is None else own


def _outdated_before(what: str, own: int | None, now: datetime) -> datetime | None:
    amount = _amount(what, own)
    return now - amount * UNITS[what] if amount else None


def _logs_to_cut(own: int | None, before: datetime) -> QuerySet[EventHead]:
    """Return the heads of logs whose first event is too old and has been read by everybody."""
    events = Event.objects.filter(tenant=OuterRef("tenant")).order_by("seq")
    heads: QuerySet[Any] = EventHead.objects.filter(tenant__keep_events_days=own).annotate(
        first=Subquery(events.values("seq")[:1]), oldest=Subquery(events.values("received_at")[:1])
    )
    heads = heads.filter(oldest__lt=before)
    for reader in readers.READERS:
        mine = {"tenant": OuterRef("tenant"), "reader": reader.name}
        # Compared outside of the subqueries: MariaDB takes no subquery within the condition of another.
        read = ReaderPosition.objects.filter(**mine).values("seq")[:1]
        parked = ParkedEvent.objects.filter(**mine).order_by("seq").values("seq")[:1]
        heads = heads.alias(read=Subquery(read), parked=Subquery(parked))
        heads = heads.filter(Q(parked=None) | Q(parked__gt=F("first")), read__gte=F("first"))
    return heads.order_by("oldest")


def _cut(tenant: Tenant, before: datetime) -> int:
    oldest = Event.objects.of(tenant).order_by("seq")
    first = last = total = 0
    for seq, received_at, size in oldest.values_list("seq", "received_at", Length("body"))[: batch()]:
        total += size
        if received_at >= before or (last and total > MOST_CHARACTERS):
            break
        first, last = first or seq, seq

    def once() -> int:
        with transaction.atomic():
            end = _before_waiting(tenant, first, min(last, _done_with(tenant)))
            # Left by readers that there are no more.
            ParkedEvent.objects.of(tenant).filter(seq__lte=end).delete()
            bought = Engagement.objects.of(tenant).filter(kind=Kind.PURCHASED, seq__range=(first, end))
            bought.exclude(Exists(Message.objects.of(tenant).filter(pk=OuterRef("message_id")))).delete()
            return Event.objects.of(tenant).filter(seq__lte=end).delete()[0]

    return again_on_deadlock(once)


def _done_with(tenant: Tenant) -> int:
    """Return up to which number nobody will ask for events again, and see to it that it stays so.

    Positions are locked, so that no reader is sent back meanwhile.
    """
    names = sorted(reader.name for reader in readers.READERS)
    read = [lock_position(tenant, name).seq for name in names]
    parked = ParkedEvent.objects.of(tenant).filter(reader__in=names).order_by("seq")
    before_parked = [seq - 1 for seq in parked.values_list("seq", flat=True)[:1]]
    head = EventHead.objects.of(tenant).values_list("seq", flat=True).first() or 0
    return min([head, *read, *before_parked])


def _before_waiting(tenant: Tenant, first: int, end: int) -> int:
    """Return up to which of these events no delivery is on its way: what leaves is made of them when it leaves."""
    open_ones = DeliveryCount.objects.of(tenant).filter(state__in=OPEN_STATES, count__gt=0)
    for subscription_id in sorted(set(open_ones.values_list("subscription", flat=True))):
        rows = Delivery.objects.of(tenant, leads=False).filter(subscription=subscription_id)
        # States are compared here: the databases would look for them, among millions, rather than for the numbers.
        there = rows.filter(seq__range=(first, end)).order_by("seq").values_list("seq", "state")
        end = next((seq - 1 for seq, state in there if state in OPEN_STATES and seq is not None), end)
    return end


def _drop_messages(mailing: Mailing, now: datetime) -> int:
    rows = Message.objects.of(mailing.tenant).filter(mailing=mailing).order_by("customer_id")
    held = Message.objects.of(mailing.tenant).lock(list(rows.values_list("pk", flat=True)[: batch()]))
    ids = [row.id for row in held]
    Attempt.objects.of(mailing.tenant).filter(message__in=ids).delete()
    _drop_engagements(mailing.tenant, ids)
    Message.objects.of(mailing.tenant).filter(pk__in=ids).delete()
    mailing.pruned += len(ids)
    if len(ids) < batch():
        mailing.pruned_at = now
        log.info("mailing_pruned", mailing_id=mailing.pk, tenant=mailing.tenant.name, messages=mailing.pruned)
    return 1


def _drop_engagements(tenant: Tenant, message_ids: list[int]) -> None:
    """Drop what became of these messages, save purchases whose events are still there: they go with those.

    A reader that is rewound comes by such an event again. It knows by this row that it was credited and counted.
    """
    rows = Engagement.objects.of(tenant).filter(message__in=message_ids)
    first = Event.objects.of(tenant).order_by("seq").values_list("seq", flat=True).first()
    if first is not None:
        rows = rows.exclude(kind=Kind.PURCHASED, seq__gte=first)
    rows.delete()


def batch() -> int:
    """Return how many rows are dropped in one transaction."""
    return BATCH.get(connection.vendor, SERVER_BATCH)
