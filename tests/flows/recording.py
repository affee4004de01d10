"""A reader for tests: it writes down what it was given, in rows of the database, and fails where it is told to."""

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime

from clarion.flows import events
from clarion.flows.event_forms import entity_event
from clarion.flows.events import Arrival
from clarion.flows.reading import Reader
from clarion.models import Customer, Event, Tenant
from clarion.models.outcomes import OUTCOMES

NAME = "recorder"
# Of each event that was read a customer is made, whose tag is the event's number: rows of ours with no other use here.
Mishap = Callable[[Event], None]


def fill(tenant: Tenant, count: int, now: datetime, **members: object) -> None:
    """Let so many events come in."""
    draft = [entity_event({"event_type": "PRODUCT", **members}, UTC) for _ in range(count)]
    events.append([Arrival(tenant, each) for each in draft], now)


def recorder(
    mishap: Mishap | None = None, *, kinds: Collection[str] | None = None, name: str = NAME
) -> Reader:
    """Return a reader; what it is given shows in `seen`. `mishap` is called on each event after it was recorded."""

    def apply(tenant: Tenant, slice_: Sequence[Event], now: datetime) -> None:
        rows = []
        # What became of a mailing is told in its tenant's log as well, and is no reason for a customer there.
        for event in (each for each in slice_ if each.kind not in OUTCOMES):
            assert event.tenant_id == tenant.pk
            row = Customer(tenant=tenant, phone="70000000000", created_at=now)
            row.locate("UTC")
            row.relabel(operator_code=name, tag=str(event.seq))
            rows.append(row)
        Customer.objects.bulk_create(rows)
        for event in slice_:
            if mishap is not None:
                mishap(event)

    return Reader(name, apply, None if kinds is None else frozenset(kinds))


def poison(*numbers: int) -> Mishap:
    """Return a mishap at these events."""

    def fail(event: Event) -> None:
        if event.seq in numbers:
            raise ValueError("not-a-secret")

    return fail


def seen(tenant: Tenant, name: str = NAME) -> list[int]:
    """Return the numbers of the events whose effects are there, in order; one that is there twice is named twice."""
    tags = Customer.objects.of(tenant).filter(operator_code=name).values_list("tag", flat=True)
    return sorted(int(tag or 0) for tag in tags)
