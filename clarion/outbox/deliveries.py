"""Deliveries of events to systems: what the outbox has to know of them."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
import structlog
from django.conf import settings

from clarion import destinations
from clarion.destinations import Destination, Parcel
from clarion.lib.comparable import fold
from clarion.lib.http import HttpClient
from clarion.lib.sending import Gone, InDoubt, Misconfigured, NotSent, Receipt, SendError
from clarion.models import Delivery, Event, State, Subscription
from clarion.models.bulk import moment, read_rows
from clarion.models.events import Logged
from clarion.models.outgoing import SUSPECT, Held, Reason
from clarion.outbox import bodies
from clarion.outbox.gate import is_too_late
from clarion.outbox.landing import Departure, Landing
from clarion.outbox.traffic import Traffic
from clarion.outbox.verdicts import Go, Stop, Verdict

log = structlog.get_logger()

# A receiver of which every try failed for so long is not coming back by itself (as Svix has it). Whoever mends it within
# a long weekend finds everything waiting.
FAILING_LONGEST = timedelta(days=5)
# What was in flight at two deaths of a worker goes alone: all others wait for so long at most, and not for as long as its
# receiver may hang. Who is well answers in a second; who needs longer has it in the next try, beside the others.
LONGEST_ALONE = timedelta(seconds=5)
# Why we ended a subscription ourselves.
GONE, FAILING = "gone", "failing"


class DeliveryDue(NamedTuple):
    """A due delivery (`verdicts.Due`)."""

    held: Held
    lane_id: int
    seq: int | None
    body: str
    counted_tries: int
    priority: int
    deadline_at: datetime


class Deliveries(Traffic):
    """Events to systems, through destinations."""

    name = "delivery"
    model = Delivery
    due = DeliveryDue

    def accounts(self, root_ids: Collection[int]) -> Mapping[int, Subscription]:
        found = Subscription.objects.filter(lane__in=root_ids).select_related("tenant")
        return {subscription.lane_id: subscription for subscription in found}

    def policy(self, account: Subscription) -> str:
        """Systems tell what they have by its id, so it goes again."""
        return "resend"

    def ask(
        self, rows: Sequence[DeliveryDue], accounts: Mapping[int, Any], *, now: datetime
    ) -> list[Verdict]:
        if not rows:
            return []
        owners = {row.held.owner_id for row in rows}
        # Asked anew in each round: whoever said stop is not sent to.
        active = {pk for pk, is_active in read_rows(Subscription, ("id", "is_active"), owners) if is_active}
        contents = _Contents(_events(rows), now)
        return [
            _verdict(row, accounts[row.lane_id], contents, now, is_active=row.held.owner_id in active)
            for row in rows
        ]

    def columns(self, verdict: Go) -> dict[str, Any]:
        """Nothing: an event does not change, and what is made of it neither."""
        return {}

    def content(self, verdict: Go) -> Parcel:
        parcel: Parcel = verdict.content
        return parcel

    def about(self, due: DeliveryDue) -> int | None:
        return due.seq

    def told(self, departure: Departure) -> dict[str, Any]:
        return {
            "delivery_id": departure.id,
            "subscription": str(departure.account),
            "seq": departure.about_id,
        }

    def heard(self, landings: Sequence[Landing], now: datetime) -> None:
        """Remember since when nothing goes right with a subscription, and end those with which it never will."""
        told = _of_receivers(landings)
        if not told:
            return
        # Read anew: what they were sent with may be seconds old.
        columns = ("id", "is_active", "failing_since")
        rows = {pk: rest for pk, *rest in read_rows(Subscription, columns, {pk for pk, _ in told})}
        right = {pk for pk, result in told if isinstance(result, Receipt)}
        wrong = {pk for pk, result in told if not isinstance(result, Receipt)} - right
        failing = {pk: rows[pk][1] and moment(rows[pk][1]) for pk in rows.keys() & (right | wrong)}
        mended = {pk for pk in right if failing.get(pk)}
        if mended:
            Subscription.objects.filter(pk__in=mended).update(failing_since=None)
        begun = {pk for pk in wrong if pk in failing and not failing[pk]}
        if begun:
            Subscription.objects.filter(pk__in=begun).update(failing_since=now)
        gone = {pk for pk, result in told if isinstance(result, Gone)}
        tired = {pk for pk in wrong if failing.get(pk) and now - failing[pk] > FAILING_LONGEST}
        for ids, because in ((gone, GONE), (tired, FAILING)):
            _end(ids, because, now)

    def client(self, slots: int) -> HttpClient:
        """Guarded: subscribers say where they are, and some of them mean us."""
        return HttpClient(connections=slots, egress=settings.CLARION.egress)

    def exit(self, account: Subscription, http: HttpClient) -> Destination:
        kind = destinations.find(account.destination)
        return kind(kind.Config(**account.settings), http)

    def batch_size(self, account: Subscription) -> int:
        try:
            return destinations.find(account.destination).batch_size
        except destinations.UnknownKind:
            return 1

    def misfit(self, account: Subscription) -> str:
        return f"The settings of subscription {account.ref!r} do not fit destination {account.destination!r}"


# By the format of a subscription.
_BODIES = {Subscription.EVENT: bodies.event_body, Subscription.INTERACTION: bodies.interaction_body}


def parcel_id(subscription: Subscription, delivery_id: int) -> str:
    """Return the id by which a receiver tells what it has: the same in every try, and nobody else's."""
    # Part of what is random about the subscription: receivers outlive databases, whose numbers begin anew.
    return f"dlv_{subscription.uid.hex[:12]}_{delivery_id}"


