"""Event subscriptions: made, replaced, ended; and the secret by which a receiver knows that it is us, made anew."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import uuid4

import structlog
from django.db import IntegrityError, transaction

from clarion import destinations
from clarion.flows.destination_settings import Chosen, complete, is_same
from clarion.flows.event_checks import ENTITY_KINDS, MAIL_KINDS
from clarion.lib.secrets import BadSeal
from clarion.models import EventHead, Lane, Subscription, Tenant
from clarion.models.outcomes import OUTCOMES
from clarion.models.subscriptions import ALL
from clarion.models.transactions import again_on_deadlock
from clarion.outbox import breaker

log = structlog.get_logger()

# The seed's, in its order; whatever else an event may be about by its type; everything; what becomes of what we do.
ENTITY_TYPES = tuple(
    dict.fromkeys(
        (
            *("CUSTOMER", "INVENTORY_LEVEL", "INVENTORY_LOCATION", "ORDER"),
            *("PRICE", "PRODUCT", "VARIANT_PRODUCT", "WISHLIST"),
            *ENTITY_KINDS,
            *(kind.upper() for kind in MAIL_KINDS),
            ALL.upper(),
            *OUTCOMES,
        )
    )
)
# The member in which a destination keeps what it signs with, where it does.
SECRET = "secret"  # noqa: S105 - a member's name


class IdTaken(Exception):
    """Another subscription of the tenant has this id."""


class LiveSubscription(Exception):
    """A test caller asked to touch a subscription that was made with a live key."""


class NoSecret(Exception):
    """The destination has no secret that is made here."""


class Inactive(Exception):
    """What was asked is possible only while the subscription is active."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody wants a subscription to be. `ref` is empty where an id is to be made."""

    ref: str
    ref_is_number: bool
    destination: Chosen
    entity_type: str
    creates: bool
    changes: bool
    deletes: bool
    filter: dict[str, Any] | None = None
    format: str = Subscription.EVENT
    is_ordered: bool = False
    is_active: bool = True


class Outcome(NamedTuple):
    """A subscription as it is now, whether it was made just now, and the settings that were made and not sent."""

    subscription: Subscription
    is_new: bool
    made: frozenset[str] = frozenset()


def create(tenant: Tenant, draft: Draft, *, is_test: bool, now: datetime) -> Outcome:
    """Make a subscription, which hears of events from now on. What is the same under its id is the one there is.

    :raises BadDestination, IdTaken: nothing is stored then
    """
    known = _known(tenant, draft.ref)
    if known is None:
        settings = complete(draft.destination, None, now)
        try:
            subscription = _store(tenant, draft, settings, is_test=is_test, now=now)
        except IntegrityError:
            # Somebody else was faster.
            known = _known(tenant, draft.ref)
            if known is None:
                raise
        else:
            log.info("subscription_created", subscription=subscription.ref, tenant=tenant.name)
            return Outcome(subscription, True, _made(draft.destination, settings))
    if known.is_test != is_test or not _is_as(known, draft, now):
        raise IdTaken(f"There is another subscription {known.ref}; PUT replaces it.")
    return Outcome(known, False)


def replace(subscription: Subscription, draft: Draft, *, now: datetime) -> Outcome:
    """Let a subscription be what the draft says, and try its destination again at once. A test one stays one.

    One that is active again hears of events from now on.

    :raises BadDestination: nothing is changed then
    """

    def once() -> Outcome:
        with transaction.atomic():
            # The lane first, like whoever closes it.
            lane = Lane.objects.select_for_update().get(pk=subscription.lane_id)
            locked = _locked(subscription)
            before = chosen_of(locked)
            settings = complete(draft.destination, before, now)
            is_new = before.is_lost or before.kind != draft.destination.kind
            made = _made(draft.destination, settings) if is_new else frozenset()
            if draft.is_active and not locked.is_active:
                locked.from_seq, locked.sweep_cursor = _head(locked.tenant), None
            elif locked.is_active and not draft.is_active:
                locked.end(now)
            _fill(locked, draft, settings)
            locked.failing_since, locked.disabled_because, locked.changed_at = None, "", now
            locked.save()
            breaker.reopen(lane)
            lane.is_ordered = draft.is_ordered
            lane.save()
            locked.lane = lane
        return Outcome(locked, False, made)

    outcome = again_on_deadlock(once)
    log.info("subscription_changed", subscription=subscription.ref, tenant=subscription.tenant.name)
    return outcome


def deactivate(subscription: Subscription, *, now: datetime) -> Subscription:
    """Forward nothing more; what waits is cancelled, what is under way ends. Twice is once."""

    def edit(locked: Subscription) -> None:
        if locked.is_active:
            locked.end(now)

    return _edited(subscription, edit, "subscription_deactivated")


