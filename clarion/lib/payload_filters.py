"""Conditions over a decoded JSON document, as somebody writes them in JSON: what they may be, and what they mean.

    {"all": [{"path": "payload.price.amount", "range": {"lt": 50}}, {"not": {"path": "key.test", "exists": true}}]}

What a filter looks like, and how it is blamed, is as in `lib/filters.py`. What equals what is not, because nobody
said what these members are: 1112 and "1112" are one, and the case of letters counts.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from operator import ge, gt, le, lt
from typing import Any, NamedTuple

from clarion.lib.comparable import complaint_of_text
from clarion.lib.filter_reading import BadFilter as BadFilter
from clarion.lib.filter_reading import Place, Reader

# Far more than anybody reads. Addresses and descriptions are compared, documents are not.
DEEPEST, MOST_CONDITIONS, MOST_VALUES, LONGEST_TEXT = 8, 100, 200, 1_000
# Names in a path: as deep as an event may be nested.
LONGEST_PATH = 32
OPERATORS = ("equals", "in", "prefix", "range", "exists")
LOWER, UPPER = ("gt", "gte"), ("lt", "lte")
BOUNDS = {"gt": gt, "gte": ge, "lt": lt, "lte": le}
# So many elements of the lists on its path a condition looks at: takes 10 to 20 ms (measured).
MOST_ELEMENTS = 10_000
# What is shown of what a condition found: so many values, each with so many characters.
MOST_SHOWN, LONGEST_SHOWN = 5, 100

# As JSON writes numbers, without an exponent. What is longer is no amount of anything.
_NUMBER = re.compile(r"-?[0-9]{1,100}(?:\.[0-9]{1,100})?", re.ASCII)
# No text here has so many digits, and Python writes none of more than 4,300.
_LARGEST = 10**LONGEST_TEXT
_END = object()

Document = Mapping[str, Any]
Path = tuple[str, ...]
Test = Callable[[Any], bool]


class Failed(NamedTuple):
    """A condition because of which a document is not meant.

    `loc`: where it stands in the filter. `found`: the first values the document has there, as JSON, cut; none where
    it has none. `is_denied`: it is met, by these values, and a `not` around it wants that it is not.
    """

    loc: Place
    path: Path
    operator: str
    found: tuple[str, ...]
    is_denied: bool


@dataclass(frozen=True, slots=True)
class Filter:
    """What is asked of documents. Neither question raises, whatever JSON can say in a document.

    `matches`: whether a document is meant.
    """

    matches: Callable[[Document], bool]
    _root: "_Part"

    def explain(self, document: Document) -> list[Failed]:
        """Return the conditions because of which the document is not meant; none if and only if it is."""
        return self._root.blamed(document, wanted=True)


def compile(spec: object) -> Filter:
    """Return what this JSON value says.

    :raises BadFilter:
    """
    root = _Reader().read(spec)
    return Filter(root.holds, root)


class _Reader(Reader[Path, "_Part"]):
    deepest = DEEPEST
    most_conditions = MOST_CONDITIONS
    most_values = MOST_VALUES
    longest_text = LONGEST_TEXT
    about = "path"
    operators = OPERATORS

    def every(self, parts: "tuple[_Part, ...]") -> "_Part":
        return _Joint(_all([part.holds for part in parts]), parts, is_every=True)

    def some(self, parts: "tuple[_Part, ...]") -> "_Part":
        return _Joint(_any([part.holds for part in parts]), parts, is_every=False)

    def negated(self, part: "_Part") -> "_Part":
        holds = part.holds
        return _Not(lambda document: not holds(document), part)

    def condition(self, subject: Path, operator: str, value: Any, place: Place) -> "_Part":
        passes = _test(operator, value)
        wanted = value if operator == "exists" else True
        return _Condition(_holds(subject, passes, wanted=wanted), passes, subject, operator, place)

    def subject(self, raw: object, place: Place) -> Path:
        names = raw.split(".") if isinstance(raw, str) else raw
        if (
            not isinstance(names, list)
            or not all(isinstance(name, str) and name for name in names)
            or not names
        ):
            self.blame(place, 'must be names with dots between, such as "payload.price", or a list of names')
            return ()
        if len(names) > LONGEST_PATH:
            self.blame(place, f"must have at most {LONGEST_PATH} names")
        elif sentence := complaint_of_text(".".join(names), LONGEST_TEXT):
            self.blame(place, sentence)
        return tuple(names)

    def check(self, operator: str, value: object, place: Place) -> None:
        if operator == "range":
            self._check_range(value, place)
        else:
            super().check(operator, value, place)

    def _check_range(self, raw: object, place: Place) -> None:
        names = ", ".join(BOUNDS)
        if not isinstance(raw, dict) or not raw:
            self.blame(place, f"must be an object with one or two of {names}")
            return
        before = len(self.errors)
        for name, bound in raw.items():
            if name not in BOUNDS:
                self.blame((*place, name), f"There is no such member; there are {names}.")
            elif _number(bound) is None:
                self.blame((*place, name), 'must be a number, or a text such as "12.50"')
        for first, second in (LOWER, UPPER):
            if first in raw and second in raw:
                self.blame((*place, second), f"stands beside {first!r}: one of the two")
        if len(self.errors) == before and _is_empty(raw):
            self.blame(place, "has nothing in it: it ends before it begins")


class _Joint(NamedTuple):
    holds: Callable[[Document], bool]
    parts: "tuple[_Part, ...]"
    is_every: bool

    def blamed(self, document: Document, *, wanted: bool) -> list[Failed]:
        found = [part.blamed(document, wanted=wanted) for part in self.parts]
        # Where one part is enough, and is as wanted, the others are not to blame.
        if self.is_every is not wanted and not all(found):
            return []
        return [each for failed in found for each in failed]


class _Not(NamedTuple):
    holds: Callable[[Document], bool]
    part: "_Part"

    def blamed(self, document: Document, *, wanted: bool) -> list[Failed]:
        return self.part.blamed(document, wanted=not wanted)


class _Condition(NamedTuple):
    holds: Callable[[Document], bool]
    passes: Test
    path: Path
    operator: str
    loc: Place

    def blamed(self, document: Document, *, wanted: bool) -> list[Failed]:
        if self.holds(document) is wanted:
            return []
        values = _values(document, self.path)
        # Of many elements those are to blame that met what was not to be met.
        to_blame = values if wanted else filter(self.passes, values)
        found = tuple(map(_shown, islice(to_blame, MOST_SHOWN)))
        return [Failed(self.loc, self.path, self.operator, found, is_denied=not wanted)]


_Part = _Joint | _Not | _Condition


def _all(tests: list[Callable[[Document], bool]]) -> Callable[[Document], bool]:
    return lambda document: all(test(document) for test in tests)


def _any(tests: list[Callable[[Document], bool]]) -> Callable[[Document], bool]:
    return lambda document: any(test(document) for test in tests)


def _holds(path: Path, passes: Test, *, wanted: bool) -> Callable[[Document], bool]:
    """Return whether it is so, as wanted, that a document has a value there that passes."""

    def holds(document: Document) -> bool:
        for value in _values(document, path):
            if passes(value):
                return wanted
        return not wanted

    return holds


def _test(operator: str, operand: Any) -> Test:
    if operator == "exists":
        return lambda value: True
    if operator == "range":
        return _between(operand)
    if operator == "prefix":
        return lambda value: isinstance(text := _one(value), str) and text.startswith(operand)
    wanted = frozenset(map(_one, operand if operator == "in" else [operand]))
    return lambda value: _one(value) in wanted


def _between(bounds: Mapping[str, Any]) -> Test:
    tests = [(BOUNDS[name], Decimal(_number(bound) or 0)) for name, bound in bounds.items()]

    def is_between(value: Any) -> bool:
        number = _number(value)
        if number is None:
            return False
        for compare, bound in tests:  # noqa: SIM110 - a generator would take twice the time
            if not compare(number, bound):
                return False
        return True

    return is_between


def _is_empty(bounds: Mapping[str, Any]) -> bool:
    low, high = (
        next((_number(bounds[name]) for name in names if name in bounds), None) for names in (LOWER, UPPER)
    )
    if low is None or high is None:
        return False
    return low > high or (low == high and ("gt" in bounds or "lt" in bounds))


def _one(value: Any) -> Any:
    """Return what is the same for values that are one: a text for a text and for a whole number, None for objects."""
    if isinstance(value, str) or value is True or value is False:
        return value
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else value
    return str(value) if isinstance(value, int) and abs(value) < _LARGEST else None


def _number(value: Any) -> Decimal | int | None:
    """Return the number that a value is or says, exactly as it is written."""
    if isinstance(value, str):
        return Decimal(value) if _NUMBER.fullmatch(value) else None
    if isinstance(value, float):
        # The shortest digits, not the binary fraction: 0.1 is 0.1.
        return Decimal(repr(value)) if math.isfinite(value) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _values(document: Document, path: Path) -> Iterable[Any]:
    """Give what stands there; of a list, on the way or at the end, any element. Null is nothing."""
    value = document.get(path[0])
    for place in range(1, len(path)):
        if not isinstance(value, dict):
            return _elements(value, path, place) if isinstance(value, list) else ()
        value = value.get(path[place])
    if isinstance(value, list):
        return _elements(value, path, len(path))
    return () if value is None else (value,)


def _elements(values: list[Any], path: Path, place: int) -> Iterator[Any]:
    # Not by recursion: lists in lists may go deeper than the interpreter does.
    waiting = [(iter(values), place)]
    for _ in range(MOST_ELEMENTS):
        each, place = waiting[-1]
        while (value := next(each, _END)) is _END:
            waiting.pop()
            if not waiting:
                return
            each, place = waiting[-1]
        while place < len(path) and isinstance(value, dict):
            value = value.get(path[place])
            place += 1
        if isinstance(value, list):
            waiting.append((iter(value), place))
        elif place == len(path) and value is not None:
            yield value


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "{…}"
    text = json.dumps(value[: LONGEST_SHOWN + 1] if isinstance(value, str) else value, ensure_ascii=False)
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"
