"""The log of a tenant's events: each has a number, and no number is missing."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Self

from django.db import models

from clarion.lib.comparable import comparable
from clarion.models.appending import Log, append
from clarion.models.attributes import Fact
from clarion.models.bulk import Values, moment, read, select_rows
from clarion.models.bulk import numbers as spelt
from clarion.models.tenants import Tenant, TenantRows

# What belongs to one event beside its tenant and its number, in the order in which `append` takes it.
COLUMNS = (
    "event_id",
    "kind",
    "entity_name",
    "entity_id",
    "source",
    "operation",
    "customer_ref",
    "happened_at",
    "received_at",
    "is_test",
    "is_flawed",
    "facts",
    "body",
)


# Events that are about what their entity_name names; all others are about what their type is (the HTTP contract).
NAMING = ("ENTITY_EVENT", "SYSTEM_EVENT", "EVENT", "OTHER")


def _entity(event: "Event | Logged") -> str:
    # As folding would make it: kinds are ASCII.
    return event.entity_name if event.kind in NAMING else event.kind.lower()


def _about(event: "Event | Logged") -> str:
    return f"{_entity(event)}:{event.entity_id or event.customer_ref or ''}"


class Logged(NamedTuple):
    """An event as it is read by those who read many: its row, without what only searches want."""

    tenant_id: int
    seq: int
    event_id: str
    kind: str
    entity_name: str
    entity_id: str
    operation: str
    customer_ref: str | None
    happened_at: datetime
    received_at: datetime
    is_test: bool
    body: str

    @property
    def entity(self) -> str:
        """What kind of thing it is about, folded; empty where it does not say."""
        return _entity(self)

    @property
    def about(self) -> str:
        """What it is about, so that what is about the same reads the same: the kind of thing, and its id."""
        return _about(self)


class Events(TenantRows["Event"]):
    def numbered(self, tenant_id: int, numbers: Collection[int]) -> list[Logged]:
        """Return the events of this tenant that have these numbers, in any order."""
        return _logged(f"tenant_id = %s AND seq IN ({spelt(numbers)})", [tenant_id]) if numbers else []

    def between(
        self, tenant_id: int, after: int, until: int, kinds: Collection[str] | None = None
    ) -> list[Logged]:
        """Return the events of this tenant from behind one number up to another, in order; of these kinds only."""
        where, values = "tenant_id = %s AND seq > %s AND seq <= %s", [tenant_id, after, until]
        if kinds is not None:
            where += f" AND kind IN ({', '.join(['%s'] * len(kinds))})"
        return _logged(f"{where} ORDER BY seq", [*values, *(kinds or ())]) if kinds != () else []

    def append(self, tenant: Tenant, rows: Sequence[Values]) -> dict[str, int]:
        """Store rows of COLUMNS, all with different ids, in the caller's transaction; return the number each was given.

        An event whose id is in the log already is not stored, and is not in the answer. The only writer of the log:
        numbers go from 1 on without a gap, in the order in which transactions commit.
        """
        return append(Log(EventHead, Event, COLUMNS), tenant, rows)

    def of_customer(self, refs: Collection[str]) -> Self:
        """Those about somebody who goes by these references, the latest first by their own time."""
        return self.filter(customer_ref__in=sorted(refs)).order_by("-happened_at", "-seq")

    def before(self, moment: datetime, seq: int) -> Self:
        """Those that stand behind this place in `of_customer`."""
        return self.filter(models.Q(happened_at__lt=moment) | models.Q(happened_at=moment, seq__lt=seq))

    def with_key(self, name: str, value: str) -> Self:
        """Those one of whose key attributes is this text, case ignored."""
        return self.alias(fact=Fact(name)).filter(fact=comparable(value))


class EventHeads(TenantRows["EventHead"]):
    def events(self) -> int:
        """Return how many events all of these logs have ever had: another number, and something has come in."""
        # Written out: an idle worker asks it fifty times a second.
        return int(read(f"SELECT SUM(seq) FROM {EventHead._meta.db_table}", [])[0][0] or 0)  # noqa: S608 - our name


class EventHead(models.Model):
    """The last number that a tenant's log has given. Locked by whoever appends, so numbers commit in their order."""

    tenant = models.OneToOneField(Tenant, models.CASCADE, primary_key=True)
    seq = models.BigIntegerField(default=0)

    objects = EventHeads.as_manager()

    def __str__(self) -> str:
        return f"{self.seq} events"


class Event(models.Model):
    """Something that happened, as it was told: `body` is the document, with its id; by the other columns it is found.

    `customer_ref` is whom it is about, in the teller's words. `happened_at` is the event's own time, where it names
    one. `entity_name` is folded, as it is compared. `is_flawed`: a payload in it cannot be decoded. `facts` are the
    key attributes, each as one text.
    """

    tenant = models.ForeignKey(Tenant, models.CASCADE, db_index=False)
    seq = models.BigIntegerField()
    event_id = models.CharField(max_length=255)
    kind = models.CharField(max_length=32)
    # Folding makes at most three characters of one.
    entity_name = models.CharField(max_length=765, blank=True)
    entity_id = models.CharField(max_length=255, blank=True)
    source = models.CharField(max_length=16, blank=True)
    operation = models.CharField(max_length=16, blank=True)
    customer_ref = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001 - null is about nobody
    happened_at = models.DateTimeField()
    received_at = models.DateTimeField()
    is_test = models.BooleanField()
    is_flawed = models.BooleanField()
    facts = models.JSONField(default=dict, blank=True)
    body = models.TextField()

    objects = Events.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "seq"], name="event_number_once"),
            models.UniqueConstraint(fields=["tenant", "event_id"], name="event_id_once"),
        ]
        indexes = [
            models.Index(fields=["tenant", "customer_ref", "happened_at", "seq"], name="event_customer"),
            models.Index(fields=["tenant", "entity_id", "seq"], name="event_entity"),
            models.Index(fields=["tenant", "received_at"], name="event_received"),
        ]

    def __str__(self) -> str:
        return f"event {self.seq}"

    @property
    def entity(self) -> str:
        """What kind of thing it is about, folded; empty where it does not say."""
        return _entity(self)

    @property
    def about(self) -> str:
        """What it is about, so that what is about the same reads the same: the kind of thing, and its id."""
        return _about(self)

    @property
    def logged(self) -> Logged:
        """The same as those who read many have it."""
        return Logged(*(getattr(self, name) for name in Logged._fields))


def _logged(where: str, values: Sequence[Any]) -> list[Logged]:
    # Written out: the ORM takes 30 µs for each row, which is as much as all that is done with it.
    return [
        Logged._make((*row[:8], moment(row[8]), moment(row[9]), bool(row[10]), row[11]))
        for row in select_rows(Event, ("tenant", *Logged._fields[1:]), where, values)
    ]
