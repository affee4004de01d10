"""Events that are read: the log of a tenant, one event, and those of a customer."""

from datetime import timedelta
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from ninja import Query, Schema
from pydantic import Field

from clarion.api import event_posts
from clarion.api.auth import Requires
from clarion.api.event_pages import EventRow, answer, page, place_of
from clarion.api.problems import Unreadable
from clarion.api.wire import DEFAULT_LIMIT, LARGEST_ID, MOST, Search, Time, link_next, tenant_of
from clarion.flows import events
from clarion.lib.comparable import complaint_of_text, fold
from clarion.lib.times import wire_time
from clarion.models import Event
from clarion.models.events import Events

# The same router: both files serve /api/v1/events.
router = event_posts.router
READS = Requires("events:read")

KEY = "key."
# Key attributes are not looked up by an index: without another limit, all that came within a month at most is read.
LONGEST_SPAN = timedelta(days=31)


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


@router.get("/api/v1/events", auth=READS)
def list_events(request: HttpRequest, filters: Query[LogFilter]) -> HttpResponse:
    """The log. Each entry has its number, when it came, and the event as it was told."""
    # In its order the log is read from here on; None: the latest first.
    place = None if filters.after_seq is None else max(filters.after_seq, filters.cursor or 0)
    rows = _filtered(request, filters, place)
    if place is None and filters.cursor is not None:
        rows = rows.filter(seq__lt=filters.cursor)
    found = page(rows.order_by("-seq" if place is None else "seq"), filters.limit)
    if place is not None:
        # Asked again: what was cut off while it was read would seem never to have been.
        events.read_log(tenant_of(request), place)
    following = str(found.rows[-1].seq) if found.is_cut else None
    return answer({"data": [_entry(row) for row in found.rows], "next": following})


@router.get("/api/v1/events/{path:event_id}", auth=READS)
def get_event(request: HttpRequest, event_id: str) -> HttpResponse:
    """One event, as it was told. Its number and when it came are in the headers."""
    if complaint_of_text(event_id, 255):
        raise Http404
    found = page(Event.objects.of(tenant_of(request)).filter(event_id=event_id), 1).rows
    if not found:
        raise Http404
    response = answer(found[0].document)
    response.headers["Clarion-Seq"] = str(found[0].seq)
    response.headers["Clarion-Received"] = wire_time(found[0].received_at)
    return response


@router.get("/get_events/{path:customer_id}", auth=READS)
def get_events(request: HttpRequest, customer_id: str, filters: Query[PersonFilter]) -> HttpResponse:
    """The events about a customer, the latest first; of somebody not known, none."""
    if complaint_of_text(customer_id, 255):
        return answer([])
    rows = events.of_customer(tenant_of(request), customer_id)
    if filters.event_type is not None:
        rows = rows.filter(kind__in=_spellings(filters.event_type))
    if filters.since is not None:
        rows = rows.filter(happened_at__gte=filters.since)
    if filters.until is not None:
        rows = rows.filter(happened_at__lt=filters.until)
    if filters.cursor is not None:
        place = place_of(filters.cursor)
        rows = rows.before(place.at, place.number)
    found = page(rows, filters.limit)
    response = answer([row.document for row in found.rows])
    if found.is_cut:
        link_next(request, response, str(found.rows[-1].place))
    return response


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


def _entry(row: EventRow) -> dict[str, Any]:
    shown: dict[str, Any] = {"seq": row.seq, "received": wire_time(row.received_at), "event": row.document}
    return shown | ({"flawed": True} if row.is_flawed else {})
