"""Mail events for tests: told, stored in the log and read by tracking, as the reader of the log does it."""

from datetime import datetime, timedelta
from itertools import count
from typing import Any

from django.db import transaction

from clarion.flows import events, tracking
from clarion.flows.event_forms import mail_event
from clarion.flows.events import Arrival
from clarion.lib.times import wire_time
from clarion.models import Customer, Event, Mailing, Message, State, Tenant
from clarion.models.consents import MessageClass
from clarion.models.moves import Move, move
from clarion.models.permissions import Asked, refusals
from tests.conftest import Clock

# So long after it left something is told of a message: no haste, so it was a person.
LATER = timedelta(minutes=5)

_names = count(1)


def sent_to(mailing: Mailing, clock: Clock, *, state: str = State.ACCEPTED) -> list[Message]:
    """Let every waiting message of the mailing have left at this moment, and be in this state; return them."""
    ids = list(mailing.message_set.filter(state=State.WAITING).values_list("id", flat=True))
    steps = {State.SENDING: [State.SENDING], State.UNKNOWN: [State.SENDING, State.UNKNOWN]}
    with transaction.atomic():
        for to in steps.get(state, [State.SENDING, state]):
            columns: dict[str, Any] = {"sending_at": clock(), "worker_id": 1}
            if to == State.ACCEPTED:
                columns |= {"finished_at": clock()}
            move(Message, [Move(row, to, "", columns) for row in Message.objects.lock(ids)], clock())
    return list(mailing.message_set.filter(pk__in=ids).order_by("pk"))


def told(
    tenant: Tenant, kind: str, customer: Any, at: datetime, *, is_test: bool = False, **members: Any
) -> Event:
    """Store an event about a customer (an id or a reference) in the log."""
    document = {
        "event_type": kind,
        "customer_id": customer,
        "timestamp": wire_time(at),
        "id": f"e{next(_names)}",
    }
    if kind == "email_click":
        document["clicked_link"] = "https://example.com/shoes"
    if kind == "purchase":
        document |= {"product_id": 7, "amount": "10.00"}
    else:
        document["email_id"] = "none of ours"
    (outcome,) = events.append(
        [Arrival(tenant, mail_event({**document, **members}, tenant.zone), is_test)], at + timedelta(days=1)
    )
    return Event.objects.of(tenant).get(seq=outcome.seq)


def read(tenant: Tenant, *told_events: Event, now: datetime) -> None:
    """Let tracking take in these events as one slice."""
    with transaction.atomic():
        tracking.apply(tenant, sorted(told_events, key=lambda event: event.seq), now)


def tell(tenant: Tenant, kind: str, customer: Any, at: datetime, **members: Any) -> Event:
    """Store an event and let tracking take it in."""
    event = told(tenant, kind, customer, at, **members)
    read(tenant, event, now=at)
    return event


def may(customer: Customer, channel: str = "email", message_class: str = MessageClass.MARKETING) -> str:
    """Ask the gate's question about one customer; an empty text is yes."""
    row = (customer.tenant_id, customer.pk, customer.external_id, customer.phone, channel, message_class)
    return refusals([Asked(*row)])[0]


def kinds(message: Message) -> list[str]:
    """Return what is known to have happened to it, in the order it was told."""
    return list(message.engagements.order_by("seq").values_list("kind", flat=True))


def counted(message: Message) -> dict[str, int]:
    """Return what its mailing counts, sums of money under their currency."""
    rows = message.mailing.engagement_counts.exclude(count=0)
    return {f"{row.what} {row.currency}".strip(): row.count for row in rows}


def state(message: Message) -> tuple[str, str]:
    message.refresh_from_db()
    return message.state, message.reason
