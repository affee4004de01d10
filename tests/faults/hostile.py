"""Bodies that were made to break whoever reads them: each with what it may be answered.

For both doors of events: `plain(path)` is a good event, and most bodies are one with something odd in it.
"""

import gzip
import json
import zlib
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

PATHS: dict[str, dict[str, Any]] = {
    "/receive_event/": {
        "customer_id": "c-1",
        "event_type": "email_open",
        "timestamp": "2023-10-24T11:30:00",
        "email_id": 1,
    },
    "/api/v1/events": {"event_type": "PRODUCT", "entity_id": "p-1"},
}
LINES = "application/x-ndjson"
# The name of the odd member.
ODD = "odd"
REFUSED, TOO_LONG, NOT_TAKEN, KEPT = {400}, {413}, {415}, {201}
MIB = 1024 * 1024


class Hostile(NamedTuple):
    """What is sent, which statuses are right, and whether a refusal has to name the odd member."""

    body: bytes
    statuses: set[int]
    headers: dict[str, str] = {}
    names: bool = False


def with_odd(path: str, value: str) -> bytes:
    """A good event with one more member, whose value is this text."""
    return f'{json.dumps(PATHS[path])[:-1]}, "{ODD}": {value}}}'.encode()


# What stands as the value of the odd member: no JSON at all, or nothing that every program can keep.
NO_VALUES = {
    "NaN": "NaN",
    "infinity": "Infinity",
    "minus infinity": "-Infinity",
    "hexadecimal": "0x10",
    "octal": "01",
    "no whole part": ".5",
    "no fraction": "1.",
    "a plus": "+1",
    "underscores": "1_000",
    "a raw control character": '"\x01"',
    "a raw newline": '"\n"',
    "a broken escape": '"\\x41"',
    "half an escape": '"\\u00"',
    "a comma too many": "[1,]",
    "single quotes": "'a'",
    "a comment": "1 // one",
    "undefined": "undefined",
    "a member twice": '{"a": 1, "a": 2}',
    "a member twice, once escaped": '{"a": 1, "\\u0061": 2}',
    "a member twice, deep down": '[[{"b": [{"a": 1, "a": 1}]}]]',
    "half a surrogate pair as a name": '{"\\ud800": 1}',
    "5,000 digits": "9" * 5_000,
    "10,001 elements": "[" + "0," * 10_000 + "0]",
    "10,001 members": "{" + ",".join(f'"{n}": 0' for n in range(10_001)) + "}",
    "33 arrays": "[" * 33 + "]" * 33,
    "100,000 arrays": "[" * 100_000 + "]" * 100_000,
    "100,000 open arrays": "[" * 100_000,
    "100,000 open objects": '{"a":' * 100_000,
}
# And what is refused for the member that it is.
NAMED_VALUES = {
    "1e999": "1e999",
    "-1e400": "-1e400",
    "2 to the 63rd": str(2**63),
    "-2 to the 63rd, less one": str(-(2**63) - 1),
    "a NUL": '"\\u0000"',
    "a NUL as a name": '{"a\\u0000b": 1}',
    "half a surrogate pair": '"\\ud800"',
    "a pair the wrong way round": '"\\udc00\\ud800"',
}
GOOD_VALUES = {
    "the largest number": str(2**63 - 1),
    "1e308": "1e308",
    "a tiny number": "1e-400",
    "minus zero": "-0.0",
    "a pair of surrogates": '"\\ud83d\\ude00"',
    "names of Python's": '{"__class__": {"__init__": "os"}, "__proto__": {}}',
    "SQL": '"\'); DROP TABLE clarion_event; --"',
    "formats": '"%s%n%x{0}{{7*7}}${jndi:ldap://example.com}"',
    "directions": '"\\u202e\\u2066\\ufeff\\u2028"',
    "an empty name": '{"": 1}',
    "30 arrays": "[" * 30 + "]" * 30,
    "a long text": json.dumps("ß" * 100_000),
}
# What is no body of one event, whatever the door.
NO_BODIES = {
    "nothing": b"",
    "blanks": b" \r\n\t ",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "UTF-32": '{"a": 1}'.encode("utf-32"),
    "Latin-1": '{"a": "ß"}'.encode("latin-1"),
    "half a character": '{"a": "ß'.encode()[:-1],
    "an overlong slash": b'{"a": "\xc0\xaf"}',
    "surrogates as bytes": b'{"a": "\xed\xa0\x80"}',
    "a NUL byte": b"{}\x00",
    "two values": b"{}{}",
    "a text": b'"hello"',
    "a number": b"5",
    "null": b"null",
    "a megabyte of quotes": b'"' * (MIB - 1),
    "a text that is not closed": b'{"a": "' + b"\\" * (MIB - 20),
    "a megabyte of opening brackets": b"[" * MIB,
    "a megabyte of both brackets": b"[]" * (MIB // 2),
    "commas": b"[" + b"," * 1_000_000 + b"]",
    "arrays in an array": b"[" * 40 + b"]" * 40,
}
NO_TYPES = ("text/plain", "application/xml", "multipart/form-data; boundary=x", "x" * 5_000, "/", "*/*")
GOOD_TYPES = ("application/json", "APPLICATION/JSON; charset=utf-16", "application/json;;;", "")


def singles(path: str) -> Iterator[tuple[str, Hostile]]:
    """Bodies of one event, each with its name."""
    for name, text in NO_VALUES.items():
        yield name, Hostile(with_odd(path, text), REFUSED)
    for name, text in NAMED_VALUES.items():
        yield name, Hostile(with_odd(path, text), REFUSED, names=True)
    for name, text in GOOD_VALUES.items():
        yield name, Hostile(with_odd(path, text), KEPT)
    for name, body in NO_BODIES.items():
        # An array is a batch: what is wrong stands in its answer. One of a million nothings is too many.
        yield name, Hostile(body, {400, 207, 413})
    yield "a megabyte and more", Hostile(with_odd(path, json.dumps("x" * MIB)), TOO_LONG)
    for kind in NO_TYPES:
        yield f"type {kind[:20]}", Hostile(with_odd(path, "1"), NOT_TAKEN, {"Content-Type": kind})
    for kind in GOOD_TYPES:
        yield f"type {kind or 'none'}", Hostile(with_odd(path, "1"), KEPT, {"Content-Type": kind})
    for name, case in packed(path):
        yield f"packed: {name}", case


@cache
def _zipped(sign: bytes, times: int) -> bytes:
    """Packing takes longest, and is wanted for each path."""
    return gzip.compress(sign * times)


def packed(path: str) -> Iterator[tuple[str, Hostile]]:
    """Bodies that are, or claim to be, packed."""
    good = with_odd(path, "1")
    zipped = gzip.compress(good)
    arrays = with_odd(path, f"[{'[],' * 5_000_000}0]")
    numbers = with_odd(path, f"[{'1e999,' * 9_000}0]")
    bodies: dict[str, tuple[bytes, set[int]]] = {
        "well": (zipped, KEPT),
        "in two parts": (gzip.compress(good[:9]) + gzip.compress(good[9:]), KEPT),
        "a bomb": (_zipped(b"\0", 64 * MIB), TOO_LONG),
        "a bomb in parts": (_zipped(b"\0", MIB) * 64, TOO_LONG),
        "a bomb of brackets": (_zipped(b"[", 15 * MIB), {400, 413}),
        # Small where they lie, and hundreds of megabytes where they are read.
        "a bomb of arrays": (gzip.compress(b"[" + arrays + b"]"), {207}),
        "a bomb of numbers": (gzip.compress(b"[" + b",".join([numbers] * 300) + b"]"), {207}),
        "of nothing, 40,000 times": (gzip.compress(b"") * 40_000, REFUSED),
        "cut off": (zipped[:-9], REFUSED),
        "without its check sum": (zipped[:-8] + bytes(8), REFUSED),
        "twice": (gzip.compress(zipped), REFUSED),
        "not at all": (good, REFUSED),
        "another way": (zlib.compress(good), REFUSED),
        "with something behind it": (zipped + b"PK", REFUSED),
        "only a header": (zipped[:10], REFUSED),
        "nothing": (b"", REFUSED),
    }
    for name, (body, statuses) in bodies.items():
        yield name, Hostile(body, statuses, {"Content-Encoding": "gzip"})
    for name in ("gzip, gzip", "br", "deflate", "zstd", "gzip;q=1"):
        yield f"as {name!a}", Hostile(zipped, NOT_TAKEN, {"Content-Encoding": name})


def poisons(path: str) -> Iterator[tuple[str, bytes]]:
    """What stands as one of many in a batch: each is refused alone. No JSON that would end the array around it."""
    breaks = ("open", "comma", "comment")
    for name, text in {**NO_VALUES, **NAMED_VALUES}.items():
        if not any(word in name for word in breaks):
            yield name, with_odd(path, text)
    yield "no object", b"5"
    yield "a stranger", b'{"event_type": "?"}'
    yield "a megabyte and more", with_odd(path, json.dumps("x" * MIB))
