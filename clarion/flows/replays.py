"""Events are given to a reader again: those it parked, or everything from a number on. The operator's tools."""

from datetime import datetime

import structlog
from django.db import InterfaceError, OperationalError, transaction

from clarion.flows.reading import Reader, lock_position
from clarion.lib.logs import code_of, mistake
from clarion.models import Event, EventHead, ParkedEvent, Tenant
from clarion.models.readers import ParkedEvents
from clarion.models.transactions import again_on_deadlock

log = structlog.get_logger()


class BadPlace(ValueError):
    """A reader cannot be sent there."""


def rewind(reader: Reader, tenant: Tenant, to: int, now: datetime) -> int:
    """Send a reader back, so that it reads everything behind the number `to` again; return how many that are.

    Parked events behind it are parked no more: it comes by them again.

    :raises BadPlace: it is not that far yet, or the log no longer goes back so far; nothing is changed then
    """

    def once() -> int:
        with transaction.atomic():
            place = lock_position(tenant, reader.name)
            # Asked under the lock, which whoever prunes the log takes as well.
            first = Event.objects.of(tenant).order_by("seq").values_list("seq", flat=True).first()
            if first is None:
                first = (EventHead.objects.of(tenant).values_list("seq", flat=True).first() or 0) + 1
            if to < first - 1:
                raise BadPlace(f"The log of {tenant.name} begins at {first}: go back to {first - 1} at most.")
            if to > place.seq:
                raise BadPlace(
                    f"{reader.name} is at {place.seq} in the log of {tenant.name}: that is ahead of it."
                )
            again = place.seq - to
            place.move(to, now)
            place.suspect_until = None
            place.save()
            ParkedEvent.objects.of(tenant).filter(reader=reader.name, seq__gt=to).delete()
        return again

    again = again_on_deadlock(once)
    log.info("reader_rewound", reader=reader.name, tenant=tenant.name, seq=to, events=again)
    return again


def rerun(reader: Reader, parked: ParkedEvents, now: datetime) -> tuple[int, int]:
    """Give parked events to their reader again, each alone; return how many went, and how many failed again.

    Those that went are parked no more.

    :raises OperationalError, InterfaceError: the database is away; that is no try
    """
    went = failed = 0
    for row in parked.filter(reader=reader.name).select_related("tenant").order_by("tenant_id", "seq"):
        done = _rerun(reader, row, now)
        went += done is True
        failed += done is False
    return went, failed


def forget(reader: Reader, parked: ParkedEvents) -> int:
    """Give parked events up: their reader will never have read them. Return how many."""
    dropped, _ = parked.filter(reader=reader.name).delete()
    log.warning("parked_events_forgotten", reader=reader.name, count=dropped)
    return dropped


def _rerun(reader: Reader, row: ParkedEvent, now: datetime) -> bool | None:
    """Return whether it went; None where somebody else was faster, or has given it up."""
    tenant = row.tenant

    def once() -> bool | None:
        with transaction.atomic():
            # So the reader itself does nothing in this log meanwhile.
            lock_position(tenant, reader.name)
            if not ParkedEvent.objects.of(tenant).filter(pk=row.pk).delete()[0]:
                return None
            reader.apply(tenant, [Event.objects.of(tenant).get(seq=row.seq).logged], now)
        return True

    try:
        return again_on_deadlock(once)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        of = {"reader": reader.name, "tenant": tenant.name, "seq": row.seq}
        log.error("event_failed", **of, tries=row.tries + 1, **mistake(error))
        row.fail(type(error).__name__, code_of(error), now)
        same = ParkedEvent.objects.of(tenant).filter(pk=row.pk)
        # Not made anew where somebody has given it up meanwhile.
        is_there = same.update(tries=row.tries, error=row.error, code=row.code, tried_at=row.tried_at)
        return False if is_there else None
