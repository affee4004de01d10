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


class TooLong(Exception):
    """There is more than may be, once unpacked or counted."""


class NotReadable(ValueError):
    """This is no JSON, or no gzip; the message says what it is instead."""


class TooDeep(NotReadable):
    """It is nested too deeply."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What was in a body, in its order; what cannot be read stands as its reason. `is_many`: it came as a list."""

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
    return Bundle(_elements(text, most), is_many=True)


def complaints(value: Any) -> list[FieldError]:
    """Return what keeps a value that was read from being kept anywhere: each with the way to it."""
    # Nearly everything can be kept. To walk the ways to what cannot takes four times as long.
    return [] if _count([value], 0) <= MOST_VALUES else _complaints(value)


def _count(things: Collection[Any], depth: int) -> int:
    """Return how many values there are at all levels; more than may be, where one of them needs a closer look."""
    count = len(things)
    for thing in things:
        if isinstance(thing, str):
            is_plain = not ("\0" in thing or strict_json.is_broken(thing))
        elif isinstance(thing, dict | list):
            is_plain = (depth < DEEPEST or not thing) and "\0" not in _names(thing)
            if is_plain:
                count += _count(thing.values() if isinstance(thing, dict) else thing, depth + 1)
        else:
            is_plain = thing is None or -LARGEST <= thing <= LARGEST or _is_double(thing)
        if not is_plain:
            return _ODD
    return count


def _names(thing: Any) -> str:
    return "".join(thing) if isinstance(thing, dict) else ""


def _is_double(number: object) -> bool:
    return isinstance(number, float) and isfinite(number)


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
        return strict_json.read(text)
    except RecursionError:
        return TooDeep(f"nested more than {DEEPEST} levels deep")
    except ValueError as error:
        return NotReadable(str(error))


def _elements(text: str, most: int) -> list[Any]:
    """Return the elements of an array; one that cannot be read stands as its reason.

    :raises TooLong: there are more than `most`
    :raises NotReadable: where the array ends cannot be told
    """
    things: list[Any] = []
    at = text.index("[") + 1
    if text[at:].strip(_BLANK) == "]":
        return things
    tokens = _Tokens(text)
    while len(things) < most:
        try:
            thing, end = strict_json.read_one(text, at)
        except (ValueError, RecursionError):
            thing, end = None, -1
        if text[end : end + 1] not in (",", "]") or end < 0:
            end = tokens.end_of_element(at)
            thing = _thing(text[at:end])
        things.append(thing)
        at = end + 1
        if text[end] == "]":
            if text[at:].strip(_BLANK):
                raise NotReadable("something stands behind the array")
            return things
    raise TooLong


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
