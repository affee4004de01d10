"""Where each reader of a log is, and the events that it could not bear."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import models
from django.db.models.functions import Coalesce

from clarion.models.bulk import read
from clarion.models.events import Event, EventHead
from clarion.models.tenants import Tenant, TenantRows

# How often a reader is given an event that it fails on; after the last time the event is parked.
MOST_TRIES = 3
# How long it rests after the first and the second: what was wrong for a moment is right by then, and a reader that
# fails on every event parks ten a minute until somebody looks.
RESTS = (timedelta(seconds=1), timedelta(seconds=5))
# One that ends later was begun by a clock that was set back since: it would last for as long as that.
LONGEST_REST = max(RESTS)


class Behind(NamedTuple):
    """A tenant in whose log a reader has something to read, and the last number of that log."""

    tenant_id: int
    head: int


class ReaderPositions(TenantRows["ReaderPosition"]):
    def behind(self, reader: str, *, after: int, now: datetime, most: int) -> list[Behind]:
        """Return the tenants, in the order of their ids from behind `after` on, whose logs go on behind the reader.

        Written out as one statement over heads and positions: an idle worker asks it four times a second.
        """
        sql = (
            f"SELECT h.tenant_id, h.seq FROM {EventHead._meta.db_table} h "  # noqa: S608 - names of ours, no values
            f"LEFT JOIN {self.model._meta.db_table} p ON p.tenant_id = h.tenant_id AND p.reader = %s "
            "WHERE h.tenant_id > %s AND h.seq > COALESCE(p.seq, 0) "
            # As `is_resting` has it.
            "AND (p.retry_at IS NULL OR p.retry_at <= %s OR p.retry_at > %s) "
            f"ORDER BY h.tenant_id LIMIT {most}"
        )
        return [Behind(*row) for row in read(sql, [reader, after, now, now + LONGEST_REST])]

    def standings(
        self, reader: str, tenants: Sequence[int] | None
    ) -> Iterator[tuple[str, int, int, datetime | None, int]]:
        """Give tenant, position, head, when the oldest unread event came in, and how many are parked, by tenant."""
        mine = {"tenant": models.OuterRef("tenant"), "reader": reader}
        unread = Event.objects.filter(tenant=models.OuterRef("tenant"), seq__gt=models.OuterRef("place"))
        parked = ParkedEvent.objects.filter(**mine).order_by().values("tenant").annotate(n=models.Count("pk"))
        heads = EventHead.objects.all() if tenants is None else EventHead.objects.filter(tenant__in=tenants)
        rows = heads.annotate(
            place=Coalesce(models.Subquery(self.filter(**mine).values("seq")[:1]), 0),
            since=models.Subquery(unread.order_by("seq").values("received_at")[:1]),
            parked=Coalesce(models.Subquery(parked.values("n")), 0),
        )
        named = ("tenant__name", "place", "seq", "since", "parked")
        yield from rows.order_by("tenant__name").values_list(*named)


class ReaderPosition(models.Model):
    """How far a reader has come in a tenant's log: `seq` is the last number it has done with, 0 none.

    Moved in the transaction that holds the effects. While a slice that failed is searched for the event to blame,
    `suspect_until` is its last number; `tries` counts the failures of the event that is next, when it is alone.
    """

    tenant = models.ForeignKey(Tenant, models.CASCADE, db_index=False)
    reader = models.CharField(max_length=64)
    seq = models.BigIntegerField(default=0)
    suspect_until = models.BigIntegerField(null=True, blank=True)
    tries = models.PositiveSmallIntegerField(default=0)
    retry_at = models.DateTimeField(null=True, blank=True)
    moved_at = models.DateTimeField(null=True, blank=True)

    objects = ReaderPositions.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "reader"], name="reader_position_once")]

    def __str__(self) -> str:
        return f"{self.reader} at {self.seq}"

    def is_where(self, other: "ReaderPosition") -> bool:
        """Whether nothing has become of it since `other` was read."""
        mine, theirs = ((row.seq, row.suspect_until, row.tries) for row in (self, other))
        return mine == theirs

    def is_resting(self, now: datetime) -> bool:
        """Whether it is left alone for a moment, because the next event failed."""
        return self.retry_at is not None and now < self.retry_at <= now + LONGEST_REST

    def move(self, seq: int, now: datetime) -> None:
        """Be done with everything up to `seq`; the caller saves."""
        self.seq, self.tries, self.retry_at, self.moved_at = seq, 0, None, now
        if self.suspect_until is not None and self.suspect_until <= seq:
            self.suspect_until = None

    def suspect(self, until: int) -> None:
        """Look for the event to blame among those up to `until`; the caller saves."""
        self.suspect_until, self.tries, self.retry_at = until, 0, None

    def rest(self, now: datetime) -> None:
        """Count a failure of the next event, and leave it alone for a moment; the caller saves."""
        self.retry_at = now + RESTS[min(self.tries, len(RESTS) - 1)]
        self.tries += 1


class ParkedEvents(TenantRows["ParkedEvent"]):
    def with_events(self) -> list[tuple["ParkedEvent", str]]:
        """Return the rows, by reader, tenant and number, each with the id of its event; empty where that is gone."""
        event = Event.objects.filter(tenant=models.OuterRef("tenant"), seq=models.OuterRef("seq"))
        rows: Any = self.annotate(named=models.Subquery(event.values("event_id")[:1]))
        found = rows.select_related("tenant").order_by("reader", "tenant__name", "seq")
        return [(row, row.named or "") for row in found]


class ParkedEvent(models.Model):
    """An event that a reader failed on, set aside so that the reader could go on. It can be given to it again.

    `error` and `code` are what kind of failure it was, never its sentence: that may repeat what is in the event.
    """

    tenant = models.ForeignKey(Tenant, models.CASCADE, db_index=False)
    reader = models.CharField(max_length=64)
    seq = models.BigIntegerField()
    tries = models.PositiveIntegerField()
    error = models.CharField(max_length=100)
    code = models.CharField(max_length=64, blank=True)
    parked_at = models.DateTimeField()
    tried_at = models.DateTimeField()

    objects = ParkedEvents.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "reader", "seq"], name="parked_event_once")]

    def __str__(self) -> str:
        return f"event {self.seq}, parked by {self.reader}"

    def fail(self, error: str, code: str, now: datetime) -> None:
        """Remember how it failed this time; the caller saves."""
        self.tries += 1
        self.error, self.code, self.tried_at = error[:100], code[:64], now
