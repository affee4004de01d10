"""Where a subscription leads, as somebody names it: which destination, under which member its settings stand, and
whether they are what it needs. Stores nothing.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings as django_settings
from pydantic import BaseModel, ValidationError

from clarion import destinations
from clarion.destinations import Destination
from clarion.flows.event_checks import MISSING
from clarion.lib.fields import addresses
from clarion.lib.masks import MASK, Place, hidden, hidden_all, masks_in, restored, wire_names
from clarion.lib.problems import FieldError

# Under which other members settings are taken: the seed prints those of a topic as those of a queue.
_ALSO: Mapping[str, tuple[str, ...]] = {"sns": ("sqs",)}
# Members of these names are addresses that something is sent to, of whatever type they are.
_CALLED = frozenset({"url", "endpoint"})
_NO_MEMBER = "There is no such member."
_NONE_KEPT = f"{MASK} stands for a secret that is kept, and here none is"
_OF_ANOTHER = f"{MASK} stands for a secret that is kept for where this led before: send it again"
_SENTENCES = {"missing": MISSING, "extra_forbidden": _NO_MEMBER}


@dataclass(frozen=True, slots=True)
class Chosen:
    """A destination by its kind, the member under which its settings stand, and these, by their names on the wire.

    `is_lost`: settings were stored, and no key we have opens them; they are as if there were none.
    """

    kind: str
    block: str
    settings: Mapping[str, Any] = field(repr=False)
    is_lost: bool = False


class BadDestination(ValueError):
    """Nothing can be sent there; `errors` name each wrong member from the destination on, and repeat no value."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__("; ".join(str(error["msg"]) for error in errors))
        self.errors = errors


def errors_in(raw: object) -> list[FieldError]:
    """Return what is wrong with a destination as it is sent, as far as it can be told without the one it replaces.

    A secret that is masked may be right.
    """
    try:
        chosen = choose(raw)
    except BadDestination as error:
        return error.errors
    return [each for each in _wrong(chosen) if _at(chosen.settings, tuple(each["loc"])[1:]) != MASK]


def choose(raw: object) -> Chosen:
    """Return which destination is meant.

    :raises BadDestination: its type is not known, or there is no one member with its settings
    """
    if not isinstance(raw, dict):
        raise BadDestination([{"loc": [], "msg": "must be an object"}])
    kind = raw.get("type")
    if kind is None:
        raise BadDestination([{"loc": ["type"], "msg": MISSING}])
    known = destinations.kinds()
    if not isinstance(kind, str) or kind.lower() not in known:
        names = ", ".join(each.upper() for each in known)
        raise BadDestination([{"loc": ["type"], "msg": f"must be one of {names}"}])
    kind = kind.lower()
    blocks = (kind, *_ALSO.get(kind, ()))
    errors: list[FieldError] = [
        {"loc": [name], "msg": _NO_MEMBER} for name in raw if name not in ("type", *blocks)
    ]
    found = [block for block in blocks if block in raw]
    if not found:
        errors.append({"loc": [kind], "msg": MISSING})
    errors += [{"loc": [block], "msg": f"stands beside {found[0]}: one of the two"} for block in found[1:]]
    errors += [
        {"loc": [block], "msg": "must be an object"} for block in found if not isinstance(raw[block], dict)
    ]
    if errors:
        raise BadDestination(errors)
    return Chosen(kind, found[0], raw[found[0]])


def complete(chosen: Chosen, stored: Chosen | None, now: datetime) -> dict[str, Any]:
    """Return the settings as they are to be kept: secrets that are masked are the stored ones, what is missing is made.

    They stay only where they are sent to the same place as before.

    :raises BadDestination:
    """
    kind = destinations.find(chosen.kind)
    sent: dict[str, Any] = dict(chosen.settings)
    before = stored.settings if stored is not None and stored.kind == chosen.kind else None
    known = None if before is None else _config(chosen.kind, before)
    if known is None:
        return _checked(chosen, kind.completed(sent, None, now), _NONE_KEPT)
    back = restored(sent, known, before)
    kept = _checked(chosen, kind.completed(back, before, now), _NONE_KEPT)
    if kind.Config(**kept).place() == known.place():
        return kept
    # Whoever may change a subscription need not know its secrets, and must not have them sent to a place of theirs.
    sent |= {name: back[name] for name in kind.signs_with & back.keys()}
    return _checked(chosen, kind.completed(sent, before, now), _OF_ANOTHER)


