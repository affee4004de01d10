"""Bodies that bring one thing or many: a JSON value, an array, or a value in each line; packed with gzip or not.

Each thing is read on its own terms: one that no program can keep is named, and the others are still good. Limits
are looked at before anything is built from what was sent.
"""

import re
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from math import isfinite
from typing import Any

from clarion.lib import strict_json
from clarion.lib.comparable import complaint_of_text
from clarion.lib.problems import FieldError

JSON, LINES = "application/json", "application/x-ndjson"
# A program that reads events nests a handful of levels; Python's own reader goes to about 1,000.
DEEPEST = 32
# Members and elements in one thing, at all levels: an order of 200 entries has about 3,000.
MOST_VALUES = 10_000
# Counted for what cannot be kept: more than may be.
_ODD = MOST_VALUES + 1
# Whole numbers that every database and nearly every language keeps: 64 bits.
LARGEST = 2**63 - 1
# Programs that pack in parallel begin a member with every 64 KiB or more, so 16 MiB have 256.
MOST_MEMBERS = 1_000
# How much is handed to the unpacker at once.
_PIECE = 64 * 1024
_GZIP = 31  # gzip with its header and its checksum, as zlib has it
# Brackets, commas and texts that are looked through for the ends of what cannot be read; takes about half a second.
MOST_TOKENS = 1_000_000
# A text that is not closed goes to the end: looked for again behind each quote in it, it would take the square of time.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)
_BLANK = " \t\r\n"
# NUL and half a character come as escapes only, so a look at the text spares one at each string in it.
_RISKY = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")


class TooLong(Exception):
    """There is more than may be, once unpacked or counted."""


class NotReadable(ValueError):
    """This is no JSON, or no gzip; the message says what it is instead."""


class TooDeep(NotReadable):
    """It is nested too deeply."""


