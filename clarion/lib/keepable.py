"""What every database, and nearly every program, can keep of what JSON can say; and what is wrong with the rest."""

from collections.abc import Collection, Iterator
from math import isfinite
from typing import Any

from clarion.lib import strict_json
from clarion.lib.comparable import complaint_of_text
from clarion.lib.problems import FieldError

# A program that reads events nests a handful of levels; Python's own reader goes to about 1,000.
DEEPEST = 32
# Members and elements in one thing, at all levels: an order of 200 entries has about 3,000.
MOST_VALUES = 10_000
TOO_MANY = f"must have at most {MOST_VALUES} members and elements in all"
# Counted for what cannot be kept: more than may be.
_ODD = MOST_VALUES + 1
# Whole numbers that every database and nearly every language keeps: 64 bits.
LARGEST = 2**63 - 1
# Whoever mends what 20 of them name has understood. One more says that there are others.
MOST_COMPLAINTS = 20
# Of a name, in the way to what is wrong; attributes have at most 64 characters.
_LONGEST_NAMED = 100

Way = tuple[str | int, ...]


class Odd(ValueError):
    """This is not as nearly everything is: it wants a closer look."""


def complaints(value: Any) -> list[FieldError]:
    """Return what cannot be kept of it, each with the way to it, where long names are cut; at most 21 of them."""
    found: list[FieldError] = []
    for values, (way, each) in enumerate(_walk(value), 1):
        if values > MOST_VALUES:
            return [{"loc": (), "msg": TOO_MANY}]
        if sentence := _complaint(way, each):
            found.append({"loc": way, "msg": sentence})
        elif isinstance(each, dict) and any("\0" in name for name in each):
            found.append({"loc": way, "msg": "the name of a member holds a NUL"})
        if len(found) > MOST_COMPLAINTS:
            found[-1] = {"loc": (), "msg": "there is more that cannot be kept"}
            break
    return found


def count(things: Collection[Any], depth: int = 0) -> int:
    """Return how many values there are at all levels; more than may be, where they are nested too deeply."""
    found = len(things)
    for thing in things:
        if isinstance(thing, dict):
            found += count(thing.values(), depth + 1)
        elif isinstance(thing, list):
            found += count(thing, depth + 1)
    return found if depth <= DEEPEST or not found else _ODD


def _walk(value: Any) -> Iterator[tuple[Way, Any]]:
    """Give it and what is in it at all levels that may be, each with the way to it."""
    yield (), value
    waiting: list[tuple[Way, Any]] = [((), value)]
    while waiting:
        way, each = waiting.pop()
        members = (
            each.items() if isinstance(each, dict) else enumerate(each) if isinstance(each, list) else ()
        )
        for name, member in members:
            to_it = (*way, name[:_LONGEST_NAMED] if isinstance(name, str) else name)
            yield to_it, member
            if isinstance(member, dict | list) and len(to_it) < DEEPEST:
                waiting.append((to_it, member))


def _complaint(way: Way, value: Any) -> str | None:
    if isinstance(value, str):
        return complaint_of_text(value, len(value))
    if isinstance(value, float) and not isfinite(value):
        return "must be a number that fits into a double"
    if isinstance(value, int) and not -LARGEST <= value <= LARGEST:
        return f"must be a number from -{LARGEST} to {LARGEST}"
    if isinstance(value, dict | list) and value and len(way) >= DEEPEST:
        return f"must not be nested more than {DEEPEST} levels deep"
    return None


def _whole(digits: str) -> int:
    number = int(digits)
    if not -LARGEST <= number <= LARGEST:
        raise Odd
    return number


def _double(digits: str) -> float:
    number = float(digits)
    if not isfinite(number):
        raise Odd
    return number


# Reads what can be kept, and nearly nothing else, in a third of the time of a full look.
read_plain = strict_json.reader(parse_int=_whole, parse_float=_double)
