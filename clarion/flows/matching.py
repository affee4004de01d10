"""Which subscription wants to hear of which event, and if not, why not."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from clarion.lib import payload_filters
from clarion.lib.payload_filters import Filter
from clarion.models import Event, Subscription
from clarion.models.outcomes import OUTCOMES
from clarion.models.subscriptions import ALL, EFFECTS, Subscriptions
from clarion.outbox.bodies import readable

# Whoever wants to hear of a wishlist wants to hear of what is on it: the seed has no name for that.
_PART_OF = {"wishlist_item": "wishlist"}
_OWN = frozenset(name.lower() for name in OUTCOMES)


class Heard:
    """An event as subscriptions look at it. Its document is read when the first filter asks for it."""

    def __init__(self, event: Event) -> None:
        self.event = event
        self.effect = EFFECTS.get(event.operation)
        self.entities = entities(event.entity)

    @cached_property
    def document(self) -> Mapping[str, Any]:
        return readable(self.event.body)


class Failure(NamedTuple):
    """Why an event does not go to a subscription: the member that says so, and a sentence."""

    loc: list[str | int]
    msg: str


@dataclass(frozen=True, slots=True)
class Interest:
    """A subscription as it is matched: what it wants to hear of."""

    subscription_id: int
    ref: str
    lane_id: int
    is_ordered: bool
    entity: str
    creates: bool
    changes: bool
    deletes: bool
    is_test: bool
    from_seq: int
    filter: Filter | None

    def takes(self, heard: Heard) -> bool:
        """Whether the event is for it, when it came after it."""
        if heard.effect is None or not getattr(self, heard.effect):
            return False
        if self.entity not in heard.entities or heard.event.is_test != self.is_test:
            return False
        return self.filter is None or self.filter.matches(heard.document)


def entities(entity: str) -> frozenset[str]:
    """Return under which names subscriptions may mean an event about this entity (folded)."""
    own = {entity, _PART_OF.get(entity, entity)}
    return frozenset(own if entity in _OWN else own | {ALL})


def interests(rows: Subscriptions) -> list[Interest]:
    """Return these subscriptions as they are matched, in the order of their ids."""
    found: Any = rows.order_by("pk").values_list(
        *("pk", "ref", "lane_id", "lane__is_ordered", "entity", "creates", "changes", "deletes", "is_test"),
        *("from_seq", "filter"),
    )
    rows_read = ([*known, compiled(spec)] for *known, spec in found)
    return [Interest(*values) for values in rows_read]


def interested(events: Iterable[Heard], rows: Subscriptions) -> dict[str, list[Interest]]:
    """Return who of these wants to hear of the entities that the events are about, by the name that they use."""
    names = {name for heard in events if heard.effect is not None for name in heard.entities}
    by_entity: dict[str, list[Interest]] = {}
    for interest in interests(rows.interested_in(names)) if names else ():
        by_entity.setdefault(interest.entity, []).append(interest)
    return by_entity


def failures(subscription: Subscription, event: Event) -> list[Failure]:
    """Return everything for which this event would not be forwarded; nothing where it would be."""
    heard = Heard(event)
    (interest,) = interests(Subscription.objects.of(subscription.tenant).filter(pk=subscription.pk))
    found = []
    if not subscription.is_active:
        found.append(Failure(["active"], "The subscription is not active."))
    if interest.entity not in heard.entities:
        name = event.entity.upper() or "nothing that it names"
        found.append(Failure(["entityType"], f"The event is about {name}."))
    if heard.effect is None:
        found.append(Failure(["operation"], f"What is only {event.operation} is not forwarded."))
    elif not getattr(interest, heard.effect):
        member = f"subscribe{heard.effect[:-1].capitalize()}"
        found.append(
            Failure([member], f"The event's operation is {event.operation or 'none, so it creates'}.")
        )
    if event.is_test != interest.is_test:
        whose = "a test key" if interest.is_test else "a live key"
        found.append(Failure(["id"], f"The subscription was made with {whose}, and the event was not."))
    if interest.filter is not None:
        found += [_blamed(each) for each in interest.filter.explain(heard.document)]
    return found


def compiled(spec: Any) -> Filter | None:
    """Return the filter that stands in a subscription's row; None where it has none."""
    return None if spec is None else _compiled(json.dumps(spec))


@lru_cache(maxsize=4096)  # as many as a large tenant has; each is read once, not once for each slice
def _compiled(text: str) -> Filter:
    return payload_filters.compile(json.loads(text))


def _blamed(failed: payload_filters.Failed) -> Failure:
    found = ", ".join(failed.found) or "nothing"
    wanted = "must not be met" if failed.is_denied else "is not met"
    sentence = f"{failed.operator} of {'.'.join(failed.path)} {wanted}: there is {found}."
    return Failure(["filter", *failed.loc], sentence)
