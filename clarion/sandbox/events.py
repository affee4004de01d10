"""Made-up events of a shop, one of each type that a hub takes: what `clarion trigger` sends. Nobody's names and numbers."""

import base64
import json
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

# Whom they are about where nobody else is named.
CUSTOMER = "c-1001"
ORDER, ENTRY, PRODUCT, VARIANT, WISHLIST = "o-5001", "o-5001-1", "p-77", "p-77-m", "w-12"

_ADDRESS = {"street": "Musterstraße 1", "postal_code": "10115", "city": "Berlin", "country": "DE"}
_LINE = {"entry_id": ENTRY, "product_id": PRODUCT, "variant_id": VARIANT, "quantity": 2, "price": "24.95"}


class Happening(NamedTuple):
    """What became of an entity: `name` where the type does not say what it is, its id, the operation, the payload."""

    id: str
    operation: str
    keys: Mapping[str, Any]
    payload: Mapping[str, Any]
    name: str = ""
    source: str = "APPLICATION"
    fault: Mapping[str, Any] | None = None


# Members beside the type, the customer, the mail and the moment.
MAILS: Mapping[str, Mapping[str, Any]] = {
    "email_sent": {"subject": "Your order is on its way"},
    "email_delivered": {},
    "email_open": {"user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"},
    "email_click": {"clicked_link": "https://shop.example.com/sale?from=mail"},
    "email_bounce": {"reason": "550 5.1.1 no such mailbox", "bounce_type": "hard"},
    "email_complaint": {"feedback_type": "abuse"},
    "email_unsubscribe": {},
    "purchase": {"product_id": PRODUCT, "amount": "49.90", "currency": "EUR"},
}

