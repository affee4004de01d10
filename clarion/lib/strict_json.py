"""JSON read as RFC 8259 has it: what is ambiguous or no JSON at all is refused, where Python's own reader guesses."""

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

# What makes a number of its digits; None: Python's own.
Number = Callable[[str], Any] | None

_HALF_PAIR = re.compile("[\ud800-\udfff]")


def read(text: str) -> Any:
    """Return what the text says.

    :raises ValueError: no JSON, NaN or Infinity, a member named twice, a name that is not valid Unicode; the message
        says which, without more of the text than a name
    :raises RecursionError: nested more deeply than the interpreter goes
    """
    return _DECODER.decode(text)


def reader(*, parse_int: Number = None, parse_float: Number = None) -> Callable[[str], Any]:
    """Return a `read` to which numbers are what these make of their digits."""
    return _decoder(parse_int, parse_float).decode


def is_broken(text: str) -> bool:
    """Whether half of a surrogate pair is in the text: JSON can write it, and nothing can keep it."""
    return not text.isascii() and _HALF_PAIR.search(text) is not None


def _decoder(parse_int: Number = None, parse_float: Number = None) -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=_members,
        parse_constant=_no_constant,
        parse_int=parse_int,
        parse_float=parse_float,
    )


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ValueError(f"{twice[:100]!a} stands in it twice")
    # All names at once: an object has many, and hardly ever one that is broken.
    if is_broken("".join(members)):
        raise ValueError("the name of a member is not valid Unicode")
    return members


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


_DECODER = _decoder()
