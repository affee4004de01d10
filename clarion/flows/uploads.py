"""A file of clients arrives: kept piece by piece, looked at on the way, and put before the worker when it is whole."""

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import transaction

from clarion.flows.columns import field_of
from clarion.lib.crashpoints import crashpoint
from clarion.lib.guesses import (
    NoTable,
    Sample,
    guess_csv,
    guess_encoding,
    guess_format,
    is_delimiter,
    is_encoding,
)
from clarion.lib.records import CSV, NDJSON, Form
from clarion.models import FilePart, Import, StoredFile, Tenant

log = structlog.get_logger()

# What is said in a Content-Type. Anything else is looked into.
FORMATS = {
    "text/csv": CSV,
    "text/tab-separated-values": CSV,
    "application/x-ndjson": NDJSON,
    "application/ndjson": NDJSON,
    "application/jsonl": NDJSON,
    "application/x-jsonlines": NDJSON,
    "application/json-lines": NDJSON,
}
# How a tab can be written where nobody can type one.
TAB_NAMES = ("tab", "\\t")


class EmptyFile(ValueError):
    """There is nothing in the file."""


class BadHint(ValueError):
    """What was said about the file cannot be so; `name` is the hint."""

    def __init__(self, name: str, sentence: str) -> None:
        super().__init__(sentence)
        self.name = name


@dataclass(frozen=True, slots=True)
class Hints:
    """What the sender says about the file; what is empty is guessed.

    :raises BadHint: for a format, an encoding or a delimiter that there is not
    """

    name: str = ""
    media_type: str = ""
    format: str = ""
    encoding: str = ""
    delimiter: str = ""

    def __post_init__(self) -> None:
        if self.format not in ("", CSV, NDJSON):
            raise BadHint("format", f"must be {CSV} or {NDJSON}")
        if self.encoding and not is_encoding(self.encoding):
            raise BadHint("encoding", "must be the name of an encoding, as utf-8 or windows-1251")
        if self.delimiter and self.delimiter not in TAB_NAMES and not is_delimiter(self.delimiter):
            raise BadHint("delimiter", "must be one character that is no letter, digit or quote; or tab")


def receive(tenant: Tenant, pieces: Iterable[bytes], hints: Hints, *, now: datetime) -> Import:
    """Keep the file and return its import, which the worker begins. `pieces` are read one at a time.

    Until the last piece is stored nobody sees the file; what a broken upload leaves is pruned.

    :raises EmptyFile, NoTable: nothing is kept then
    """
    sample = Sample()
    file = StoredFile(tenant=tenant, name=hints.name[:255], media_type=hints.media_type[:100], created_at=now)
    file.save()
    try:
        for piece in _readable(pieces, sample):
            file.append(piece)
        if not file.size:
            raise EmptyFile("The file is empty.")
        form = _form_of(sample, hints)
    except (EmptyFile, NoTable):
        FilePart.objects.filter(file=file).delete()
        file.delete()
        raise
    with transaction.atomic():
        file.is_whole = True
        file.save()
        row = Import.objects.create(
            tenant=tenant,
            file=file,
            name=file.name,
            size=file.size,
            format=form.format,
            encoding=form.encoding,
            delimiter=form.delimiter,
            line_end=form.line_end,
            position=len(codecs.BOM_UTF8) if form.encoding == "utf-8-sig" else 0,
            created_at=now,
            served_at=now,
        )
        crashpoint("import.received_before_commit")
    log.info("import_received", import_id=row.pk, tenant=tenant.name, bytes=row.size, format=row.format)
    return row


def _readable(pieces: Iterable[bytes], sample: Sample) -> Iterator[bytes]:
    """Give what is kept of each piece, once the beginning has shown that it is a table."""
    decoder = None
    for piece in pieces:
        is_first = not sample.head
        if is_first and piece.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            decoder = codecs.getincrementaldecoder("utf-16")(errors="replace")
        if is_first and decoder is None and piece:
            guess_format(piece)
        sample.add(piece)
        yield piece if decoder is None else decoder.decode(piece).encode()
    if decoder is not None:
        yield decoder.decode(b"", final=True).encode()


def _form_of(sample: Sample, hints: Hints) -> Form:
    head = sample.head.decode("utf-16", errors="replace").encode() if sample.mark == "utf-16" else sample.head
    kind = hints.format or FORMATS.get(hints.media_type) or guess_format(head)
    encoding = sample.mark or codecs.lookup(hints.encoding or "utf-8").name
    if kind == NDJSON:
        return Form(NDJSON, encoding)
    if not sample.mark and not hints.encoding:
        encoding = guess_encoding(sample)
    form = guess_csv(head.removeprefix(codecs.BOM_UTF8), encoding, is_known=lambda cell: bool(field_of(cell)))
    delimiter = "\t" if hints.delimiter in TAB_NAMES else hints.delimiter
    return Form(CSV, encoding, delimiter or form.delimiter, form.line_end)
