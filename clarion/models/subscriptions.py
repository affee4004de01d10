"""Who wants to hear of which events, and where; and the counters that say what became of the deliveries."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Self

from django.db import models

from clarion.models.accounts import Lane
from clarion.models.bulk import add_to_counts
from clarion.models.outgoing import State
from clarion.models.sealed import Sealed
from clarion.models.tenants import Tenant, TenantRows

# What an operation of the HTTP contract does to an entity. An event that names none tells of something new; one that
# was only read is nobody's business.
CREATES, CHANGES, DELETES = "creates", "changes", "deletes"
EFFECTS: Mapping[str, str] = {
    "": CREATES,
    "CREATE": CREATES,
    "BULK_CREATE": CREATES,
    "UPDATE": CHANGES,
    "BULK_UPDATE": CHANGES,
    "DELETE": DELETES,
}
# Whatever callers tell us. Our own outcomes are only for those who name them: nobody is told of what telling them did.
ALL = "all"


class Subscriptions(TenantRows["Subscription"]):
    def active(self) -> Self:
        return self.filter(is_active=True)

    def interested_in(self, effect: str, entities: Collection[str]) -> Self:
        """Those that are active, name one of these entities (folded), and want to hear of this effect (EFFECTS).

        Of one effect: SQLite finds no index for several of them.
        """
        return self.filter(is_active=True, entity__in=sorted(entities), **{effect: True})

    def to_sweep(self) -> Self:
        """Those that ended and may have deliveries that still wait."""
        return self.filter(sweep_cursor__isnull=False)

    def to_sweep_again(self) -> Self:
        """Those swept to the end where something waits again: what was under way then, and came back."""
        waiting = DeliveryCount.objects.filter(
            subscription=models.OuterRef("pk"), state=State.WAITING, count__gt=0
        )
        return self.filter(models.Exists(waiting), is_active=False, sweep_cursor=None)


class Subscription(Sealed):
    """One subscriber of a tenant's events: which ones, in which form, to which destination.

    `ref` is the id that callers know it by. Events numbered up to `from_seq` came before it. `failing_since` is when
    the first try failed after the last that went right; `disabled_because` says why we ended it ourselves.
    `sweep_cursor` is set while deliveries that wait have to be cancelled, and says how far that has come.
    """

    SEALED_FOR = "subscription"
    EVENT, INTERACTION = "event", "interaction"

    tenant = models.ForeignKey(Tenant, models.CASCADE, db_index=False)
    ref = models.CharField(max_length=255)
    ref_is_number = models.BooleanField(default=False)
    destination = models.CharField(max_length=64)
    # The member under which the settings came: the seed prints a topic's in a member `sqs`.
    block = models.CharField(max_length=64)
    entity_type = models.CharField(max_length=32)
    # The same, folded, as it is matched.
    entity = models.CharField(max_length=32)
    creates = models.BooleanField()
    changes = models.BooleanField()
    deletes = models.BooleanField()
    # Conditions over the event's document, as `lib/payload_filters.py` reads them.
    filter = models.JSONField(null=True, blank=True)
    format = models.CharField(max_length=16, default=EVENT)
    # Made with a test key: it hears of what test keys tell, and of nothing else.
    is_test = models.BooleanField(default=False)
    is_active = models.BooleanField()
    lane = models.OneToOneField(Lane, models.PROTECT)
    from_seq = models.BigIntegerField(default=0)
    failing_since = models.DateTimeField(null=True, blank=True)
    disabled_because = models.CharField(max_length=40, blank=True)
    sweep_cursor = models.BigIntegerField(null=True, blank=True)
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    objects = Subscriptions.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "ref"], name="subscription_ref_once")]
        indexes = [
            # By what is a value first: Django asks for a truth by its name, and SQLite looks that up in no index.
            models.Index(
                fields=["tenant", "entity", "creates", "changes", "deletes", "is_active"],
                name="subscription_match",
            ),
            models.Index(fields=["sweep_cursor"], name="subscription_sweep"),
        ]

    def __str__(self) -> str:
        return f"subscription {self.ref}"

    @property
    def name(self) -> str:
        return self.ref

    @property
    def is_ordered(self) -> bool:
        """Whether what is about one entity goes one after the other."""
        return self.lane.is_ordered

    def end(self, now: datetime, *, because: str = "") -> None:
        """Forward nothing more; what waits is cancelled by a sweep. The caller saves."""
        self.is_active, self.disabled_because = False, because
        self.sweep_cursor, self.changed_at = 0, now


# Subscription, state, reason, tenant.
CounterKey = tuple[int, str, str, int]


class DeliveryCounts(TenantRows["DeliveryCount"]):
    def shift(self, shifts: Mapping[CounterKey, int]) -> None:
        """Move these counters, in one statement, in the order of their keys; one that is missing is made."""
        rows = [(*key, by) for key, by in sorted(shifts.items()) if by]
        if rows:
            add_to_counts(DeliveryCount, ("subscription_id", "state", "reason", "tenant_id"), rows)


class DeliveryCount(models.Model):
    """How many deliveries of a subscription are in a state, for a reason. Moved in the transaction that moves the rows."""

    tenant = models.ForeignKey(Tenant, models.CASCADE)
    subscription = models.ForeignKey(Subscription, models.CASCADE, related_name="counts", db_index=False)
    state = models.CharField(max_length=12)
    reason = models.CharField(max_length=40, blank=True)
    count = models.BigIntegerField()

    objects = DeliveryCounts.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["subscription", "state", "reason"], name="delivery_count_once")
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.count}"
