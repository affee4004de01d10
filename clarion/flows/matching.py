"""Which subscription wants to hear of which event, and if not, why not."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import structlog

from clarion.lib import payload_filters
from clarion.lib.payload_filters import Filter
from clarion.models import Subscription
from clarion.models.events import Logged
from clarion.models.outcomes import OUTCOMES
from clarion.models.subscriptions import ALL, EFFECTS, Subscriptions
from clarion.outbox.bodies import readable

log = structlog.get_logger()

# Whoever wants to hear of a wishlist wants to hear of what is on it: the seed has no name for that.
_PART_OF = {"wishlist_item": "wishlist"}
UNREADABLE = "The filter cannot be read any more, and nothing is forwarded: send it again."
_OWN = frozenset(name.lower() for name in OUTCOMES)


class Heard:
    """An event as subscriptions look at it. Its document is read when the first filter asks for it."""

    def __init__(self, event: Logged) -> None:
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
        is_wanted = self.wants(heard.entities, heard.effect, is_test=heard.event.is_test)
        return is_wanted and (self.filter is None or self.filter.matches(heard.document))

    def wants(self, entities: frozenset[str], effect: str | None, *, is_test: bool) -> bool:
        """Whether events of this kind are for it, as far as its filter has nothing against one."""
        is_meant = self.entity in entities and self.is_test == is_test
        return is_meant and effect is not None and bool(getattr(self, effect))


class Wanted:
    """Who of some subscriptions wants to hear of which events."""

    def __init__(self, rows: Subscriptions, heard: Iterable[Heard]) -> None:
        names: defaultdict[str, set[str]] = defaultdict(set)
        for each in heard:
            if each.effect is not None:
                names[each.effect] |= each.entities
        found = {
            each.subscription_id: each
            for effect, entities in sorted(names.items())
            for each in interests(rows.interested_in(effect, entities))
        }
        self._interests = [found[pk] for pk in sorted(found)]
        # By kind of event: most of a log are of few kinds.
        self._of_kind: dict[tuple[frozenset[str], str | None, bool], list[Interest]] = {}

    def by(self, heard: Heard) -> Iterator[Interest]:
        """Give those for whom this event is, and who were there before it."""
        kind = (heard.entities, heard.effect, heard.event.is_test)
        wanting = self._of_kind.get(kind)
        if wanting is None:
            wanting = [each for each in self._interests if each.wants(*kind[:2], is_test=kind[2])]
            self._of_kind[kind] = wanting
        for each in wanting:
            if each.from_seq < heard.event.seq and (
                each.filter is None or each.filter.matches(heard.document)
            ):
                yield each


@lru_cache(maxsize=4096)  # names of entities come from outside
def entities(entity: str) -> frozenset[str]:
    """Return under which names subscriptions may mean an event about this entity (folded)."""
    own = {entity, _PART_OF.get(entity, entity)}
    return frozenset(own if entity in _OWN else own | {ALL})


def interests(rows: Subscriptions) -> list[Interest]:
    """Return these subscriptions as they are matched, in the order of their ids.

    One whose filter cannot be read, because the rules have grown stricter since, is left out: the others are not to blame.
    """
    found: Any = rows.order_by("pk").values_list(
        *("pk", "lane_id", "lane__is_ordered", "entity", "creates", "changes", "deletes", "is_test"),
        *("from_seq", "filter"),
    )
    readable_ones = []
    for *known, spec in found:
        try:
            values = [*known, compiled(spec)]
        except payload_filters.BadFilter:
            log.error("filter_unreadable", subscription_id=known[0])
            continue
        readable_ones.append(Interest(*values))
    return readable_ones


def interest_of(subscription: Subscription) -> Interest | None:
    """Return one subscription as it is matched; None where its filter cannot be read any more."""
    found = interests(Subscription.objects.of(subscription.tenant).filter(pk=subscription.pk))
    return found[0] if found else None


def failures(subscription: Subscription, event: Logged) -> list[Failure]:
    """Return everything for which this event would not be forwarded; nothing where it would be."""
    heard = Heard(event)
    found = []
    interest = interest_of(subscription)
    if interest is None:
        return [Failure(["filter"], UNREADABLE)]
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
