"""Events or deliveries are sent to a subscriber once more, because somebody asked: counted, written down, done in slices."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

import structlog
from django.db import connection
from django.db.models import Count as Number
from django.db.models import Q
from django.db.models.functions import Length

from clarion.flows import deliveries, events
from clarion.flows.forwarding import make
from clarion.flows.matching import Heard, Interest, compiled, interest_of
from clarion.flows.rounds import each
from clarion.flows.subscriptions import check_is_active
from clarion.lib.crashpoints import crashpoint
from clarion.models import Delivery, Event, EventHead, Redelivery, Subscription, Tenant
from clarion.models.deliveries import RECOVERABLE
from clarion.models.outgoing import BULK, Reason

log = structlog.get_logger()

# Events or deliveries of one slice: as many as SQLite makes rows of, or moves, in about 25 ms.
SLICE = {"sqlite": 500}
SERVER_SLICE = 2_000
# Characters of documents in a slice, beside the first: all of them are in memory.
MOST_CHARACTERS = 1024 * 1024
# Looked at one by one to count what would be sent: in 50 ms where documents need not be read, and in at most 3 s where
# each is of a MiB. Of more than that, so many from all over the range are looked at, and the rest is estimated.
MOST_COUNTED, MOST_READ = 2_000, 200
# So many of the latest deliveries of each state that can go again are counted, in the database: in 50 ms (SQLite).
MOST_ENDED = 20_000


class BadSpan(ValueError):
    """There is no such range; `member` is to blame."""

    def __init__(self, member: str, sentence: str) -> None:
        super().__init__(sentence)
        self.member = member


class Count(NamedTuple):
    """How much would be sent, and whether that was counted or estimated."""

    found: int
    is_exact: bool


class Span(NamedTuple):
    """What is asked for: numbers behind `after` up to `until`, of events (replay) or of deliveries (recovery)."""

    kind: str
    after: int
    until: int
    since: datetime | None = None
    filter: dict[str, Any] | None = None


def replay_span(
    tenant: Tenant,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    after_seq: int | None = None,
    until_seq: int | None = None,
    filter: dict[str, Any] | None = None,
) -> Span:
    """Return which events are meant: behind a number or from a time on, up to a number or before a time, or to the end.

    :raises BadSpan: it has no beginning, two of them, two ends, or ends before it begins
    :raises events.Pruned: the log no longer goes back so far
    """
    if since is None and after_seq is None:
        raise BadSpan("since", "Say from when on: since, or after_seq.")
    if since is not None and after_seq is not None:
        raise BadSpan("after_seq", "stands beside since: one of the two")
    if until is not None and until_seq is not None:
        raise BadSpan("until_seq", "stands beside until: one of the two")
    # Asked before the log is looked at: whatever it says is there.
    head = EventHead.objects.of(tenant).values_list("seq", flat=True).first() or 0
    after = after_seq if since is None else _last_before(tenant, since, head)
    end = until_seq if until is None else _last_before(tenant, until, head)
    last = head if end is None else min(end, head)
    if (since and until and until <= since) or (
        after_seq is not None and until_seq is not None and until_seq <= after_seq
    ):
        raise BadSpan("until" if until else "until_seq", "must come after its beginning")
    events.read_log(tenant, after or 0)
    if since is not None:
        _check_not_pruned(tenant, since)
    return Span(Redelivery.REPLAY, after or 0, max(last, after or 0), since=since, filter=filter)


def recovery_span(subscription: Subscription, *, since: datetime) -> Span:
    """Return which deliveries are meant: those that did not arrive, and came to their end at this time or later."""
    rows = Delivery.objects.of(subscription.tenant, leads=False).filter(subscription=subscription)
    # One state after the other: each is in the order of an index.
    latest = [
        rows.filter(state=state).order_by("-pk").values_list("pk", flat=True).first() for state in RECOVERABLE
    ]
    newest = max(pk or 0 for pk in latest)
    return Span(Redelivery.RECOVERY, 0, newest, since=since)


def count(subscription: Subscription, span: Span) -> Count:
    """Return how much would be sent, if it were asked for now."""
    if span.kind == Redelivery.REPLAY:
        return _count_events(subscription, span)
    return _count_ended(subscription, span)


def ask(subscription: Subscription, span: Span, found: Count, *, by: str, now: datetime) -> Redelivery:
    """Have it done, from now on, by the worker; what is written down is kept as the record that it was.

    :raises Inactive:
    """
    check_is_active(subscription)
    asked = Redelivery.objects.create(
        tenant=subscription.tenant,
        subscription=subscription,
        kind=span.kind,
        after=span.after,
        until=span.until,
        since=span.since,
        filter=span.filter,
        cursor=span.after,
        found=found.found,
        asked_by=by[:100],
        created_at=now,
    )
    of = {"subscription": subscription.ref, "tenant": subscription.tenant.name, "by": by}
    log.info("redelivery_asked_for", redelivery_id=asked.pk, kind=span.kind, found=found.found, **of)
    return asked


def run_due(now: datetime) -> int:
    """Do the next slice of each; return how many had one."""
    slices = 0
    for done in each(Redelivery.objects.to_run().order_by("pk"), _slice, now):
        slices += done
        crashpoint("redelivery.after_slice_commit")
    return slices


def _slice(asked: Redelivery, now: datetime) -> int:
    if asked.finished_at is not None:
        return 0
    subscription = (
        Subscription.objects.of(asked.tenant).select_related("tenant").get(pk=asked.subscription_id)
    )
    if subscription.is_active:
        step = _replay if asked.kind == Redelivery.REPLAY else _recover
        asked.done += step(asked, subscription, now)
    # Whoever ended the subscription ended this as well.
    if not subscription.is_active or asked.cursor >= asked.until:
        asked.finished_at = now
        of = {"subscription": subscription.ref, "tenant": asked.tenant.name}
        log.info("redelivery_finished", redelivery_id=asked.pk, kind=asked.kind, done=asked.done, **of)
    crashpoint("redelivery.before_slice_commit")
    return 1


def _replay(asked: Redelivery, subscription: Subscription, now: datetime) -> int:
    rows = Event.objects.of(asked.tenant).filter(seq__gt=asked.cursor, seq__lte=asked.until).order_by("seq")
    end = total = 0
    for seq, size in rows.values_list("seq", Length("body"))[: _most()]:
        total += size
        if end and total > MOST_CHARACTERS:
            break
        end = seq
    if not end:
        asked.cursor = asked.until
        return 0
    interest = interest_of(subscription)
    after, asked.cursor = asked.cursor, end
    if interest is None:
        return 0
    found = Event.objects.of(asked.tenant).between(asked.tenant_id, after, end)
    pairs = [(interest, event) for event in _taken(found, interest, asked.filter)]
    return make(asked.tenant, pairs, now, redelivery_id=asked.pk, priority=BULK)


def _recover(asked: Redelivery, subscription: Subscription, now: datetime) -> int:
    ids, end = _ended(subscription, asked.since, asked.cursor, asked.until, _most())
    asked.cursor = end
    return deliveries.put_back(subscription, ids, priority=BULK, now=now)


def _ended(
    subscription: Subscription, since: datetime | None, after: int, until: int, most: int
) -> tuple[list[int], int]:
    """Return the next deliveries that did not arrive and ended at this time or later, and up to which id was looked.

    Each state is read on its own, in the order of an index. Not those that showed somebody whether anything arrives.
    """
    rows = (
        Delivery.objects.of(subscription.tenant, leads=False).filter(subscription=subscription).order_by("pk")
    )
    looked: list[tuple[int, datetime | None, int | None, str]] = []
    for state in RECOVERABLE:
        of_state = rows.filter(state=state, pk__gt=after, pk__lte=until)
        looked += of_state.values_list("pk", "finished_at", "seq", "reason")[:most]
    looked = sorted(looked)[:most]
    ids = [
        pk
        for pk, finished_at, seq, reason in looked
        if seq is not None
        and reason != Reason.EVENT_GONE
        and (since is None or (finished_at is not None and finished_at >= since))
    ]
    return ids, looked[-1][0] if len(looked) == most else until


def _count_ended(subscription: Subscription, span: Span) -> Count:
    """Count what a recovery would send; no more than the latest are looked at, among which nearly all of it is."""
    rows = Delivery.objects.of(subscription.tenant, leads=False).filter(
        subscription=subscription, pk__lte=span.until
    )
    can_go = Q(seq__isnull=False, finished_at__gte=span.since) & ~Q(reason=Reason.EVENT_GONE)
    found = most_looked_at = 0
    for state in RECOVERABLE:
        latest = rows.filter(state=state).order_by("-pk")[:MOST_ENDED]
        looked, sent = latest.aggregate(looked=Number("pk"), sent=Number("pk", filter=can_go)).values()
        found, most_looked_at = found + sent, max(most_looked_at, looked)
    return Count(found, most_looked_at < MOST_ENDED)


def _count_events(subscription: Subscription, span: Span) -> Count:
    interest = interest_of(subscription)
    if interest is None:
        return Count(0, True)
    size = span.until - span.after
    must_read = interest.filter is not None or span.filter is not None
    most = MOST_READ if must_read else MOST_COUNTED
    step = max(1, -(-size // most))
    numbers = range(span.after + 1, span.until + 1, step)
    rows = Event.objects.of(subscription.tenant).filter(seq__in=list(numbers))
    rows = rows.defer("facts") if must_read else rows.defer("facts", "body")
    found = sum(1 for _ in _taken(rows.iterator(chunk_size=100), interest, span.filter))
    return Count(round(found * size / len(numbers)) if step > 1 else found, step == 1)


def _taken(found: Iterable[Any], interest: Interest, spec: dict[str, Any] | None) -> Iterator[Any]:
    """Give those of these events that the subscription takes, and the filter beside its own as well."""
    wanted = compiled(spec)
    for event in found:
        heard = Heard(event)
        if interest.takes(heard) and (wanted is None or wanted.matches(heard.document)):
            yield event


def _last_before(tenant: Tenant, moment: datetime, head: int) -> int:
    """Return the number of the last event that came before this moment."""
    rows = Event.objects.of(tenant).filter(received_at__gte=moment).order_by("received_at", "seq")
    first = rows.values_list("seq", flat=True).first()
    return head if first is None else first - 1


def _check_not_pruned(tenant: Tenant, since: datetime) -> None:
    first = Event.objects.of(tenant).order_by("seq").values_list("seq", "received_at").first()
    if first is not None and first[0] > 1 and since < first[1]:
        raise events.Pruned(first[0])


def _most() -> int:
    return SLICE.get(connection.vendor, SERVER_SLICE)
