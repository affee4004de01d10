"""Events that are read: the log of a tenant, one event, those of a customer, and a customer's whole timeline."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from django.db.models import Count, Min
from django.http import Http404, HttpRequest, HttpResponse
from ninja import Query, Schema
from pydantic import Field

from clarion.api import event_posts
from clarion.api.auth import Requires
from clarion.api.faces import message
from clarion.api.problems import Unreadable
from clarion.api.wire import DEFAULT_LIMIT, LARGEST_ID, MOST, Search, Time, link_next, tenant_of
from clarion.flows import events
from clarion.lib.comparable import complaint_of_text, fold
from clarion.lib.times import wire_time
from clarion.models import Customer, Engagement, Event, Message, Tenant
from clarion.models.events import Events

# The same router: both files serve /api/v1/events.
router = event_posts.router
READS = Requires("events:read")

KEY = "key."
# Key attributes are not looked up by an index: without another limit, all that came within a month at most is read.
LONGEST_SPAN = timedelta(days=31)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLACE = re.compile(r"(-?[0-9]{1,18})\.([01])\.([0-9]{1,19})")
# At one moment events stand before messages: what somebody did comes of what they were sent.
MESSAGE, EVENT = 0, 1


class LogFilter(Schema):
    """What to read of the log. With `after_seq` it is read in its order, else the latest come first."""

    after_seq: int | None = Field(None, ge=0, le=LARGEST_ID)
    entity_name: Search | None = None
    entity_id: Search | None = None
    event_type: Search | None = None
    event_source: Search | None = None
    operation: Search | None = None
    customer_id: Search | None = None
    since: Time | None = None
    until: Time | None = None
    flawed: bool | None = None
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MOST)
    cursor: int | None = Field(None, ge=0, le=LARGEST_ID)


class PersonFilter(Schema):
    """What to read of a customer's events, by the events' own time."""

    event_type: Search | None = None
    since: Time | None = None
    until: Time | None = None
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MOST)
    cursor: Search | None = None


class TimelinePage(Schema):
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MOST)
    cursor: Search | None = None


class Place(NamedTuple):
    """Where something stands in a list that goes by time, the latest first."""

    at: datetime
    kind: int
    number: int

    def __str__(self) -> str:
        return f"{(self.at - _EPOCH) // timedelta(microseconds=1)}.{self.kind}.{self.number}"


class Told(NamedTuple):
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


@router.get("/api/v1/events", auth=READS)
def list_events(request: HttpRequest, filters: Query[LogFilter]) -> HttpResponse:
    """The log. Each entry has its number, when it came, and the event as it was told."""
    # In its order the log is read from here on; None: the latest first.
    place = None if filters.after_seq is None else max(filters.after_seq, filters.cursor or 0)
    rows = _filtered(request, filters, place)
    if place is None and filters.cursor is not None:
        rows = rows.filter(seq__lt=filters.cursor)
    found = _told(rows.order_by("-seq" if place is None else "seq"), filters.limit + 1)
    if place is not None:
        # Asked again: what was cut off while it was read would seem never to have been.
        events.read_log(tenant_of(request), place)
    shown = found[: filters.limit]
    following = str(shown[-1].seq) if len(found) > filters.limit else None
    return _answer({"data": [_entry(row) for row in shown], "next": following})


@router.get("/api/v1/events/{path:event_id}", auth=READS)
def get_event(request: HttpRequest, event_id: str) -> HttpResponse:
    """One event, as it was told. Its number and when it came are in the headers."""
    if complaint_of_text(event_id, 255):
        raise Http404
    found = _told(Event.objects.of(tenant_of(request)).filter(event_id=event_id), 1)
    if not found:
        raise Http404
    response = _answer(found[0].document)
    response.headers["Clarion-Seq"] = str(found[0].seq)
    response.headers["Clarion-Received"] = wire_time(found[0].received_at)
    return response


@router.get("/get_events/{customer_id}", auth=READS)
def get_events(request: HttpRequest, customer_id: str, filters: Query[PersonFilter]) -> HttpResponse:
    """The events about a customer, the latest first; of somebody not known, none."""
    if complaint_of_text(customer_id, 255):
        return _answer([])
    rows = events.of_customer(tenant_of(request), customer_id)
    if filters.event_type is not None:
        rows = rows.filter(kind__in=_spellings(filters.event_type))
    if filters.since is not None:
        rows = rows.filter(happened_at__gte=filters.since)
    if filters.until is not None:
        rows = rows.filter(happened_at__lt=filters.until)
    if filters.cursor is not None:
        place = _place(filters.cursor)
        rows = rows.before(place.at, place.number)
    found = _told(rows, filters.limit + 1)
    shown = found[: filters.limit]
    response = _answer([row.document for row in shown])
    if len(found) > filters.limit:
        link_next(request, response, str(shown[-1].place))
    return response


@router.get("/api/v1/customers/{ref}/timeline", auth=Requires("customers"), tags=["clients"])
def get_timeline(request: HttpRequest, ref: str, page: Query[TimelinePage]) -> HttpResponse:
    """All that happened to somebody: events about them and messages to them, the latest first."""
    tenant = tenant_of(request)
    if complaint_of_text(ref, 255):
        raise Http404
    customer = events.find_customer(tenant, ref)
    told = Event.objects.of(tenant).of_customer(events.refs_of(tenant, ref, customer))
    sent = Message.objects.of(tenant).without_tests().filter(customer_id=_number(ref, customer))
    if customer is None and not told.exists() and not sent.exists():
        raise Http404
    if page.cursor is not None:
        place = _place(page.cursor)
        told = told.before(place.at, place.number if place.kind == EVENT else 0)
        sent = sent.made_before(place.at, place.number if place.kind == MESSAGE else LARGEST_ID)
    lines: list[tuple[Place, dict[str, Any]]] = [
        (row.place, {"event": row.document}) for row in _told(told, page.limit + 1)
    ]
    messages = list(sent.select_related("mailing").order_by("-created_at", "-id")[: page.limit + 1])
    happened = _engagements(tenant, messages)
    for each in messages:
        shown_line = {"message": message(each), "engagements": happened[each.pk]}
        lines.append((Place(each.created_at, MESSAGE, each.pk), shown_line))
    lines.sort(key=lambda line: line[0], reverse=True)
    shown = lines[: page.limit]
    following = str(shown[-1][0]) if len(lines) > page.limit else None
    return _answer(
        {"data": [{"at": wire_time(place.at), **what} for place, what in shown], "next": following}
    )


def _engagements(tenant: Tenant, messages: list[Message]) -> dict[int, list[dict[str, Any]]]:
    """Return how often each of these messages was opened and so on, and when first; machines apart."""
    found: dict[int, list[dict[str, Any]]] = {each.pk: [] for each in messages}
    rows = Engagement.objects.of(tenant).filter(message_id__in=found)
    grouped = rows.values_list("message_id", "kind", "is_machine").annotate(
        times=Count("id"), first=Min("at")
    )
    grouped = grouped.order_by("first", "kind", "is_machine")
    for pk, kind, by_machine, times, first in grouped:
        found[pk].append({"what": kind, "machine": by_machine, "times": times, "first": wire_time(first)})
    return found


def _filtered(request: HttpRequest, filters: LogFilter, place: int | None) -> Events:
    tenant = tenant_of(request)
    rows: Events = Event.objects.of(tenant) if place is None else events.read_log(tenant, place)
    if filters.customer_id is not None:
        customer = events.find_customer(tenant, filters.customer_id)
        rows = rows.filter(customer_ref__in=sorted(events.refs_of(tenant, filters.customer_id, customer)))
    asked = {
        "entity_name": filters.entity_name and fold(filters.entity_name),
        "entity_id": filters.entity_id,
        "kind__in": filters.event_type and _spellings(filters.event_type),
        "source": filters.event_source and filters.event_source.upper(),
        "operation": filters.operation and filters.operation.upper(),
        "received_at__gte": filters.since,
        "received_at__lt": filters.until,
        "is_flawed": filters.flawed,
    }
    rows = rows.filter(**{name: value for name, value in asked.items() if value is not None})
    for name, value in _keys(request, filters):
        rows = rows.with_key(name, value)
    return rows


def _keys(request: HttpRequest, filters: LogFilter) -> list[tuple[str, str]]:
    """Return the key attributes that are asked for."""
    keys = [
        (name.removeprefix(KEY), str(value)) for name, value in request.GET.items() if name.startswith(KEY)
    ]
    for name, value in keys:
        if not name or complaint_of_text(name, 255) or complaint_of_text(value, 255):
            sentence = "must have a name, and be a text of at most 255 characters"
            raise Unreadable(400, "refused", sentence, KEY + name[:64])
    if not keys or filters.entity_id is not None or filters.customer_id is not None:
        return keys
    if filters.since is None or filters.until is None or filters.until - filters.since > LONGEST_SPAN:
        sentence = "needs entity_id, customer_id, or since and until at most 31 days apart beside it"
        raise Unreadable(400, "refused", sentence, KEY + keys[0][0])
    return keys


def _spellings(kind: str) -> list[str]:
    """Return a kind as it may be stored: those of entities are in capitals, the others are not."""
    return [kind.upper(), kind.lower()]


def _number(ref: str, customer: Customer | None) -> int:
    """Return the id under which messages went to somebody; a deleted customer's messages are still found."""
    if customer is not None:
        return int(customer.pk)
    return int(ref) if ref.isascii() and ref.isdigit() and len(ref) < len(str(LARGEST_ID)) else 0


def _told(rows: Events, most: int) -> list[Told]:
    return [Told._make(row) for row in rows.values_list(*Told._fields)[:most]]


def _entry(row: Told) -> dict[str, Any]:
    shown: dict[str, Any] = {"seq": row.seq, "received": wire_time(row.received_at), "event": row.document}
    return shown | ({"flawed": True} if row.is_flawed else {})


def _answer(document: Any) -> HttpResponse:
    return HttpResponse(msgspec.json.encode(document), content_type=event_posts.MEDIA_TYPE)


def _place(cursor: str) -> Place:
    found = _PLACE.fullmatch(cursor)
    try:
        if found and int(found[3]) <= LARGEST_ID:
            return Place(_EPOCH + timedelta(microseconds=int(found[1])), int(found[2]), int(found[3]))
    except OverflowError:
        pass
    raise Unreadable(400, "refused", "This is no cursor of this list.", "cursor")
