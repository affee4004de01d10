"""Events as they are given back, and where they stand in a list that goes by time."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from django.db.models import Case, Func, IntegerField, TextField, Value, When
from django.db.models.lookups import LessThanOrEqual
from django.http import HttpResponse

from clarion.api.event_posts import MEDIA_TYPE
from clarion.api.problems import Unreadable
from clarion.api.wire import LARGEST_ID
from clarion.models.events import Events

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLACE = re.compile(r"(-?[0-9]{1,18})\.([01])\.([0-9]{1,19})")
# Bodies on one page, bytes, beside the first. A hundred usual events have a tenth of a megabyte; a hundred of the
# largest, on each of 16 threads, would take gigabytes.
MOST_BYTES = 8 * 1024 * 1024
# At one moment events stand before messages: what somebody did comes of what they were sent.
MESSAGE, EVENT = 0, 1


class Place(NamedTuple):
    """Where something stands in a list that goes by time, the latest first."""

    at: datetime
    kind: int
    number: int

    def __str__(self) -> str:
        return f"{(self.at - _EPOCH) // timedelta(microseconds=1)}.{self.kind}.{self.number}"


class EventRow(NamedTuple):
    """An event as it is given back. A model's instance, and its JSON read and written again, took half of an answer."""

    seq: int
    happened_at: datetime
    received_at: datetime
    is_flawed: bool
    body: str

    @property
    def document(self) -> msgspec.Raw:
        return msgspec.Raw(self.body.encode())

    @property
    def place(self) -> Place:
        return Place(self.happened_at, EVENT, self.seq)


class Page(NamedTuple):
    """The first events of a list, and whether others follow. Only a list without events has a page without one."""

    rows: list[EventRow]
    is_cut: bool


class _Bytes(Func):
    """How long a text is in UTF-8. Servers know it without a look at the text."""

    function = "OCTET_LENGTH"
    output_field = IntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        # SQLite has the function since 3.43 only.
        return self.as_sql(compiler, connection, template="LENGTH(CAST(%(expressions)s AS BLOB))", **context)


def page(rows: Events, most: int) -> Page:
    """Return the first of these events: at most so many, and no more than MOST_BYTES of bodies, but one at least."""
    # What fits in any case comes at once, which is all of a usual page. In place of a longer one stands "".
    is_short = LessThanOrEqual(_Bytes("body"), MOST_BYTES // (most + 1))
    *columns, _ = EventRow._fields
    short = rows.values_list(
        *columns, Case(When(is_short, then="body"), default=Value(""), output_field=TextField())
    )
    found = [EventRow._make(row) for row in short[: most + 1]]
    given = found[:most]
    if not all(row.body for row in given):
        try:
            given = _with_bodies(rows, given)
        except KeyError:
            # Some were dropped meanwhile, and with them all that is older.
            return page(rows, most)
    return Page(given, len(given) < len(found))


def _with_bodies(rows: Events, given: Sequence[EventRow]) -> list[EventRow]:
    """Return as many of the first ones as a page holds, with the bodies that are missing.

    :raises KeyError: one is there no more
    """
    long = [row.seq for row in given if not row.body]
    sizes = dict(rows.filter(seq__in=long).values_list("seq", _Bytes("body")))
    count = _fitting([len(row.body.encode()) if row.body else sizes[row.seq] for row in given])
    fitting = given[:count]
    rest = [row.seq for row in fitting if not row.body]
    bodies = dict(rows.filter(seq__in=rest).values_list("seq", "body"))
    return [row if row.body else row._replace(body=bodies[row.seq]) for row in fitting]


def _fitting(sizes: Sequence[int]) -> int:
    """Return how many of the first ones a page holds."""
    total = 0
    for count, size in enumerate(sizes):
        total += size
        if count and total > MOST_BYTES:
            return count
    return len(sizes)


def place_of(cursor: str) -> Place:
    """Return the place that a cursor names.

    :raises Unreadable: it names none
    """
    found = _PLACE.fullmatch(cursor)
    try:
        if found and int(found[3]) <= LARGEST_ID:
            return Place(_EPOCH + timedelta(microseconds=int(found[1])), int(found[2]), int(found[3]))
    except OverflowError:
        pass
    raise Unreadable(400, "refused", "This is no cursor of this list.", "cursor")


def answer(document: Any) -> HttpResponse:
    """Return an answer with this document, in which an event is what was told, letter by letter."""
    return HttpResponse(msgspec.json.encode(document), content_type=MEDIA_TYPE)
