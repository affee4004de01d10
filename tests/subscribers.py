"""What tests of subscriptions share: one that is made, events that are told, and what became of them."""

from datetime import datetime
from typing import Any

from clarion.flows import events, readers, subscriptions
from clarion.flows.destination_settings import Chosen
from clarion.flows.event_forms import entity_event
from clarion.flows.events import Arrival
from clarion.flows.subscriptions import Draft
from clarion.models import Delivery, State, Subscription, Tenant
from clarion.models.moves import Move, move

PATH = "/api/v1/event-subscription"
URL = "https://shop.example.com/hooks/clarion"
WEBHOOK = {"type": "WEBHOOK", "webhook": {"url": URL}}
# The keys are AWS's own examples.
SQS: dict[str, Any] = {
    "type": "SQS",
    "sqs": {
        **{"accessKey": "AKIAIOSFODNN7EXAMPLE", "accessSecret": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"},
        **{"queueUrl": "https://sqs.eu-west-1.amazonaws.com/123456789012/orders", "region": "eu-west-1"},
    },
}


def webhook(**members: Any) -> dict[str, Any]:
    """A destination with these settings beside its address."""
    return {"type": "WEBHOOK", "webhook": {"url": URL, **members}}


def body(**members: Any) -> dict[str, Any]:
    """A subscription to orders as a caller sends it."""
    return {
        **{"active": True, "destination": WEBHOOK, "entityType": "ORDER", "id": "orders"},
        **{"subscribeCreate": True, "subscribeChange": True, "subscribeDelete": True},
        **members,
    }


def make_subscription(
    tenant: Tenant, now: datetime, *, ref: str = "orders", is_test: bool = False, **fields: Any
) -> Subscription:
    draft = Draft(
        ref=ref,
        ref_is_number=False,
        **{
            **{"entity_type": "ORDER", "creates": True, "changes": True, "deletes": True},
            **{"destination": Chosen("webhook", "webhook", {"url": URL}), **fields},
        },
    )
    return subscriptions.create(tenant, draft, is_test=is_test, now=now).subscription


def tell(tenant: Tenant, now: datetime, *ids: str, is_test: bool = False, **members: Any) -> None:
    """Let the tenant's shop tell of orders, each under its id; its entity is the same unless it is named."""
    arrivals = []
    for event_id in ids:
        event = {"id": event_id, "event_type": "ORDER", "entity_id": event_id, **members}
        arrivals.append(Arrival(tenant, entity_event(event, tenant.zone), is_test))
    events.append(arrivals, now)


def forward(now: datetime) -> None:
    """Let the log be read to its end."""
    while readers.run_due(now):
        pass


def end_as(
    tenant: Tenant, state: str, now: datetime, *, reason: str = "", code: str = "", **rows: Any
) -> list[int]:
    """Bring waiting deliveries to this end, as if it had come; return their ids."""
    held = Delivery.objects.of(tenant).lock(
        list(Delivery.objects.of(tenant).filter(state=State.WAITING, **rows).values_list("pk", flat=True))
    )
    if state in (State.ACCEPTED, State.DEAD):
        sending = {"sending_at": now, "tries": 1}
        move(Delivery, [Move(row, State.SENDING, "", sending) for row in held], now)
        held = Delivery.objects.of(tenant).lock([row.id for row in held])
    ended = {"finished_at": now, "code": code}
    move(Delivery, [Move(row, state, reason, ended) for row in held], now)
    return [row.id for row in held]
