"""Event subscriptions on the wire: what may be said of one, and how one is shown. The seed's members, then ours."""

from collections.abc import Collection, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from clarion.api.wire import Body
from clarion.flows import destination_settings, matching, subscriptions
from clarion.flows.destination_settings import choose, shown
from clarion.flows.event_checks import LONGEST_ID, no_id
from clarion.flows.subscriptions import ENTITY_TYPES, Draft, chosen_of
from clarion.lib import payload_filters
from clarion.lib.comparable import complaint_of_text
from clarion.lib.payload_filters import BadFilter
from clarion.lib.problems import FieldError
from clarion.lib.validators import after, before, looked_through
from clarion.models import Subscription

# What stands behind an id in a path of ours: an id with such a word in it would be asked for in vain.
VERBS = frozenset(
    {"deactivate", "deliveries", "failures", "health", "match", "recover", "redeliveries", "replay"}
    | {"rotate-secret", "test"}
)
# Why we ended one, by `Subscription.disabled_because`.
_ENDED = {
    "gone": "its receiver said that it is gone for good (410)",
    "failing": "every try failed for five days",
}
NOTHING_TOLD = (
    "subscribeCreate, subscribeChange, subscribeDelete: none of them is true, so nothing is forwarded"
)


def _ref(value: Any) -> Any:
    """An id is a number or a text; it is echoed as it was sent, and found either way."""
    if value is None:
        return None
    sentence = no_id(value) or complaint_of_text(str(value), LONGEST_ID)
    if sentence is None and not str(value).isprintable():
        sentence = "must have no line breaks or other control characters"
    if sentence is None:
        first, *others = str(value).split("/")
        if not first or not all(others):
            sentence = "must have no slash at its ends, nor two in a row"
        elif taken := VERBS.intersection(others):
            sentence = f"must not have /{min(taken)} in it"
    if sentence is not None:
        raise ValueError(sentence)
    return value


def _entity_type(value: str) -> str:
    if value.upper() not in ENTITY_TYPES:
        raise ValueError(f"must be one of {', '.join(ENTITY_TYPES)}")
    return value.upper()


def _lowered(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _errors_in_filter(value: object) -> Sequence[FieldError]:
    if value is not None:
        try:
            payload_filters.compile(value)
        except BadFilter as error:
            return error.errors
    return []


EventFilter = Annotated[dict[str, Any] | None, looked_through(_errors_in_filter)]
Ref = Annotated[Any, before(_ref, taken_from=int | str)]
Formats = Literal["event", "interaction"]


class SubscriptionBody(Body):
    """Who wants to hear of which events, and where."""

    active: bool
    destination: Annotated[dict[str, Any], looked_through(destination_settings.errors_in)] = Field(
        description="`type`, and under its name in lower case the settings of a destination of this type."
    )
    entityType: Annotated[str, after(_entity_type)] = Field(
        description=f"Of what: {', '.join(ENTITY_TYPES)}."
    )
    subscribeCreate: bool
    subscribeChange: bool
    subscribeDelete: bool
    id: Ref = None
    filter: EventFilter = Field(None, description="Which of these events: see docs/subscriptions.md.")
    format: Annotated[Formats, before(_lowered, taken_from=Formats)] = "event"
    ordered: bool = Field(
        False,
        description="Whether what is about one entity arrives in its order, each after the one before it.",
    )

    @property
    def ref(self) -> str:
        """The id as it is found by; empty where none was sent."""
        return "" if self.id is None else str(self.id)

    def draft(self) -> Draft:
        """Return what is wanted.

        :raises BadDestination: never, for what was looked through
        """
        return Draft(
            ref=self.ref,
            ref_is_number=isinstance(self.id, int),
            destination=choose(self.destination),
            entity_type=self.entityType,
            creates=self.subscribeCreate,
            changes=self.subscribeChange,
            deletes=self.subscribeDelete,
            filter=self.filter,
            format=self.format,
            is_ordered=self.ordered,
            is_active=self.active,
        )


def subscription(row: Subscription, *, made: Collection[str] = (), as_sent: Any = None) -> dict[str, Any]:
    """Present a subscription: the printed members, and of ours those that are not as they usually are.

    `made`: settings that nobody has seen yet; `as_sent`: its id, as the caller spells it.
    """
    members: dict[str, Any] = {
        "active": row.is_active,
        "destination": shown(chosen_of(row), made=made),
        "entityType": row.entity_type,
        "id": ref_of(row) if as_sent is None else as_sent,
        "subscribeChange": row.changes,
        "subscribeCreate": row.creates,
        "subscribeDelete": row.deletes,
    }
    if row.filter is not None:
        members["filter"] = row.filter
    if row.format != Subscription.EVENT:
        members["format"] = row.format
    return members | ({"ordered": True} if row.is_ordered else {})


def ref_of(row: Subscription) -> int | str:
    """Return its id in the type in which it was sent."""
    return int(row.ref) if row.ref_is_number else row.ref


def warnings(row: Subscription) -> list[str]:
    """Return what is odd about a subscription, and whether we ended it ourselves."""
    found = destination_settings.oddities(subscriptions.chosen_of(row))
    if not (row.creates or row.changes or row.deletes):
        found.append(NOTHING_TOLD)
    if matching.interest_of(row) is None:
        found.append(f"filter: {matching.UNREADABLE}")
    if row.disabled_because:
        why = _ENDED.get(row.disabled_because, row.disabled_because)
        found.append(f"active: the subscription was ended because {why}; PUT it with active true to go on")
    return found
