"""Records out of a piece of a file: CSV (RFC 4180) and one JSON object a line. Bounded, whatever the file holds.

A piece is cut anywhere; what is taken from it ends between two records, so that reading can go on from there in
another process. A record that cannot be read costs itself and no other.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

# A client is a few hundred bytes; the longest that can be, fifty long attributes with every letter written as \u0001,
# is 100,000. Longer is a quote that nobody closes, or no such file at all.
LONGEST_RECORD = 131_072
# A piece of this length holds at least one whole record, or the beginning of one that is too long.
LEAST_PIECE = 2 * LONGEST_RECORD

CSV, NDJSON = "csv", "ndjson"

# How the reader of Python says it, and how we do.
_REASONS = {
    "unexpected end of data": "a quote is opened and never closed",
    "expected after": "there is text behind a closing quote",
    "new-line character": "a carriage return stands inside the line",
}
TOO_LONG = f"longer than {LONGEST_RECORD} bytes; only its beginning is kept"


@dataclass(frozen=True, slots=True)
class Form:
    """How a file is written: its format, the encoding by its Python name, and for CSV delimiter and line end."""

    format: str = CSV
    encoding: str = "utf-8"
    delimiter: str = ","
    line_end: str = "\n"

    @property
    def codec(self) -> str:
        """The encoding of what is kept: UTF-16 is kept as UTF-8, because only there an end of line is one byte."""
        return "utf-8" if self.encoding in ("utf-8-sig", "utf-16") else self.encoding


class Record(NamedTuple):
    """One record: the number of its first line in the piece (from 0), its bytes without the line end, its cells.

    One of a JSON file has one cell, its text. `why` says what is wrong; such a record has no cells.
    """

    line: int
    raw: bytes
    cells: Sequence[str]
    why: str = ""


class Taken(NamedTuple):
    """What came out of a piece: records, how many bytes and lines of it they (and blank lines) took up.

    `is_inside`: it ends within a line that is too long, the beginning of which is among the records.
    """

    records: list[Record]
    bytes: int
    lines: int
    is_inside: bool = False


def take(piece: bytes, form: Form, *, most: int, is_end: bool, is_inside: bool = False) -> Taken:
    """Take up to `most` records from the beginning of a piece; nothing follows it when `is_end`.

    Where more follows, nothing may come of a piece shorter than LEAST_PIECE. `is_inside` as the piece before said.
    Blank lines, and rows of empty cells, are passed over.
    """
    end = form.line_end.encode()
    skipped = 0
    if is_inside:
        skipped = piece.find(end) + 1
        if not skipped:
            return Taken([], len(piece), 0, not is_end)
    lines = piece[skipped:].split(end)
    rest = b"" if is_end else lines.pop()
    if not lines and len(rest) > LONGEST_RECORD:
        beginning = Record(int(bool(skipped)), rest[:LONGEST_RECORD], (), TOO_LONG)
        return Taken([beginning], len(piece), int(bool(skipped)), True)
    read = _read_csv if form.format == CSV else _read_lines
    records, used = read(lines, form, most, None if is_end else len(rest))
    size = min(skipped + sum(map(len, lines[:used])) + used, len(piece))
    if skipped:
        records = [record._replace(line=record.line + 1) for record in records]
    return Taken(records, size, used + bool(skipped))


def _read_lines(lines: list[bytes], form: Form, most: int, rest: int | None) -> tuple[list[Record], int]:
    texts, broken = _texts(lines, form)
    records: list[Record] = []
    for number, raw in enumerate(lines):
        if len(records) == most:
            return records, number
        if not raw.strip():
            continue
        why = TOO_LONG if len(raw) > LONGEST_RECORD else _not_valid(form) if number in broken else ""
        records.append(Record(number, raw[:LONGEST_RECORD], () if why else (texts[number],), why))
    return records, len(lines)


def _read_csv(lines: list[bytes], form: Form, most: int, rest: int | None) -> tuple[list[Record], int]:
    """`rest`: how many bytes of the next line are there already; None when there is none."""
    texts, broken = _texts(lines, form)
    feed = _Feed(texts, lines)
    reader = csv.reader(feed, delimiter=form.delimiter, strict=True)
    records: list[Record] = []
    while feed.at < len(lines) and len(records) < most:
        start, feed.room, why, cells = feed.at, LONGEST_RECORD, "", []
        if len(lines[start]) > LONGEST_RECORD:
            why, feed.at = TOO_LONG, start + 1
        else:
            try:
                cells = next(reader)
            except csv.Error as error:
                read = LONGEST_RECORD - feed.room
                if feed.at == len(lines) and rest is not None and read + rest <= LONGEST_RECORD:
                    return records, start
                # What follows may be good: only the first line of what cannot be read is refused.
                why, feed.at = _reason(error), start + 1
                reader = csv.reader(feed, delimiter=form.delimiter, strict=True)
            if not why and broken and not broken.isdisjoint(range(start, feed.at)):
                why = _not_valid(form)
        if why:
            raw = form.line_end.encode().join(lines[start : feed.at])
            records.append(Record(start, raw[:LONGEST_RECORD], (), why))
        elif any(map(str.strip, cells)):
            raw = (
                lines[start] if feed.at == start + 1 else form.line_end.encode().join(lines[start : feed.at])
            )
            records.append(Record(start, raw, cells))
    return records, feed.at


class _Feed:
    """The lines of a piece for the reader, which takes as many as a record has; no more than `room` bytes."""

    def __init__(self, texts: list[str], lines: list[bytes]) -> None:
        self._texts, self._lines = texts, lines
        self.at = 0
        self.room = 0

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        at = self.at
        if at == len(self._texts):
            raise StopIteration
        self.room -= len(self._lines[at]) + 1
        if self.room < -1:
            raise StopIteration
        self.at = at + 1
        return self._texts[at] + "\n"


def _texts(lines: list[bytes], form: Form) -> tuple[list[str], set[int]]:
    """Return the lines as texts, and which of them are no valid texts."""
    try:
        texts = b"\n".join(lines).decode(form.codec).split("\n")
        if len(texts) == len(lines):
            return texts, set()
    except UnicodeDecodeError:
        pass
    texts, broken = [], set()
    for number, line in enumerate(lines):
        try:
            texts.append(line.decode(form.codec))
        except UnicodeDecodeError:
            broken.add(number)
            texts.append(line.decode(form.codec, errors="replace"))
    return texts, broken


def _not_valid(form: Form) -> str:
    return f"not valid {form.codec.upper()}"


def _reason(error: csv.Error) -> str:
    said = str(error)
    return next((ours for theirs, ours in _REASONS.items() if theirs in said), said)
