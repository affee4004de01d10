"""How a file is written, guessed from a sample of it: format, encoding, delimiter, line end."""

import codecs
import csv
from collections import Counter
from collections.abc import Callable

from clarion.lib.records import CSV, LEAST_PIECE, NDJSON, Form, take

# A header, and a few hundred rows: what is still undecided after them is not decided by more.
SAMPLE = 65_536
# Comma, the semicolon of spreadsheets where the comma is in numbers, tab, and the bar of older systems.
DELIMITERS = (",", ";", "\t", "|")
# Records that are compared to find the delimiter.
COMPARED = 20

# What shops' files are written in, apart from UTF-8. Of all encodings together the guess would often be a rare one.
LIKELY = [
    "cp1252",
    "cp1251",
    "cp1250",
    "koi8_r",
    "cp866",
    "cp1253",
    "cp1254",
    "gb18030",
    "cp932",
    "big5",
    "cp949",
]
# One row in so many may be broken UTF-8; with more, it is something else.
BROKEN_SHARE = 10
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


class NoTable(ValueError):
    """The content is no table, and the sentence says what it seems to be."""


class Sample:
    """What is remembered of a file that passes by: its beginning, and the first lines with letters outside ASCII."""

    def __init__(self) -> None:
        self.head = b""
        self._foreign: list[bytes] = []
        self._room = SAMPLE
        self._cut = b""

    def add(self, piece: bytes) -> None:
        """Look at the next piece, wherever the one before it ended."""
        if len(self.head) < SAMPLE:
            self.head += piece[: SAMPLE - len(self.head)]
        if self._room > 0:
            whole, _, cut = (self._cut + piece.replace(b"\r", b"\n")).rpartition(b"\n")
            # What is longer than the sample is no line of a table.
            self._cut = cut if len(cut) < SAMPLE else b""
            self._keep(whole)

    @property
    def foreign(self) -> list[bytes]:
        """The lines with letters outside ASCII, when the whole file has passed by."""
        return self._foreign + ([] if self._cut.isascii() else [self._cut])

    def _keep(self, lines: bytes) -> None:
        if lines.isascii():
            return
        for line in lines.split(b"\n"):
            if self._room > 0 and not line.isascii():
                self._foreign.append(line[: self._room])
                self._room -= len(line)

    @property
    def mark(self) -> str:
        """The encoding that a mark at the very beginning names; empty without one."""
        return next((name for mark, name in _MARKS.items() if self.head.startswith(mark)), "")


def guess_format(head: bytes) -> str:
    """Say whether a file with this beginning is CSV or one JSON object a line.

    :raises NoTable: when it is neither
    """
    if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise NoTable("This is a workbook of a spreadsheet. Save it as CSV.")
    if head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"(\xb5/\xfd")):
        raise NoTable("This is compressed. Send it unpacked.")
    is_utf_16 = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    # Further on it is a broken cell.
    if not is_utf_16 and b"\x00" in head.partition(b"\n")[0]:
        raise NoTable("This is no text. CSV, or one JSON object a line, is read.")
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if start.startswith(b"["):
        raise NoTable("This is a JSON array. Send one object a line.")
    return NDJSON if start.startswith(b"{") else CSV


def guess_encoding(sample: Sample) -> str:
    """Return the encoding by its Python name: what a mark says, UTF-8 where that holds, else the likeliest."""
    if sample.mark:
        return sample.mark
    lines = sample.foreign
    if sum(map(_is_broken, lines)) * BROKEN_SHARE <= len(lines):
        return "utf-8"
    # Takes 40 ms to load, and most files are UTF-8.
    from charset_normalizer import from_bytes

    best = from_bytes(b"\n".join(lines), cp_isolation=LIKELY).best()
    return best.encoding if best else LIKELY[0]


def guess_csv(head: bytes, encoding: str, *, is_known: Callable[[str], bool]) -> Form:
    """Return how a CSV file with this beginning (as it is kept: see `Form.codec`) is written.

    `is_known` says which cells of a header the caller understands: where one delimiter makes more of them than the
    others, it is the one.
    """
    line_end = "\r" if b"\r" in head and b"\n" not in head else "\n"
    forms = [Form(CSV, encoding, delimiter, line_end) for delimiter in DELIMITERS]
    return max(forms, key=lambda form: _likelihood(head, form, is_known))


def _likelihood(head: bytes, form: Form, is_known: Callable[[str], bool]) -> tuple[int, float, int]:
    is_end = len(head) < SAMPLE
    # Cut off in a line: what is behind the last line end does not count.
    piece = head if is_end else head[: head.rfind(form.line_end.encode()) + 1] or head
    records = take(piece[:LEAST_PIECE], form, most=COMPARED, is_end=True).records
    widths = Counter(len(record.cells) for record in records)
    if not records or not records[0].cells:
        return 0, 0.0, 0
    width = len(records[0].cells)
    known = sum(is_known(cell) for cell in records[0].cells)
    return known, widths[width] / len(records) if width > 1 else 0.0, width


def is_encoding(name: str) -> bool:
    """Whether a name that somebody gave is that of an encoding of texts that can be read line by line.

    Those that spell letters by numbers are none: they can spell halves of letters. Nor are those in which ASCII is
    something else (EBCDIC), or that remember what came before (ISO 2022, hz): their lines cannot be told apart.
    """
    try:
        signs = b"a;\n\r\\u0041"
        is_ascii = signs.decode(name) == signs.decode("ascii") and signs.decode("ascii").encode(name) == signs
        return is_ascii and not codecs.lookup(name).name.startswith(("iso2022", "hz", "idna", "punycode"))
    except (LookupError, UnicodeError, ValueError, AttributeError):
        return False


def is_delimiter(text: str) -> bool:
    """Whether cells can be divided by this: one character of ASCII that is no quote, no line end and no letter."""
    try:
        csv.reader([], delimiter=text)
    except (TypeError, ValueError):
        return False
    return text.isascii() and not text.isalnum() and text not in '"\r\n\x00'


def _is_broken(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return True
    return False