ENTITIES: Mapping[str, Happening] = {
    "ORDER": Happening(
        ORDER,
        "CREATE",
        {"status": "PLACED", "total": "49.90", "currency": "EUR"},
        {"order_id": ORDER, "status": "PLACED", "total": "49.90", "currency": "EUR", "entries": [_LINE]},
    ),
    "ORDER_ENTRY": Happening(ENTRY, "UPDATE", {"order_id": ORDER, "quantity": 2}, _LINE),
    "CUSTOMER": Happening(
        CUSTOMER,
        "UPDATE",
        {"tag": "vip"},
        {"email": "anna@example.com", "phone": "70000000001", "first_name": "Anna", "tag": "vip"},
    ),
    "ADDRESS": Happening("a-31", "CREATE", {"city": "Berlin", "country": "DE"}, _ADDRESS),
    "PRODUCT": Happening(
        PRODUCT,
        "UPDATE",
        {"status": "ACTIVE", "category": "shirts"},
        {"product_id": PRODUCT, "title": "Linen shirt", "status": "ACTIVE", "category": "shirts"},
    ),
    "VARIANT_PRODUCT": Happening(
        VARIANT,
        "CREATE",
        {"product_id": PRODUCT, "size": "M"},
        {"variant_id": VARIANT, "product_id": PRODUCT, "size": "M", "sku": "SHIRT-LINEN-M"},
    ),
    "INVENTORY_LEVEL": Happening(
        "il-9",
        "UPDATE",
        {"variant_id": VARIANT, "available": 0},
        {"item_id": "ii-4", "location_id": "loc-1", "available": 0, "before": 1},
    ),
    "INVENTORY_LOCATION": Happening(
        "loc-1", "UPDATE", {"city": "Berlin"}, {"name": "Berlin warehouse", **_ADDRESS}
    ),
    "INVENTORY_ITEM": Happening(
        "ii-4", "CREATE", {"sku": "SHIRT-LINEN-M"}, {"sku": "SHIRT-LINEN-M", "variant_id": VARIANT}
    ),
    "STORE": Happening(
        "s-1",
        "UPDATE",
        {"currency": "EUR"},
        {"domain": "shop.example.com", "currency": "EUR", "language": "de"},
    ),
    "MERCHANT": Happening("m-1", "UPDATE", {"country": "DE"}, {"name": "Muster GmbH", "plan": "business"}),
    "WISHLIST": Happening(
        WISHLIST, "CREATE", {"name": "Birthday"}, {"name": "Birthday", "is_public": False, "items": []}
    ),
    "WISHLIST_ITEM": Happening(
        f"{WISHLIST}-1",
        "CREATE",
        {"wishlist_id": WISHLIST, "product_id": PRODUCT},
        {"wishlist_id": WISHLIST, "product_id": PRODUCT, "variant_id": VARIANT, "price": "24.95"},
    ),
    "PRICE": Happening(
        f"{VARIANT}-eur",
        "UPDATE",
        {"variant_id": VARIANT, "currency": "EUR"},
        {"variant_id": VARIANT, "currency": "EUR", "price": "19.95", "before": "24.95"},
    ),
    "OTHER": Happening(
        "g-8", "CREATE", {"value": "25.00"}, {"value": "25.00", "currency": "EUR"}, "GIFT_CARD"
    ),
    "EVENT": Happening(
        "cart-3", "UPDATE", {"step": "shipping"}, {"step": "shipping", "lines": [_LINE]}, "CHECKOUT"
    ),
    "ENTITY_EVENT": Happening(
        ORDER,
        "UPDATE",
        {"status": "SHIPPED"},
        {"order_id": ORDER, "status": "SHIPPED", "tracking_number": "0000000000"},
        "ORDER",
    ),
    "SYSTEM_EVENT": Happening(
        "nightly-stock", "UPDATE", {"rows": 1204}, {"job": "nightly-stock", "rows": 1204}, "JOB", "SYSTEM"
    ),
    "FAULT": Happening(
        ORDER,
        "UPDATE",
        {"code": "payment_declined"},
        {"order_id": ORDER, "step": "payment"},
        "ORDER",
        "CONNECTOR",
        {"code": "payment_declined", "message": "The card was declined."},
    ),
    "WARNING": Happening(
        "stock-feed",
        "READ",
        {"code": "slow"},
        {"feed": "stock", "seconds": 41},
        "FEED",
        "SERVERLESS",
        {"code": "slow", "message": "The feed took 41 s."},
    ),
}
TYPES = (*MAILS, *ENTITIES)


class Sample(NamedTuple):
    """An event as it is posted, and to which path."""

    path: str
    body: Mapping[str, Any]


def sample(kind: str, *, customer: str, now: datetime) -> Sample:
    """Return a new event of this type, about this customer.

    :raises KeyError: there is no such type
    """
    if kind in MAILS:
        return Sample("/receive_event/", _mail(kind, customer, now))
    return Sample("/api/v1/events", _entity(kind, ENTITIES[kind], customer))


def _mail(kind: str, customer: str, now: datetime) -> dict[str, Any]:
    return {
        "customer_id": customer,
        "event_type": kind,
        "email_id": "m-2001",
        "timestamp": now.isoformat(),
        **MAILS[kind],
    }


def _entity(kind: str, told: Happening, customer: str) -> dict[str, Any]:
    entity_id = customer if kind == "CUSTOMER" else told.id
    payload = {
        "entity_id": entity_id,
        "operation": told.operation,
        "key_attributes": {**told.keys, "customer_id": customer},
        "base64_encoded_payload_json": _packed(told.payload),
        **({"base64_encoded_fault_json": _packed(told.fault)} if told.fault else {}),
    }
    return {
        # Nobody has sent it before: the same id again would be the same event.
        "id": secrets.token_hex(16),
        "event_type": kind,
        "event_source": told.source,
        "entity_name": told.name or kind,
        "entity_id": entity_id,
        "customer_id": customer,
        "event_payload": payload,
    }


def _packed(document: Mapping[str, Any]) -> str:
    return base64.b64encode(json.dumps(document).encode()).decode()