def rotate(subscription: Subscription, *, now: datetime) -> Outcome:
    """Sign with a new secret from now on, and with the one before it as long as the destination says.

    :raises NoSecret: it has none, or none that is made here
    """

    def edit(locked: Subscription) -> None:
        before = chosen_of(locked)
        if before.is_lost:
            raise NoSecret(
                "What was stored does not open with the keys there are; PUT the subscription again."
            )
        others = {name: value for name, value in before.settings.items() if name != SECRET}
        is_known = locked.destination in destinations.kinds()
        new = is_known and destinations.find(locked.destination).completed(others, None, now).get(SECRET)
        if not new:
            raise NoSecret(f"{locked.destination.upper()} has no secret that is made here.")
        chosen = Chosen(locked.destination, locked.block, {**others, SECRET: new})
        locked.seal(complete(chosen, before, now))
        locked.changed_at = now

    return Outcome(_edited(subscription, edit, "subscription_secret_rotated"), False, frozenset({SECRET}))


def chosen_of(subscription: Subscription) -> Chosen:
    """Return where a subscription leads, with its secrets.

    One row whose seal does not open neither hides the others nor stands in the way of being replaced.
    """
    try:
        settings = subscription.settings
    except BadSeal:
        return Chosen(subscription.destination, subscription.block, {}, is_lost=True)
    return Chosen(subscription.destination, subscription.block, settings)


def check_may_change(subscription: Subscription, *, is_test: bool) -> None:
    """Let a test caller touch only what another test caller made.

    :raises LiveSubscription:
    """
    if is_test and not subscription.is_test:
        raise LiveSubscription("A test key touches only subscriptions that were made with a test key.")


def check_is_active(subscription: Subscription) -> None:
    """:raises Inactive:"""
    if not subscription.is_active:
        raise Inactive("The subscription is not active; PUT it with active true first.")


def _known(tenant: Tenant, ref: str) -> Subscription | None:
    rows = Subscription.objects.of(tenant).select_related("tenant", "lane")
    return rows.filter(ref=ref).first() if ref else None


def _store(
    tenant: Tenant, draft: Draft, settings: dict[str, Any], *, is_test: bool, now: datetime
) -> Subscription:
    with transaction.atomic():
        subscription = Subscription(
            tenant=tenant,
            ref=draft.ref or uuid4().hex,
            ref_is_number=draft.ref_is_number,
            is_test=is_test,
            created_at=now,
            changed_at=now,
        )
        subscription.lane = Lane.objects.create(is_ordered=draft.is_ordered)
        _fill(subscription, draft, settings)
        subscription.from_seq = _head(tenant)
        subscription.save()
    return subscription


def _fill(subscription: Subscription, draft: Draft, settings: dict[str, Any]) -> None:
    if draft.ref:
        subscription.ref_is_number = draft.ref_is_number
    subscription.destination, subscription.block = draft.destination.kind, draft.destination.block
    subscription.seal(settings)
    subscription.entity_type, subscription.entity = draft.entity_type, draft.entity_type.lower()
    subscription.creates, subscription.changes = draft.creates, draft.changes
    subscription.deletes, subscription.filter = draft.deletes, draft.filter
    subscription.format, subscription.is_active = draft.format, draft.is_active


def _is_as(known: Subscription, draft: Draft, now: datetime) -> bool:
    stored = (known.entity_type, known.creates, known.changes, known.deletes, known.filter)
    wanted = (draft.entity_type, draft.creates, draft.changes, draft.deletes, draft.filter)
    others = (known.format, known.is_ordered, known.is_active)
    if stored != wanted or others != (draft.format, draft.is_ordered, draft.is_active):
        return False
    return is_same(draft.destination, chosen_of(known), now)


def _made(chosen: Chosen, settings: dict[str, Any]) -> frozenset[str]:
    return frozenset(name for name in settings if chosen.settings.get(name) is None)


def _edited(subscription: Subscription, edit: Callable[[Subscription], None], event: str) -> Subscription:
    def once() -> Subscription:
        with transaction.atomic():
            locked = _locked(subscription)
            edit(locked)
            locked.save()
        return locked

    changed = again_on_deadlock(once)
    log.info(event, subscription=subscription.ref, tenant=subscription.tenant.name)
    return changed


def _locked(subscription: Subscription) -> Subscription:
    """Lock the row and read it under the lock: of two changes at once neither is lost."""
    return Subscription.objects.of(subscription.tenant).select_for_update().get(pk=subscription.pk)


def _head(tenant: Tenant) -> int:
    return EventHead.objects.of(tenant).values_list("seq", flat=True).first() or 0
