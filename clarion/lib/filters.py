"""Conditions over the fields of a record, as somebody writes them in JSON: what they may be, and what they mean.

    {"all": [{"field": "tag", "eq": "vip"}, {"not": {"field": "attributes.visits", "lt": 3}}]}

What is said here in Python is what every database is made to say as well.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from clarion.lib.comparable import (
    LONGEST_NAME,
    TEXT,
    Scalar,
    after,
    comparable,
    complaint,
    complaint_of_text,
)
from clarion.lib.problems import FieldError

# Far more than anybody reads, and few enough that no database is brought to its limits by what it is asked.
DEEPEST, MOST_CONDITIONS = 10, 100
# Of one list, and of all of them together: SQLite takes 32,766 values in a statement.
MOST_VALUES, MOST_VALUES_IN_ALL = 1_000, 10_000
OPERATORS = ("eq", "in", "prefix", "exists", "gt", "lt")

# How a field is compared: texts without their case, texts as they stand; or it holds fields of any name itself.
FOLDED, EXACT, OPEN = "folded", "exact", "open"
Fields = Mapping[str, str]


class BadFilter(ValueError):
    """This is no filter. `errors` say where and why, all of them."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in errors))
        self.errors = errors


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

    A list of conditions is never empty: nobody means everybody by it, and a form that lost its conditions must not.

    :raises BadFilter:
    """
    reader = _Reader(fields)
    found = reader.read(raw, (), 1)
    if found is None or reader.errors:
        raise BadFilter(reader.errors)
    return found


Place = tuple[str | int, ...]


class _Reader:
    """Goes through a value, and goes on behind what is wrong, so that all of it is said at once."""

    def __init__(self, fields: Fields) -> None:
        self.errors: list[FieldError] = []
        self._fields = fields
        self._conditions = self._values = 0

    def read(self, raw: object, place: Place, depth: int) -> Filter | None:
        if not isinstance(raw, dict) or depth > DEEPEST:
            wanted = "must be an object: all, any, not, or a condition on a field"
            self._blame(place, f"is nested deeper than {DEEPEST}" if isinstance(raw, dict) else wanted)
            return None
        joint = next((name for name in ("all", "any", "not") if name in raw), None)
        if joint is None:
            return self._condition(raw, place)
        for name in raw:
            if name != joint:
                self._blame((*place, name), f"stands beside {joint!r}, which stands alone")
        if joint == "not":
            part = self.read(raw[joint], (*place, joint), depth + 1)
            return part and Not(part)
        parts = list(self._parts(raw[joint], (*place, joint), depth + 1))
        return Every(tuple(parts)) if joint == "all" else Some(tuple(parts))

    def _parts(self, raw: object, place: Place, depth: int) -> Iterator[Filter]:
        if not isinstance(raw, list) or not raw:
            self._blame(place, "must be a list of one or more conditions; without any, leave the filter out")
            return
        if len(raw) > MOST_CONDITIONS:
            self._blame(place, f"must have at most {MOST_CONDITIONS} conditions")
            return
        for number, each in enumerate(raw):
            if part := self.read(each, (*place, number), depth):
                yield part

    def _condition(self, raw: dict[str, Any], place: Place) -> Condition | None:
        before = len(self.errors)
        self._conditions += 1
        if self._conditions == MOST_CONDITIONS + 1:
            self._blame((), f"has more than {MOST_CONDITIONS} conditions")
        for name in raw:
            if name != "field" and name not in OPERATORS:
                self._blame(
                    (*place, name), f"There is no such member; there are field, {', '.join(OPERATORS)}."
                )
        given = [name for name in raw if name in OPERATORS]
        if len(given) != 1:
            self._blame(place, f"must have exactly one of {', '.join(OPERATORS)}, and a field")
        for operator in given:
            self._check(operator, raw[operator], (*place, operator))
        field, member = self._field(raw.get("field"), (*place, "field"))
        if len(self.errors) > before:
            return None
        return Condition(field, member, self._fields[field], given[0], raw[given[0]])

    def _field(self, raw: object, place: Place) -> tuple[str, str]:
        if isinstance(raw, str):
            name, dot, member = raw.partition(".")
            is_open = self._fields.get(name) == OPEN
            if name in self._fields and bool(dot) is is_open:
                sentence = (
                    complaint_of_text(member, LONGEST_NAME) if member or not is_open else "must have a name"
                )
                if sentence:
                    self._blame(place, f"{name}.<name>: the name {sentence}")
                return name, member
        known = (f"{name}.<name>" if kind == OPEN else name for name, kind in self._fields.items())
        self._blame(place, f"must be one of {', '.join(known)}")
        return "", ""

    def _check(self, operator: str, value: object, place: Place) -> None:
        if operator == "exists":
            if not isinstance(value, bool):
                self._blame(place, "must be true or false")
        elif operator == "in":
            self._check_values(value, place)
        elif operator == "prefix" and not isinstance(value, str):
            self._blame(place, "must be a text")
        elif operator in ("gt", "lt") and (
            isinstance(value, bool) or not isinstance(value, str | int | float)
        ):
            self._blame(place, "must be a number or a text")
        else:
            self._check_value(value, place)

    def _check_values(self, values: object, place: Place) -> None:
        if not isinstance(values, list) or not 1 <= len(values) <= MOST_VALUES:
            self._blame(place, f"must be a list of 1 to {MOST_VALUES} values")
            return
        before, self._values = self._values, self._values + len(values)
        if before <= MOST_VALUES_IN_ALL < self._values:
            self._blame((), f"has more than {MOST_VALUES_IN_ALL} values in its lists")
        for number, value in enumerate(values):
            self._check_value(value, (*place, number))

    def _check_value(self, value: object, place: Place) -> None:
        if value is None:
            self._blame(place, 'is null, which equals nothing; "exists": false finds those without a value')
        elif sentence := complaint(value):
            self._blame(place, sentence)

    def _blame(self, place: Place, sentence: str) -> None:
        self.errors.append({"loc": place, "msg": sentence})
