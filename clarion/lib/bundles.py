"""Bodies that bring one thing or many: a JSON value, an array, or a value in each line; packed with gzip or not.

Each thing is read on its own terms: one that no program can keep is named, and the others are still good. How long it
is and how much is in it is looked at before anything is built of it, so what is built stays a small multiple of the body.
"""

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from clarion.lib import keepable, strict_json
from clarion.lib.json_ends import Ends, signs_beyond
from clarion.lib.keepable import DEEPEST, MOST_VALUES, Odd, read_plain
from clarion.lib.problems import FieldError

JSON, LINES = "application/json", "application/x-ndjson"
# Members and elements in all things of a body together: each takes up to 200 bytes of memory. Events of 16 MiB have
# about half of it.
MOST_IN_ALL = 1_000_000
# An array of so many signs is read as a whole: 10,000 usual events have 150,000. More, and they are read one by one.
_MOST_AT_ONCE = 400_000
# Programs that pack in parallel begin a member with every 64 KiB or more, so 16 MiB have 256.
MOST_MEMBERS = 1_000
# How much is handed to the unpacker at once.
_PIECE = 64 * 1024
_GZIP = 31  # gzip with its header and its checksum, as zlib has it
_BLANK = " \t\r\n"
_EMPTY = re.compile(r"[ \t\r\n]*+\[[ \t\r\n]*+\][ \t\r\n]*+")
_LINE = re.compile(r"[^ \t\r\n][^\n]*+")
# NUL and half a character come as escapes only, so a look at the text spares one at each string in it.
_RISKY = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")


class TooLong(Exception):
    """There is more than may be, once unpacked or counted. Of one thing among many: it has too many bytes."""


class NotReadable(ValueError):
    """This is no JSON, or no gzip; the message says what it is instead."""


class TooDeep(NotReadable):
    """It is nested too deeply."""


class NotKeepable(ValueError):
    """This is JSON, and nothing can keep it; `errors` say what of it, each with the way to it."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__()
        self.errors = errors


class TooMany(NotKeepable):
    """It has too many members and elements."""


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
    """Return what is in a body of JSON, or of lines of JSON. A line of more than `longest` bytes stands as `TooLong`.

    How long an element of an array is, its JSON says that is kept; blanks between its members do not count.

    :raises TooLong: there are more than `most` things in it, or MOST_IN_ALL members and elements, or it is one alone
        of more than `longest` bytes
    :raises NotReadable: it is no JSON as a whole
    """
    try:
        # RFC 8259 knows UTF-8 only; bytes would be guessed at.
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotReadable(str(error)) from error
    if is_lines:
        spans = [found.span() for found in islice(_LINE.finditer(text), most + 1)]
        if len(spans) > most:
            raise TooLong
        lines = (text[begin:end] for begin, end in spans)
        cut = (line if _size(line) <= longest else TooLong() for line in lines)
        return Bundle(_each(cut, _signs(text)), is_many=True)
    is_many = text.lstrip(_BLANK).startswith("[")
    if not is_many:
        if len(body) > longest:
            raise TooLong
        return Bundle([_thing(text)], is_many=False)
    things = _elements(text, most, longest)
    if len(things) > most:
        raise TooLong
    return Bundle(things, is_many=True)


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _signs(text: str) -> int:
    """Return how many members and elements there are at most, beside one for each thing."""
    return text.count(",") + text.count("[") + text.count("{")


def _elements(text: str, most: int, longest: int) -> list[Any]:
    """Return the elements of an array; where it cannot be read as one, each by itself.

    :raises TooLong: there are more than `most`
    :raises NotReadable: where the array ends cannot be told
    """
    if _EMPTY.fullmatch(text):
        return []
    signs = _signs(text)
    if signs <= _MOST_AT_ONCE:
        try:
            things = list(read_plain(text))
            if len(things) > most:
                raise TooLong
            return _kept(text, things)
        except (RecursionError, ValueError):
            pass  # Some of it is odd.
    return _each(islice(_one_by_one(text, longest), most + 1), signs)


def _one_by_one(text: str, longest: int) -> Iterator[str]:
    """Give the texts of an array's elements."""
    at = text.index("[") + 1
    ends = Ends(text, longest)
    while True:
        end = ends.of_element(at)
        if end is None:
            raise NotReadable("the array is not closed, or too much of it cannot be read")
        yield text[at:end]
        at = end + 1
        if text[end] == "]":
            if text[at:].strip(_BLANK):
                raise NotReadable("something stands behind the array")
            return


def _each(texts: Iterable[str | TooLong], signs: int) -> list[Any]:
    """Return what each text says, or why it says nothing; `signs` stand in all of them together.

    :raises TooLong: there is too much in all of them together
    """
    things: list[Any] = []
    left = MOST_IN_ALL
    for text in texts:
        thing = text if isinstance(text, TooLong) else _thing(text)
        if signs > MOST_IN_ALL:
            left -= _count(thing)
        if left < 0:
            raise TooLong
        things.append(thing)
    return things


def _count(thing: Any) -> int:
    """Return how many values count for all things: of what has too many, as many as may be, for the look at it."""
    if isinstance(thing, TooMany):
        return MOST_VALUES
    return keepable.count((thing,)) if isinstance(thing, dict | list) else 0


def _thing(text: str) -> Any:
    depth = signs_beyond(text, MOST_VALUES)
    if depth is not None:
        return _too_deep() if depth > DEEPEST else TooMany([{"loc": (), "msg": keepable.TOO_MANY}])
    try:
        return _kept(text, [read_plain(text)])[0]
    except (RecursionError, ValueError):
        return _odd_thing(text)


def _kept(text: str, things: list[Any]) -> list[Any]:
    """Return the things that this text said, if all of them can be kept.

    :raises Odd: one of them wants a closer look
    """
    if _RISKY.search(text) or any(keepable.count((thing,)) > MOST_VALUES for thing in things):
        raise Odd
    return things


def _odd_thing(text: str) -> Any:
    """Return what a text says, or what is wrong with it, in every detail."""
    try:
        thing = strict_json.read(text)
    except RecursionError:
        return _too_deep()
    except ValueError as error:
        return NotReadable(str(error))
    errors = keepable.complaints(thing)
    return NotKeepable(errors) if errors else thing


def _too_deep() -> TooDeep:
    return TooDeep(f"nested more than {DEEPEST} levels deep")