class NotKeepable(ValueError):
    """This is JSON, and nothing can keep it; `errors` say what of it, each with the way to it."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__()
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Bundle:
    """What was in a body, in its order; what cannot be read or kept stands as its reason. `is_many`: it came as a list."""

    things: list[Any]
    is_many: bool


def unpack(body: bytes, most: int) -> bytes:
    """Return what gzip packed (RFC 1952; members that follow each other belong together).

    :raises TooLong: it would be more than `most` bytes; no more than these were ever held
    :raises NotReadable: it is no gzip, or its end is missing
    """
    parts, size, members = list[bytes](), 0, 0
    packed, view, at = zlib.decompressobj(_GZIP), memoryview(body), 0
    while at < len(view) or not packed.eof:
        if packed.eof:
            packed, members = zlib.decompressobj(_GZIP), members + 1
            if members >= MOST_MEMBERS:
                raise NotReadable(f"it has more than {MOST_MEMBERS} parts")
        if at == len(view):
            raise NotReadable("the end of the gzip is missing")
        # Piece by piece: whatever is behind the end of a member is copied.
        fed = view[at : at + _PIECE]
        try:
            parts.append(packed.decompress(fed, most + 1 - size))
        except zlib.error as error:
            raise NotReadable("it is not gzip, or it is damaged") from error
        at += len(fed) - len(packed.unused_data)
        size += len(parts[-1])
        if size > most:
            raise TooLong
    return b"".join(parts)


def read(body: bytes, *, is_lines: bool, most: int, longest: int) -> Bundle:
    """Return what is in a body of JSON, or of lines of JSON.

    :raises TooLong: there are more than `most` things in it, or it is one alone of more than `longest` bytes
    :raises NotReadable: it is no JSON as a whole
    """
    try:
        # RFC 8259 knows UTF-8 only; bytes would be guessed at.
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotReadable(str(error)) from error
    if is_lines:
        lines = [line for line in text.split("\n") if line.strip(_BLANK)]
        if len(lines) > most:
            raise TooLong
        return Bundle([_thing(line) for line in lines], is_many=True)
    is_many = text.lstrip(_BLANK).startswith("[")
    if not is_many:
        if len(body) > longest:
            raise TooLong
        return Bundle([_thing(text)], is_many=False)
    things = _elements(text, most)
    if len(things) > most:
        raise TooLong
    return Bundle(things, is_many=True)


def _complaints(value: Any) -> list[FieldError]:
    found: list[FieldError] = []
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    count = 0
    while waiting:
        way, each = waiting.pop()
        count += 1
        if sentence := _complaint(way, each):
            found.append({"loc": way, "msg": sentence})
        elif isinstance(each, dict):
            waiting += [((*way, name), member) for name, member in each.items()]
            found += [
                {"loc": way, "msg": "the name of a member holds a NUL"} for name in each if "\0" in name
            ]
        elif isinstance(each, list):
            waiting += [((*way, place), member) for place, member in enumerate(each)]
        if count + len(waiting) > MOST_VALUES:
            return [{"loc": (), "msg": f"must have at most {MOST_VALUES} members and elements in all"}]
    return found


def _complaint(way: tuple[str | int, ...], value: Any) -> str | None:
    if isinstance(value, str):
        return complaint_of_text(value, len(value))
    if isinstance(value, float) and not isfinite(value):
        return "must be a number that fits into a double"
    if isinstance(value, int) and not -LARGEST <= value <= LARGEST:
        return f"must be a number from -{LARGEST} to {LARGEST}"
    if isinstance(value, dict | list) and value and len(way) >= DEEPEST:
        return f"must not be nested more than {DEEPEST} levels deep"
    return None


def _thing(text: str) -> Any:
    """Return what a text says, or why it says nothing."""
    try:
        things = _kept(text, [_PLAIN(text)])
    except (_Odd, RecursionError, ValueError):
        things = [_odd_thing(text)]
    return things[0]


def _elements(text: str, most: int) -> list[Any]:
    """Return the elements of an array; where it cannot be read as one, each by itself.

    :raises TooLong: there are more than `most`
    :raises NotReadable: where the array ends cannot be told
    """
    if text.count(",") > MOST_TOKENS:
        # Too much to be read in vain: one by one, it ends where there are too many.
        return _one_by_one(text, most)
    try:
        things = list(_PLAIN(text))
        return _kept(text, things) if len(things) <= most else things[: most + 1]
    except (_Odd, RecursionError, ValueError):
        return _one_by_one(text, most)


def _one_by_one(text: str, most: int) -> list[Any]:
    """Return the elements of an array, at most one more than `most`; one that cannot be read stands as its reason."""
    things: list[Any] = []
    at = text.index("[") + 1
    if text[at:].strip(_BLANK) == "]":
        return things
    tokens = _Tokens(text)
    while len(things) <= most:
        try:
            thing, end = strict_json.read_one(text, at)
            thing = _looked_at(thing)
        except (RecursionError, ValueError):
            thing, end = None, len(text)
        if text[end : end + 1] not in (",", "]"):
            end = tokens.end_of_element(at)
            thing = _odd_thing(text[at:end])
        things.append(thing)
        at = end + 1
        if text[end] == "]":
            if text[at:].strip(_BLANK):
                raise NotReadable("something stands behind the array")
            break
    return things


def _kept(text: str, things: list[Any]) -> list[Any]:
    """Return the things that this text said, if all of them can be kept.

    :raises _Odd: one of them wants a closer look
    """
    if _RISKY.search(text) or any(_count((thing,), 0) > MOST_VALUES for thing in things):
        raise _Odd
    return things


def _count(things: Collection[Any], depth: int) -> int:
    """Return how many values there are at all levels; more than may be, where they are nested too deeply."""
    count = len(things)
    for thing in things:
        if isinstance(thing, dict):
            count += _count(thing.values(), depth + 1)
        elif isinstance(thing, list):
            count += _count(thing, depth + 1)
    return count if depth <= DEEPEST or not count else _ODD


def _odd_thing(text: str) -> Any:
    """Return what a text says, or what is wrong with it, in every detail."""
    try:
        thing = strict_json.read(text)
    except RecursionError:
        return TooDeep(f"nested more than {DEEPEST} levels deep")
    except ValueError as error:
        return NotReadable(str(error))
    return _looked_at(thing)


def _looked_at(thing: Any) -> Any:
    errors = _complaints(thing)
    return NotKeepable(errors) if errors else thing


class _Odd(ValueError):
    """This is not as nearly everything is."""


def _whole(digits: str) -> int:
    number = int(digits)
    if not -LARGEST <= number <= LARGEST:
        raise _Odd
    return number


def _double(digits: str) -> float:
    number = float(digits)
    if not isfinite(number):
        raise _Odd
    return number


# Reads what can be kept, and nearly nothing else, in a third of the time of a full look.
_PLAIN = strict_json.reader(parse_int=_whole, parse_float=_double)


class _Tokens:
    """Finds where what cannot be read ends. That is slow work, so there is an end to how much of it is done."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._left = MOST_TOKENS

    def end_of_element(self, begin: int) -> int:
        """Return where the comma or the bracket stands that ends the element of an array.

        :raises NotReadable: there is none, or more would have to be looked through than is worth it
        """
        depth = 0
        for token in _TOKEN.finditer(self._text, begin):
            self._left -= 1
            if self._left < 0:
                raise NotReadable("too much of it cannot be read")
            sign = token[0]
            if depth == 0 and sign in ",]":
                return token.start()
            depth += (sign in "[{") - (sign in "]}")
            if depth < 0:
                break
        raise NotReadable("the array is not closed, or something stands behind it")