def is_same(chosen: Chosen, stored: Chosen, now: datetime) -> bool:
    """Whether these settings are those that are stored: order, defaults and what was made here do not matter.

    :raises BadDestination:
    """
    kept = complete(chosen, stored, now)
    if (chosen.kind, chosen.block) != (stored.kind, stored.block):
        return False
    kind = destinations.find(chosen.kind)
    # What has lapsed since they were stored is in neither.
    before = kind.completed(stored.settings, stored.settings, now)
    return kind.Config(**kept) == _config(stored.kind, before)


def shown(chosen: Chosen, *, made: Collection[str] = ()) -> dict[str, Any]:
    """Return a destination as it is given back, without secrets; `made`: members that nobody has seen yet."""
    config = _config(chosen.kind, chosen.settings)
    # A destination that is no longer installed, or wants other settings now: nobody knows what is secret.
    settings = hidden_all(chosen.settings) if config is None else hidden(config, chosen.settings, but=made)
    return {chosen.block: settings, "type": chosen.kind.upper()}


def oddities(chosen: Chosen) -> list[str]:
    """Return a sentence for each member that is taken although it can hardly work, by its name on the wire."""
    if chosen.is_lost:
        return ["destination: what was stored does not open with the keys there are; PUT it again"]
    config = _config(chosen.kind, chosen.settings)
    if config is None:
        return [f"destination.type: nothing can be sent to this {chosen.kind.upper()} any more"]
    found = []
    for sentence in config.oddities():
        member, blank, rest = sentence.partition(" ")
        found.append(f"destination.{chosen.block}.{_wire_name(chosen, member)}{blank}{rest}")
    return found


def _checked(chosen: Chosen, kept: dict[str, Any], of_a_mask: str) -> dict[str, Any]:
    """Return what is to be kept, if it can work and has no secret that is masked.

    :raises BadDestination: `of_a_mask` is what it says of one
    """
    errors = list(_wrong(Chosen(chosen.kind, chosen.block, kept)))
    if not errors:
        places = masks_in(destinations.find(chosen.kind).Config(**kept), kept)
        errors = [{"loc": [chosen.block, *place], "msg": of_a_mask} for place in places]
    if errors:
        raise BadDestination(errors)
    return kept


def _config(kind: str, settings: Mapping[str, Any]) -> Destination.Config | None:
    try:
        return destinations.find(kind).Config(**settings)
    except (destinations.UnknownKind, ValidationError):
        return None


def _wrong(chosen: Chosen) -> Iterator[FieldError]:
    try:
        config = destinations.find(chosen.kind).Config(**chosen.settings)
    except ValidationError as error:
        for item in error.errors(include_input=False, include_context=False, include_url=False):
            loc = [*map(_place, item["loc"])]
            if loc:
                loc[0] = _wire_name(chosen, str(loc[0]))
            sentence = _SENTENCES.get(item["type"]) or item["msg"]
            yield {"loc": [chosen.block, *loc], "msg": sentence}
        return
    called: dict[Place, str] = dict(addresses(config))
    for name in sorted(_CALLED & chosen.settings.keys()):
        if isinstance(url := chosen.settings[name], str):
            called[name,] = url
    for (member, *rest), url in called.items():
        if objection := django_settings.CLARION.egress.objection(url):
            yield {"loc": [chosen.block, _wire_name(chosen, str(member)), *rest], "msg": objection}


def _wire_name(chosen: Chosen, member: str) -> str:
    """Return the name of a member where the settings stand: in another destination's member it may have another one."""
    fields: Mapping[str, Any] = destinations.find(chosen.kind).Config.model_fields
    for name, its_field in fields.items():
        names = wire_names(name, its_field)
        if member in names:
            there = [each for each in names if each in chosen.settings]
            other = _fields(chosen.block) if chosen.block != chosen.kind else ()
            return next(iter([*there, *(each for each in names if each in other)]), member)
    return member


def _fields(kind: str) -> Collection[str]:
    config: type[BaseModel] = destinations.find(kind).Config
    return config.model_fields


def _place(step: object) -> str | int:
    return step if isinstance(step, int) else str(step)


def _at(settings: Any, place: Place) -> Any:
    for step in place:
        if isinstance(settings, Mapping):
            settings = settings.get(step)
        elif isinstance(settings, list) and isinstance(step, int) and step < len(settings):
            settings = settings[step]
        else:
            return None
    return settings
