"""Filters as somebody writes them in JSON: conditions joined by all, any and not, read with all that is wrong in them.

    {"all": [CONDITION, {"not": CONDITION}]}

What a condition is about, and what it means, says each kind of filter: `lib/filters.py`, `lib/payload_filters.py`.
"""

import abc
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from clarion.lib.comparable import complaint, complaint_of_text
from clarion.lib.problems import FieldError

Place = tuple[str | int, ...]
Subject = TypeVar("Subject")
Part = TypeVar("Part")

# Of all lists of a filter together: SQLite takes 32,766 values in a statement.
MOST_VALUES_IN_ALL = 10_000


class BadFilter(ValueError):
    """This is no filter. `errors` say where and why, all of them."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in errors))
        self.errors = errors


class Reader(abc.ABC, Generic[Subject, Part]):
    """Goes through a value, and goes on behind what is wrong, so that all of it is said at once.

    A subclass names its limits and the member that says what a condition is `about`, and makes the parts. One reads
    one filter.
    """

    deepest: ClassVar[int]
    most_conditions: ClassVar[int]
    most_values: ClassVar[int]
    longest_text: ClassVar[int]
    about: ClassVar[str]
    operators: ClassVar[Sequence[str]]

    def __init__(self) -> None:
        self.errors: list[FieldError] = []
        self._conditions = self._values = 0

    def read(self, raw: object) -> Part:
        """Return what this JSON value says.

        A list of conditions is never empty: nobody means everything by it, and a form that lost its conditions must
        not.

        :raises BadFilter:
        """
        found = self._read(raw, (), 1)
        if found is None or self.errors:
            raise BadFilter(self.errors)
        return found

    @abc.abstractmethod
    def every(self, parts: tuple[Part, ...]) -> Part: ...

    @abc.abstractmethod
    def some(self, parts: tuple[Part, ...]) -> Part: ...

    @abc.abstractmethod
    def negated(self, part: Part) -> Part: ...

    @abc.abstractmethod
    def subject(self, raw: object, place: Place) -> Subject:
        """Return what a condition is about; whatever it is where that was blamed."""

    @abc.abstractmethod
    def condition(self, subject: Subject, operator: str, value: Any, place: Place) -> Part:
        """Return the condition; there is nothing wrong with it."""

    def check(self, operator: str, value: object, place: Place) -> None:
        """Blame what is wrong with the value of an operator."""
        if operator == "exists":
            if not isinstance(value, bool):
                self.blame(place, "must be true or false")
        elif operator == "in":
            self._check_values(value, place)
        elif operator == "prefix" and not isinstance(value, str):
            self.blame(place, "must be a text")
        else:
            self.check_value(value, place)

    def check_value(self, value: object, place: Place) -> None:
        """Blame what cannot be compared."""
        if value is None:
            self.blame(place, 'is null, which equals nothing; "exists": false finds those without a value')
            return
        if sentence := self._complaint(value):
            self.blame(place, sentence)

    def blame(self, place: Place, sentence: str) -> None:
        self.errors.append({"loc": place, "msg": sentence})

    def _read(self, raw: object, place: Place, depth: int) -> Part | None:
        if not isinstance(raw, dict) or depth > self.deepest:
            wanted = f"must be an object: all, any, not, or a condition on a {self.about}"
            self.blame(place, f"is nested deeper than {self.deepest}" if isinstance(raw, dict) else wanted)
            return None
        joint = next((name for name in ("all", "any", "not") if name in raw), None)
        if joint is None:
            return self._condition(raw, place)
        for name in raw:
            if name != joint:
                self.blame((*place, name), f"stands beside {joint!r}, which stands alone")
        if joint == "not":
            part = self._read(raw[joint], (*place, joint), depth + 1)
            return None if part is None else self.negated(part)
        parts = tuple(self._parts(raw[joint], (*place, joint), depth + 1))
        return self.every(parts) if joint == "all" else self.some(parts)

    def _parts(self, raw: object, place: Place, depth: int) -> Iterator[Part]:
        if not isinstance(raw, list) or not raw:
            self.blame(place, "must be a list of one or more conditions; without any, leave the filter out")
            return
        if len(raw) > self.most_conditions:
            self.blame(place, f"must have at most {self.most_conditions} conditions")
            return
        for number, each in enumerate(raw):
            part = self._read(each, (*place, number), depth)
            if part is not None:
                yield part

    def _condition(self, raw: dict[str, Any], place: Place) -> Part | None:
        before = len(self.errors)
        self._conditions += 1
        if self._conditions == self.most_conditions + 1:
            self.blame((), f"has more than {self.most_conditions} conditions")
        names = ", ".join(self.operators)
        for name in raw:
            if name != self.about and name not in self.operators:
                self.blame((*place, name), f"There is no such member; there are {self.about}, {names}.")
        given = [name for name in raw if name in self.operators]
        if len(given) != 1:
            self.blame(place, f"must have exactly one of {names}, and a {self.about}")
        for operator in given:
            self.check(operator, raw[operator], (*place, operator))
        subject = self.subject(raw.get(self.about), (*place, self.about))
        if len(self.errors) > before:
            return None
        return self.condition(subject, given[0], raw[given[0]], place)

    def _complaint(self, value: object) -> str | None:
        if isinstance(value, str):
            return complaint_of_text(value, self.longest_text)
        return complaint(value)

    def _check_values(self, values: object, place: Place) -> None:
        if not isinstance(values, list) or not 1 <= len(values) <= self.most_values:
            self.blame(place, f"must be a list of 1 to {self.most_values} values")
            return
        before, self._values = self._values, self._values + len(values)
        if before <= MOST_VALUES_IN_ALL < self._values:
            self.blame((), f"has more than {MOST_VALUES_IN_ALL} values in its lists")
        for number, value in enumerate(values):
            self.check_value(value, (*place, number))
