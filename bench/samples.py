"""The events that are posted: an order's update of about 400 bytes, each with an id of its own."""

import base64
import json
from collections.abc import Iterator
from itertools import count
from typing import Any

# Events in one request, where many are sent at once.
BATCH = 1_000
# Customers and orders that the events speak of.
CUSTOMERS, ORDERS = 1_000, 5_000

_PAYLOAD = base64.b64encode(json.dumps({"status": "shipped", "total": 12.5, "items": 3}).encode()).decode()
# Ids go on from run to run: one that was sent before would not be stored.
_numbers = count()


def entity_event(event_id: str, n: int) -> dict[str, Any]:
    """Return the event; `n` chooses whom and what it is about."""
    order = f"order-{n % ORDERS}"
    return {
        "id": event_id,
        "event_type": "ORDER",
        "event_source": "APPLICATION",
        "entity_name": "ORDER",
        "entity_id": order,
        "customer_id": f"customer-{n % CUSTOMERS}",
        "event_payload": {
            "entity_id": order,
            "operation": "UPDATE",
            "key_attributes": {"store": "berlin", "status": "shipped"},
            "base64_encoded_payload_json": _PAYLOAD,
        },
    }


def singles() -> Iterator[bytes]:
    """Give bodies of one event each, without end."""
    for n in _numbers:
        yield json.dumps(entity_event(f"event-{n}", n)).encode()


def batches() -> Iterator[bytes]:
    """Give bodies of BATCH events each, without end."""
    for n in _numbers:
        yield json.dumps([entity_event(f"event-{n}-{m}", m) for m in range(BATCH)]).encode()
