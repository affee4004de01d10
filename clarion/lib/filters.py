"""Conditions over the fields of a record, as somebody writes them in JSON: what they may be, and what they mean.

    {"all": [{"field": "tag", "eq": "vip"}, {"not": {"field": "attributes.visits", "lt": 3}}]}

What is said here in Python is what every database is made to say as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from clarion.lib.comparable import (
    LONGEST_NAME,
    LONGEST_TEXT,
    TEXT,
    Scalar,
    after,
    comparable,
    complaint_of_text,
)
from clarion.lib.filter_reading import BadFilter as BadFilter
from clarion.lib.filter_reading import Place, Reader

# Far more than anybody reads, and few enough that no database is brought to its limits by what it is asked.
DEEPEST, MOST_CONDITIONS = 10, 100
# Of one list.
MOST_VALUES = 1_000
OPERATORS = ("eq", "in", "prefix", "exists", "gt", "lt")

# How a field is compared: texts without their case, texts as they stand; or it holds fields of any name itself.
FOLDED, EXACT, OPEN = "folded", "exact", "open"
Fields = Mapping[str, str]


class Span(NamedTuple):
    """Comparable texts from `low` up to `high`, which is not among them; nor is `low`, unless it is included."""

    low: str
    high: str | None
    includes_low: bool = True

    def holds(self, text: str) -> bool:
        is_above = self.low <= text if self.includes_low else self.low < text
        return is_above and (self.high is None or text < self.high)


@dataclass(frozen=True, slots=True)
class Every:
    """Whoever meets all of these."""

    parts: "tuple[Filter, ...]"

    def holds(self, values: Mapping[str, Any]) -> bool:
        return all(part.holds(values) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Some:
    """Whoever meets one of these."""

    parts: "tuple[Filter, ...]"

    def holds(self, values: Mapping[str, Any]) -> bool:
        return any(part.holds(values) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Not:
    """Whoever does not meet this, those without a value included."""

    part: "Filter"

    def holds(self, values: Mapping[str, Any]) -> bool:
        return not self.part.holds(values)


@dataclass(frozen=True, slots=True)
class Condition:
    """What one field has to be. `member` is the name inside an open field, else empty."""

    field: str
    member: str
    kind: str
    operator: str
    value: Any

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Say whether a record with these values meets it. A field without a value meets only `exists: false`."""
        value = values.get(self.field)
        found = self._comparable((value or {}).get(self.member) if self.kind == OPEN else value)
        if self.operator == "exists":
            return (found is not None) is self.value
        return found is not None and (found in self.points or any(span.holds(found) for span in self.spans))

    @property
    def points(self) -> tuple[str, ...]:
        """The comparable texts that are looked for."""
        wanted = {"eq": [self.value], "in": self.value}.get(self.operator, ())
        return tuple(dict.fromkeys(text for text in map(self._comparable, wanted) if text is not None))

    @property
    def spans(self) -> tuple[Span, ...]:
        """Between which comparable texts the value may lie: at most one span, of values of the same kind."""
        if self.operator not in ("prefix", "gt", "lt"):
            return ()
        edge = self._comparable(self.value) or ""
        kind = edge[: len(TEXT)]
        if self.operator == "prefix":
            return (Span(edge, after(edge)),)
        return (Span(edge, after(kind), includes_low=False) if self.operator == "gt" else Span(kind, edge),)

    def _comparable(self, value: Scalar) -> str | None:
        return comparable(value, folded=self.kind != EXACT)


Filter = Every | Some | Not | Condition


def read_filter(raw: object, fields: Fields) -> Filter:
    """Return what this JSON value says.

    :raises BadFilter:
    """
    return _Reader(fields).read(raw)


class _Reader(Reader[tuple[str, str], Filter]):
    deepest = DEEPEST
    most_conditions = MOST_CONDITIONS
    most_values = MOST_VALUES
    longest_text = LONGEST_TEXT
    about = "field"
    operators = OPERATORS

    def __init__(self, fields: Fields) -> None:
        super().__init__()
        self._fields = fields

    def every(self, parts: tuple[Filter, ...]) -> Filter:
        return Every(parts)

    def some(self, parts: tuple[Filter, ...]) -> Filter:
        return Some(parts)

    def negated(self, part: Filter) -> Filter:
        return Not(part)

    def condition(self, subject: tuple[str, str], operator: str, value: Any, place: Place) -> Filter:
        field, member = subject
        return Condition(field, member, self._fields[field], operator, value)

    def subject(self, raw: object, place: Place) -> tuple[str, str]:
        if isinstance(raw, str):
            name, dot, member = raw.partition(".")
            is_open = self._fields.get(name) == OPEN
            if name in self._fields and bool(dot) is is_open:
                sentence = (
                    complaint_of_text(member, LONGEST_NAME) if member or not is_open else "must have a name"
                )
                if sentence:
                    self.blame(place, f"{name}.<name>: the name {sentence}")
                return name, member
        known = (f"{name}.<name>" if kind == OPEN else name for name, kind in self._fields.items())
        self.blame(place, f"must be one of {', '.join(known)}")
        return "", ""

    def check(self, operator: str, value: object, place: Place) -> None:
        is_ordered = not isinstance(value, bool) and isinstance(value, str | int | float)
        if operator in ("gt", "lt") and not is_ordered:
            self.blame(place, "must be a number or a text")
        else:
            super().check(operator, value, place)
