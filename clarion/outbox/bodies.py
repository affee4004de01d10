"""Events as systems are told of them: the document that filters look at, the bodies that leave, what stands beside them.

The same event gives the same texts, whenever it is told: receivers know a repeated delivery by them.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from clarion.lib.times import wire_time

# What of `event_payload` is seen under which name.
_TEXTS = {"payload": "base64_encoded_payload_json", "fault": "base64_encoded_fault_json"}
_NOTHING: Mapping[str, Any] = {}

# Entities, folded, of which an interaction is told, and what it calls them.
INTERACTING = {"wishlist": "WISHLIST", "wishlist_item": "WISHLISTITEM"}
_TYPES = {"CREATE": "CREATED", "UPDATE": "CHANGED", "DELETE": "DELETED"}
_TYPES |= {f"BULK_{operation}": _TYPES[operation] for operation in ("CREATE", "UPDATE")}
_PURCHASED = "PURCHASED"
# As programs write that something is so.
_FLAGS = {"true": 1, "1": 1, "false": 0, "0": 0}


class Told(NamedTuple):
    """An event and what is known of it.

    `entity`: what kind of thing it is about, folded (`flows/event_forms.py:entity_of`); it and `operation` are empty
    where the event does not say. `tenant`: its name; `at`: when it happened; `body`: the stored document.
    """

    event_id: str
    entity: str
    operation: str
    tenant: str
    at: datetime
    body: str


class Readable(Mapping[str, Any]):
    """The members of an event, and what is in its payload, decoded when it is asked for."""

    def __init__(self, members: dict[str, Any]) -> None:
        self._members = members
        self._coded: dict[str, str] = {}
        payload = members.get("event_payload")
        if isinstance(payload, dict):
            # What the payload says stands in front of members of the event that happen to be called the same.
            for name, coded in _TEXTS.items():
                members.pop(name, None)
                if payload.get(coded):
                    self._coded[name] = payload[coded]
            members.pop("key", None)
            if (keys := payload.get("key_attributes")) is not None:
                members["key"] = keys

    def get(self, name: str, default: Any = None) -> Any:
        """Return the member; `default` where there is none, or it cannot be decoded."""
        if name in self._coded:
            self._decode(name)
        return self._members.get(name, default)

    def __getitem__(self, name: str) -> Any:
        self.get(name)
        return self._members[name]

    def __iter__(self) -> Iterator[str]:
        for name in list(self._coded):
            self._decode(name)
        return iter(self._members)

    def __len__(self) -> int:
        return len(list(iter(self)))

    def _decode(self, name: str) -> None:
        try:
            text = base64.b64decode(self._coded.pop(name), validate=True)
            self._members[name] = msgspec.json.decode(text)
        except (binascii.Error, ValueError, TypeError, RecursionError, msgspec.DecodeError):
            # It was marked as flawed when it came in; whoever filters or forwards goes on without.
            return


def readable(body: str) -> Readable:
    """Return what filters look at: the members of an event's document, and `payload`, `fault` and `key`.

    Those three are the decoded texts and the key attributes of its `event_payload`; what is not there, or cannot be
    decoded, is absent. Of an event without an `event_payload` they are its own members, if it has such.
    """
    return Readable(msgspec.json.decode(body, type=dict[str, Any]))


def attributes(told: Told) -> dict[str, str]:
    """Return what a receiver may want to know before it reads a body; without those that are empty."""
    known = {
        "event_id": told.event_id,
        "entity": told.entity.upper(),
        "operation": told.operation,
        "tenant": told.tenant,
        "time": wire_time(told.at),
    }
    return {name: value for name, value in known.items() if value}


def event_body(told: Told) -> str:
    """Return the event as it is stored, byte for byte."""
    return told.body


def interaction_body(told: Told) -> str:
    """Return the interaction that an event about a wishlist or an item of one is; of others, the event as it is stored.

    Always the same members, in the same order; null is what the event does not say. A member is looked for in the
    payload, then among the key attributes.
    """
    if told.entity not in INTERACTING:
        return event_body(told)
    document = readable(told.body)
    return msgspec.json.encode(_interaction(told, document)).decode()


def _interaction(told: Told, document: Readable) -> dict[str, Any]:
    keys, payload = _object(document.get("key")), _one(document.get("payload"))
    is_item = told.entity != "wishlist"
    product = _object(payload.get("product")) if is_item else _NOTHING
    sources = (payload, keys)
    itself = _id(payload.get("id")) or _entity_id(document)
    is_bought = is_item and _flag(payload.get("purchased")) == 1
    customer_id, customer_ref = _first("customerId", *sources), _first("customerRef", *sources)
    if customer_id is None and customer_ref is None:
        # The shop's own word for the customer, wherever the event itself has it.
        customer_ref = _first("customer_id", document, keys)
    return {
        "id": told.event_id,
        "created_at": wire_time(told.at),
        "customerId": customer_id,
        "customerRef": customer_ref,
        "deleted": _deleted(told.operation, payload),
        "disableNotification": _flag(payload.get("disableNotification")),
        "entityType": INTERACTING[told.entity],
        "interactionType": _type(told.operation, is_bought=is_bought),
        "itemId": itself,
        "prerelease": _flag(payload.get("prerelease")),
        "productId": _first("productId", product, *sources),
        "productRef": _first("productRef", product, *sources),
        "purchased": _flag(payload.get("purchased")),
        "tenantId": told.tenant,
        "variantId": _first("selectedVariantId", product, *sources) or _first("variantId", *sources),
        "varientAttributes": _attributes_text(payload, product) if is_item else None,
        "wishlistId": _first("wishlistId", *sources) if is_item else itself,
    }


def _type(operation: str, *, is_bought: bool) -> str | None:
    found = _TYPES.get(operation)
    return _PURCHASED if is_bought and found in ("CREATED", "CHANGED") else found


def _deleted(operation: str, payload: Mapping[str, Any]) -> int | None:
    """Whether it is gone. What is created or changed is there, unless it says otherwise."""
    if operation == "DELETE":
        return 1
    told = _flag(payload.get("deleted"))
    return 0 if told is None and operation in _TYPES else told


def _attributes_text(*owners: Mapping[str, Any]) -> str | None:
    """Return the attributes of all groups as "color=blue,size=xl", sorted; None where there are none.

    A group has its values as texts, or as objects that say their type as well; an obsolete group has none.
    """
    pairs: set[tuple[str, str]] = set()
    for owner in owners:
        for group in map(_object, _object(owner.get("attributeGroups")).values()):
            if group.get("is_obsolete") is True:
                continue
            for name, value in _object(group.get("attributes")).items():
                text = _text(value.get("attribute_value") if isinstance(value, dict) else value)
                if text is not None:
                    pairs.add((name, text))
    return ",".join(f"{name}={text}" for name, text in sorted(pairs)) or None


def _entity_id(document: Readable) -> str | None:
    return _id(document.get("entity_id")) or _id(_object(document.get("event_payload")).get("entity_id"))


def _first(name: str, *sources: Mapping[str, Any]) -> str | None:
    return next((found for source in sources if (found := _id(source.get(name)))), None)


def _id(value: Any) -> str | None:
    """Return an id as the text that it is: 1112 and "1112" are one."""
    if isinstance(value, str | int) and not isinstance(value, bool):
        return str(value) or None
    return None


def _flag(value: Any) -> int | None:
    text = _text(value)
    return None if text is None else _FLAGS.get(text.lower())


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode() if isinstance(value, bool | int | float) else None


def _one(payload: Any) -> Mapping[str, Any]:
    """Return the entity that a payload is about: of several, told at once, none is the one."""
    return _object(payload[0] if isinstance(payload, list) and len(payload) == 1 else payload)


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else _NOTHING
