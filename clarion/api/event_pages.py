"""Events as they are given back, and where they stand in a list that goes by time."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from django.http import HttpResponse

from clarion.api.event_posts import MEDIA_TYPE
from clarion.api.problems import Unreadable
from clarion.api.wire import LARGEST_ID
from clarion.models.events import Events

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLACE = re.compile(r"(-?[0-9]{1,18})\.([01])\.([0-9]{1,19})")
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


def page(rows: Events, most: int) -> list[EventRow]:
    """Return the first of these events."""
    return [EventRow._make(row) for row in rows.values_list(*EventRow._fields)[:most]]


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
