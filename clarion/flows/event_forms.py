"""From what a caller sent to an event that can be kept: what each of the two forms of an event must be.

A mail event says what somebody did with a mail, or bought; an entity event says what became of an order, a product or
another thing of the shop. Members that neither form knows are kept as they came.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any, NamedTuple

import msgspec

from clarion.flows.event_checks import (
    MISSING,
    PAYLOADS,
    is_payload,
    no_id,
    wrong_entity,
    wrong_ids,
    wrong_mail,
)
from clarion.lib import bundles
from clarion.lib.comparable import fold
from clarion.lib.problems import FieldError
from clarion.lib.times import BadTime, parse_time, wire_time
from clarion.models.attributes import facts_of
from clarion.models.events import NAMING

# One event as JSON, bytes (the HTTP contract).
LARGEST_EVENT = 1024 * 1024
# Members of an event that are ids: 1112 and "1112" are one. So are those of its payload that say whom it is about.
IDS = ("id", "customer_id", "email_id", "product_id", "entity_id")
_CUSTOMER = fold("CUSTOMER")
# Every whole number up to here is exact in a double, so a made id survives any program that reads JSON.
_MADE_IDS = 2**53
# Nobody has to guess at an id; what counts is that no two are alike.
_ids = random.Random()  # noqa: S311


class Draft(msgspec.Struct, frozen=True):
    """An event that may be stored. `document` is what is given back, `body` its JSON; `is_made`: nobody sent an id."""

    document: dict[str, Any]
    body: str
    is_made: bool
    happened_at: datetime | None
    customer_ref: str | None
    flaws: Sequence[str]
    is_mail: bool

    @property
    def event_id(self) -> str:
        return str(self.document["id"])

    @property
    def entity(self) -> Mapping[str, Any]:
        """The members that say what became of an entity; a mail event may have others of these names."""
        return {} if self.is_mail else self.document

    @property
    def payload(self) -> Mapping[str, Any]:
        return self.entity.get("event_payload") or {}

    @property
    def facts(self) -> dict[str, str]:
        """The key attributes that are one value, each as the text by which it is asked for."""
        keys: Mapping[str, Any] = self.payload.get("key_attributes") or {}
        return facts_of(_texts(keys))


class Entity(NamedTuple):
    """What an entity event is about: its kind, folded, and its id; None where the event does not say."""

    name: str | None
    id: str | None


class BadEvent(ValueError):
    """This cannot be kept as an event; `errors` name every member that is wrong."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__("; ".join(str(error["msg"]) for error in errors))
        self.errors = errors


Form = Callable[[Any, tzinfo], Draft]


def mail_event(sent: Any, zone: tzinfo) -> Draft:
    """Return the mail event that was sent; `zone` counts where its time names none.

    :raises BadEvent:
    """
    members = _members(sent)
    errors = [*wrong_ids(members, ("id", "email_id", "product_id")), *wrong_mail(members)]
    document = dict(members)
    happened_at = None
    try:
        happened_at = parse_time(_text(members.get("timestamp")), zone)
        document["timestamp"] = wire_time(happened_at)
    except BadTime as error:
        sentence = str(error) if "timestamp" in members else MISSING
        errors.append({"loc": ["timestamp"], "msg": sentence})
    if errors:
        raise BadEvent(errors)
    return _draft(document, happened_at, str(members["customer_id"]), (), is_mail=True)


def entity_event(sent: Any, zone: tzinfo) -> Draft:
    """Return the entity event that was sent.

    :raises BadEvent:
    """
    members = _members(sent)
    errors = [*wrong_ids(members, ("id", "entity_id", "customer_id")), *wrong_entity(members)]
    if errors:
        raise BadEvent(errors)
    payload = members.get("event_payload") or {}
    flaws = [f"event_payload.{name}: {FLAW}" for name in PAYLOADS if not is_payload(payload.get(name))]
    return _draft(members, None, _customer_of(members), flaws, is_mail=False)


def entity_of(members: Mapping[str, Any]) -> Entity:
    """Return what an entity event with these members is about. A member that is null is as good as none."""
    kind = members.get("event_type")
    name = kind and kind.lower()  # as folding would make it: kinds are ASCII
    if kind in NAMING:
        name = members.get("entity_name") and fold(members["entity_name"])
    number = members.get("entity_id")
    if number is None:
        number = (members.get("event_payload") or {}).get("entity_id")
    return Entity(name or None, None if number is None else str(number))


def new_id(draft: Draft) -> Draft:
    """Return the event under another made id: the first one was taken."""
    document = {**draft.document, "id": _made_id(draft.is_mail)}
    return msgspec.structs.replace(draft, document=document, body=msgspec.json.encode(document).decode())


def is_same(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether two documents tell the same event: order of members and the type of an id do not matter."""
    return _compared(first) == _compared(second)


def _draft(
    members: Mapping[str, Any],
    happened_at: datetime | None,
    customer_ref: str | None,
    flaws: Sequence[str],
    *,
    is_mail: bool,
) -> Draft:
    is_made = members.get("id") is None
    document = {**members, "id": _made_id(is_mail) if is_made else members["id"]}
    packed = msgspec.json.encode(document)
    if len(packed) > LARGEST_EVENT:
        raise BadEvent([TOO_LONG])
    body = packed.decode()
    return Draft(document, body, is_made, happened_at, customer_ref, flaws, is_mail)


def _made_id(is_mail: bool) -> int | str:
    """Return an id nobody has: mail events have whole numbers, entities' have 128 random bits."""
    return _ids.randrange(1, _MADE_IDS) if is_mail else f"{_ids.getrandbits(128):032x}"


TOO_LONG: FieldError = {"loc": [], "msg": f"An event may have {LARGEST_EVENT} bytes."}
FLAW = "no base64 of JSON; kept as it is"


def _members(sent: Any) -> dict[str, Any]:
    if isinstance(sent, bundles.NotKeepable):
        raise BadEvent(sent.errors)
    if isinstance(sent, bundles.TooLong):
        raise BadEvent([TOO_LONG])
    if isinstance(sent, bundles.NotReadable):
        raise BadEvent([{"loc": [], "msg": f"This is not JSON: {sent}."}])
    if not isinstance(sent, dict):
        raise BadEvent([{"loc": [], "msg": "This must be an object."}])
    return sent


def _customer_of(members: Mapping[str, Any]) -> str | None:
    """Whom an entity event is about: said in it or among its key attributes, or the customer that is its entity."""
    keys = (members.get("event_payload") or {}).get("key_attributes") or {}
    for ref in (members.get("customer_id"), keys.get("customer_id")):
        if ref is not None and not no_id(ref):
            return str(ref)
    entity = entity_of(members)
    return entity.id if entity.name == _CUSTOMER else None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise BadTime("must be a text such as 2026-11-20T14:00:00Z")
    return value


def _texts(keys: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for name, value in keys.items()
        if isinstance(value, str | int | float | bool)
    }


def _compared(document: Mapping[str, Any]) -> bytes:
    found = _with_ids(document, IDS)
    if isinstance(payload := found.get("event_payload"), dict):
        found["event_payload"] = payload = _with_ids(payload, ("entity_id",))
        if isinstance(keys := payload.get("key_attributes"), dict):
            payload["key_attributes"] = _with_ids(keys, ("customer_id",))
    return msgspec.json.encode(found, order="sorted")


def _with_ids(members: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the members with these as texts, where they are whole numbers."""
    return {
        **members,
        **{name: str(members[name]) for name in names if type(members.get(name)) is int},
    }
