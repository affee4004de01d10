"""What the members of an event must be; members that neither form knows may be anything.

Whether the whole of it can be kept was looked at before.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from math import inf
from typing import Any
from urllib.parse import urlsplit

import msgspec

from clarion.lib.problems import FieldError

MAIL_KINDS = (
    *("email_open", "email_click", "email_unsubscribe", "purchase"),
    *("email_sent", "email_delivered", "email_bounce", "email_complaint"),
)
ENTITY_KINDS = (
    *("ORDER", "ORDER_ENTRY", "CUSTOMER", "ADDRESS", "PRODUCT", "VARIANT_PRODUCT", "INVENTORY_LEVEL"),
    *("INVENTORY_LOCATION", "INVENTORY_ITEM", "STORE", "MERCHANT", "WISHLIST", "WISHLIST_ITEM", "OTHER"),
    *("EVENT", "ENTITY_EVENT", "SYSTEM_EVENT", "FAULT", "WARNING", "PRICE"),
)
OPERATIONS = ("CREATE", "BULK_UPDATE", "BULK_CREATE", "READ", "DELETE", "UPDATE")
SOURCES = ("SYSTEM", "CONNECTOR", "APPLICATION", "SERVERLESS")
PAYLOADS = ("base64_encoded_payload_json", "base64_encoded_fault_json")
# Longer ones are no ids any more (the HTTP contract).
LONGEST_ID = 255
# What browsers and mail programs agree on.
LONGEST_LINK = 2_000
_CURRENCY = re.compile(r"[A-Za-z]{3}")  # ISO 4217
# As any database's decimals have them; the longest has about 20 digits on either side.
_AMOUNT = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,20})?")
MISSING = "This is missing."


def wrong_ids(members: Mapping[str, Any], names: tuple[str, ...]) -> Iterator[FieldError]:
    """Give what is wrong with the members of these names, which are ids where they are there."""
    for name in names:
        value = members.get(name)
        if value is not None and (sentence := no_id(value)):
            yield {"loc": [name], "msg": sentence}


def no_id(value: Any) -> str | None:
    """Return why this value is no id, or None."""
    if isinstance(value, str) and 0 < len(value) <= LONGEST_ID and not value.isspace():
        return None
    if isinstance(value, bool) or not isinstance(value, int | str):
        return "must be a number or a text"
    if not str(value).strip():
        return "must not be empty"
    return f"must have at most {LONGEST_ID} characters" if len(str(value)) > LONGEST_ID else None


def wrong_mail(members: Mapping[str, Any]) -> Iterator[FieldError]:
    """Give what is wrong with a mail event, its time apart."""
    kind = members.get("event_type")
    if kind not in MAIL_KINDS:
        yield {"loc": ["event_type"], "msg": f"must be one of {', '.join(MAIL_KINDS)}"}
    customer = members.get("customer_id")
    if customer is None or (sentence := no_id(customer)):
        yield {"loc": ["customer_id"], "msg": MISSING if customer is None else str(sentence)}
    # A purchase may be nobody's mail's merit.
    if kind != "purchase" and members.get("email_id") is None:
        yield {"loc": ["email_id"], "msg": MISSING}
    if kind == "email_click" and not _is_link(members.get("clicked_link")):
        yield {"loc": ["clicked_link"], "msg": "must be an http or https address"}
    if kind == "purchase":
        if members.get("product_id") is None:
            yield {"loc": ["product_id"], "msg": MISSING}
        if not _is_amount(members.get("amount")):
            yield {"loc": ["amount"], "msg": "must be a decimal number, 0 or more"}
        currency = members.get("currency")
        if currency is not None and not (isinstance(currency, str) and _CURRENCY.fullmatch(currency)):
            yield {"loc": ["currency"], "msg": "must be a currency's three letters"}


def wrong_entity(members: Mapping[str, Any]) -> Iterator[FieldError]:
    """Give what is wrong with an entity event."""
    if members.get("event_type") not in ENTITY_KINDS:
        yield {"loc": ["event_type"], "msg": f"must be one of {', '.join(ENTITY_KINDS)}"}
    if members.get("event_source") not in (None, *SOURCES):
        yield {"loc": ["event_source"], "msg": f"must be one of {', '.join(SOURCES)}"}
    name = members.get("entity_name")
    if name is not None and (not isinstance(name, str) or len(name) > LONGEST_ID):
        yield {"loc": ["entity_name"], "msg": f"must be a text of at most {LONGEST_ID} characters"}
    payload = members.get("event_payload")
    if payload is not None:
        yield from _wrong_payload(payload)


def _wrong_payload(payload: Any) -> Iterator[FieldError]:
    if not isinstance(payload, dict):
        yield {"loc": ["event_payload"], "msg": "must be an object"}
        return
    if payload.get("operation") not in (None, *OPERATIONS):
        yield {"loc": ["event_payload", "operation"], "msg": f"must be one of {', '.join(OPERATIONS)}"}
    for name in PAYLOADS:
        if not isinstance(payload.get(name), str | None):
            yield {"loc": ["event_payload", name], "msg": "must be a text"}
    for error in wrong_ids(payload, ("entity_id",)):
        yield {"loc": ["event_payload", *error["loc"]], "msg": error["msg"]}
    if not isinstance(payload.get("key_attributes"), dict | None):
        yield {"loc": ["event_payload", "key_attributes"], "msg": "must be an object"}


def is_payload(payload: str | None) -> bool:
    """Whether it is base64 of JSON, or nothing."""
    if not payload:
        return True
    try:
        msgspec.json.decode(base64.b64decode(payload, validate=True))
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError):
        return False
    return True


def _is_link(value: Any) -> bool:
    if not isinstance(value, str) or len(value) > LONGEST_LINK or re.search(r"[\s\x00-\x1f]", value):
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme.lower() in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def _is_amount(value: Any) -> bool:
    if isinstance(value, str):
        return _AMOUNT.fullmatch(value) is not None
    return not isinstance(value, bool) and isinstance(value, int | float) and 0 <= value < inf
