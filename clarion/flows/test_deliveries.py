"""An example sent to a subscriber before, or while, real events go there: it takes the ordinary way out, once."""

import base64
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import structlog
from django.db import transaction

from clarion.flows.event_checks import MAIL_KINDS
from clarion.lib.retry import FORWARDING
from clarion.lib.times import wire_time
from clarion.models import Delivery, State, Subscription
from clarion.models.events import NAMING
from clarion.models.outgoing import URGENT
from clarion.models.transactions import again_on_deadlock

log = structlog.get_logger()

# The slowest receiver may take 30 s to answer; whoever asked does not wait any longer than twice that.
SHOWN_WITHIN = timedelta(minutes=1)
# By the first letters of its id an example is told from all else, in whatever form it arrives.
PREFIX = "clarion-test-"


def show(subscription: Subscription, *, now: datetime) -> Delivery:
    """Send an example of what the subscription wants to hear of, at once and with one try, active or not."""
    delivery = again_on_deadlock(lambda: _store(subscription, now))
    log.info(
        "subscription_test_sent",
        subscription=subscription.ref,
        delivery_id=delivery.pk,
        tenant=subscription.tenant.name,
    )
    return delivery


def example_of(subscription: Subscription, now: datetime) -> dict[str, Any]:
    """Return an event that the subscription is for, its filter apart, and that says in `test` that it is none."""
    event_id = f"{PREFIX}{uuid4().hex}"
    kind = "ORDER" if subscription.entity == "all" else subscription.entity_type
    operation = (
        "CREATE" if subscription.creates else "UPDATE" if subscription.changes else "DELETE"
    )  # nothing is wanted: any
    if kind.lower() in MAIL_KINDS:
        return {
            **{"id": event_id, "test": True, "event_type": kind.lower(), "customer_id": "CUST-1"},
            **{"email_id": "1", "timestamp": wire_time(now)},
        }
    payload = {"id": "EXAMPLE-1", "test": True, "name": "An example sent by Clarion"}
    return {
        "id": event_id,
        "test": True,
        "event_type": kind,
        "event_source": "SYSTEM",
        "entity_name": kind if kind in NAMING else kind.lower(),
        "entity_id": "EXAMPLE-1",
        "event_payload": {
            "entity_id": "EXAMPLE-1",
            "operation": operation,
            "base64_encoded_payload_json": base64.b64encode(msgspec.json.encode(payload)).decode(),
            "key_attributes": {"test": "true"},
        },
    }


def _store(subscription: Subscription, now: datetime) -> Delivery:
    with transaction.atomic():
        delivery = Delivery.objects.create(
            tenant=subscription.tenant,
            subscription=subscription,
            lane_id=subscription.lane_id,
            body=msgspec.json.encode(example_of(subscription, now)).decode(),
            state=State.WAITING,
            priority=URGENT,
            due_at=now,
            deadline_at=now + SHOWN_WITHIN,
            # Whatever comes of the first try is what somebody wants to see.
            counted_tries=FORWARDING.most_tries - 1,
            created_at=now,
        )
        Delivery.counts().shift({(subscription.pk, delivery.state, delivery.reason, delivery.tenant_id): 1})
    return delivery
