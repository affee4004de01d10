"""The rows that were refused, as a file in the form of the one they came in: mended, it can be sent again as it is."""

import json
import re
from collections.abc import Iterator
from pathlib import PurePath

from clarion.flows.columns import LINE, OURS, REASON
from clarion.lib.records import CSV
from clarion.models import Import
from clarion.models.imports import refusals

# What stands in front of a row that was refused before.
_TWO_CELLS = r'[^{0}"]*{0}(?:"(?:[^"]|"")*"|[^{0}"]*){0}'
_TWO_MEMBERS = re.compile(
    rb'\{\s*"' + LINE.encode() + rb'":\s*\d+,\s*"' + REASON.encode() + rb'":\s*"(?:[^"\\]|\\.)*",?\s*'
)


def name_of(row: Import) -> str:
    """Return the name of the file of refused rows: clients.csv becomes clients.refused.csv."""
    given = PurePath(row.name or f"import-{row.pk}.{row.format}")
    return f"{given.stem}.refused{given.suffix or f'.{row.format}'}"


def pieces(row: Import) -> Iterator[bytes]:
    """Give the file piece by piece: in front of every row the number of its line, and what was wrong with it."""
    written = _csv(row) if row.format == CSV else _ndjson(row)
    if row.encoding == "utf-16":
        # What is kept of it is UTF-8; only the first piece has a mark.
        yield "".encode("utf-16")
        yield from (piece.decode("utf-8", "replace").encode("utf-16")[2:] for piece in written)
        return
    if row.encoding == "utf-8-sig":
        yield "".encode("utf-8-sig")
    yield from written


def _csv(row: Import) -> Iterator[bytes]:
    codec, delimiter, end = row.form.codec, row.delimiter, row.line_end.encode()
    before = re.compile(_TWO_CELLS.format(re.escape(delimiter)).encode(codec), re.DOTALL)
    header = bytes(row.header)
    if not header:
        return
    was_refused = header.startswith(f"{LINE}{delimiter}{REASON}{delimiter}".encode(codec))
    for line, reason, raw in _with_header(row, header):
        rest = before.sub(b"", raw, count=1) if was_refused and before.match(raw) else raw
        quoted = reason if line == LINE else '"' + reason.replace('"', '""') + '"'
        front = f"{line}{delimiter}{quoted}{delimiter}"
        yield front.encode(codec, "replace") + rest + end


def _with_header(row: Import, header: bytes) -> Iterator[tuple[object, str, bytes]]:
    yield LINE, REASON, header
    yield from refusals(row)


def _ndjson(row: Import) -> Iterator[bytes]:
    for line, reason, raw in refusals(row):
        members = {LINE: line, REASON: reason}
        rest = _TWO_MEMBERS.sub(b"{", raw.lstrip(), count=1).rstrip()
        if not rest.startswith(b"{"):
            rest = b"{}"
            members[f"{OURS}raw"] = raw.decode(row.form.codec, "replace")
        front = json.dumps(members, ensure_ascii=False)[:-1].encode(row.form.codec, "replace")
        joint = b"" if rest[1:].lstrip().startswith(b"}") else b", "
        yield front + joint + rest[1:] + b"\n"