class _Contents:
    """What of a round's events leaves: made once, however many subscribers are told of one."""

    def __init__(self, events: Mapping[tuple[int, int | None], Logged], now: datetime) -> None:
        self._events = events
        self._now = now
        self._made: dict[tuple[int, int, str], tuple[str, Mapping[str, str], str]] = {}

    def of(self, row: DeliveryDue, subscription: Subscription) -> tuple[str, Mapping[str, str], str] | None:
        """Return body, attributes and group of this delivery; None where its event is gone."""
        # What is only an example has no row in the log.
        example_of = row.body and example(row.body, self._now)
        event = example_of or self._events.get((row.held.tenant_id, row.seq))
        if event is None:
            return None
        # An example is nobody else's.
        key = (row.held.tenant_id, -row.held.id if example_of else event.seq, subscription.format)
        made = self._made.get(key)
        if made is None:
            told = bodies.Told(
                event_id=event.event_id,
                entity=event.entity,
                operation=event.operation,
                tenant=subscription.tenant.name,
                at=event.happened_at,
                body=event.body,
            )
            made = (_BODIES[subscription.format](told), bodies.attributes(told), event.about)
            self._made[key] = made
        return made


def _verdict(
    row: DeliveryDue, subscription: Subscription, contents: _Contents, now: datetime, *, is_active: bool
) -> Verdict:
    if not is_active and row.seq is not None:
        return Stop(row, State.CANCELLED, Reason.SUBSCRIPTION_ENDED)
    if is_too_late(row.deadline_at, now):
        return Stop(row, State.EXPIRED, Reason.WINDOW_OVER)
    content = contents.of(row, subscription)
    if content is None:
        return Stop(row, State.FAILED, Reason.EVENT_GONE)
    body, attributes, group = content
    parcel = Parcel(parcel_id(subscription, row.held.id), body, attributes, group, now)
    until = min(row.deadline_at, now + LONGEST_ALONE) if row.priority == SUSPECT else row.deadline_at
    return Go(row, body, until, content=parcel)


def example(body: str, now: datetime) -> Logged:
    """Return the event of a document that is in no log."""
    document = msgspec.json.decode(body)
    return Event(
        seq=0,
        event_id=str(document["id"]),
        kind=document["event_type"],
        entity_name=fold(document.get("entity_name") or ""),
        entity_id=str(document.get("entity_id") or ""),
        operation=(document.get("event_payload") or {}).get("operation") or "",
        happened_at=now,
        received_at=now,
        is_test=False,
        body=body,
    ).logged


def _events(rows: Sequence[DeliveryDue]) -> dict[tuple[int, int | None], Logged]:
    of_tenant: defaultdict[int, set[int]] = defaultdict(set)
    for row in rows:
        if row.seq is not None:
            of_tenant[row.held.tenant_id].add(row.seq)
    return {
        (tenant_id, event.seq): event
        for tenant_id, numbers in of_tenant.items()
        for event in Event.objects.numbered(tenant_id, numbers)
    }


def _of_receivers(landings: Sequence[Landing]) -> list[tuple[int, Receipt | SendError]]:
    """Return what receivers answered that says something of them as they are now, by subscription.

    Not what an example met, a body that can never be taken, or one who asks us to slow down. And what was sent with
    settings that were changed meanwhile says nothing of the new ones.
    """
    told: list[tuple[Subscription, Receipt | SendError]] = []
    for each in landings:
        account, result = each.departure.account, each.result
        if not isinstance(account, Subscription) or each.departure.about_id is None:
            continue
        if isinstance(result, Receipt | Gone | Misconfigured | NotSent | InDoubt):
            told.append((account, result))
    failed = {account.pk for account, result in told if not isinstance(result, Receipt)}
    sealed: dict[int, str] = dict(read_rows(Subscription, ("id", "sealed_settings"), failed))
    return [
        (account.pk, result)
        for account, result in told
        if sealed.get(account.pk, account.sealed_settings) == account.sealed_settings
    ]


def _end(ids: Collection[int], because: str, now: datetime) -> None:
    """End these subscriptions; what waits is cancelled, and the tenant told, by `flows/forwarding.sweep_due`."""
    if not ids:
        return
    rows = Subscription.objects.filter(pk__in=ids, is_active=True).select_for_update().order_by("pk")
    for subscription in rows:
        subscription.end(now, because=because)
        subscription.save(update_fields=["is_active", "disabled_because", "sweep_cursor", "changed_at"])
        log.error("subscription_disabled", subscription=subscription.ref, because=because)
