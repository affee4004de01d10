"""A customer's timeline: the events about them and the messages to them, with what became of these."""

from typing import Any

from django.db.models import Count, Min
from django.http import Http404, HttpRequest, HttpResponse
from ninja import Query, Router, Schema
from pydantic import Field

from clarion.api.auth import Requires
from clarion.api.event_pages import EVENT, MESSAGE, Place, answer, page, place_of
from clarion.api.faces import message
from clarion.api.wire import DEFAULT_LIMIT, LARGEST_ID, MOST, Search, tenant_of
from clarion.flows import events
from clarion.lib.comparable import complaint_of_text
from clarion.lib.times import wire_time
from clarion.models import Customer, Engagement, Event, Message, Tenant

router = Router(auth=Requires("customers"), tags=["clients"])


class TimelinePage(Schema):
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MOST)
    cursor: Search | None = None


@router.get("/api/v1/customers/{path:ref}/timeline")
def get_timeline(request: HttpRequest, ref: str, asked: Query[TimelinePage]) -> HttpResponse:
    """All that happened to somebody: events about them and messages to them, the latest first."""
    tenant = tenant_of(request)
    if complaint_of_text(ref, 255):
        raise Http404
    customer = events.find_customer(tenant, ref)
    about = Event.objects.of(tenant).of_customer(events.refs_of(tenant, ref, customer))
    sent = Message.objects.of(tenant).without_tests().filter(customer_id=_number(ref, customer))
    if customer is None and not about.exists() and not sent.exists():
        raise Http404
    if asked.cursor is not None:
        place = place_of(asked.cursor)
        about = about.before(place.at, place.number if place.kind == EVENT else 0)
        sent = sent.made_before(place.at, place.number if place.kind == MESSAGE else LARGEST_ID)
    found = page(about, asked.limit)
    lines: list[tuple[Place, dict[str, Any]]] = [(row.place, {"event": row.document}) for row in found.rows]
    messages = list(sent.select_related("mailing").order_by("-created_at", "-id")[: asked.limit + 1])
    happened = _engagements(tenant, messages)
    for each in messages:
        shown_line = {"message": message(each), "engagements": happened[each.pk]}
        lines.append((Place(each.created_at, MESSAGE, each.pk), shown_line))
    lines.sort(key=lambda line: line[0], reverse=True)
    is_cut = found.is_cut or len(lines) > asked.limit
    # What stands behind the last event that was given comes after those that were not.
    shown = [line for line in lines if not found.is_cut or line[0] >= found.rows[-1].place][: asked.limit]
    following = str(shown[-1][0]) if is_cut else None
    return answer({"data": [{"at": wire_time(place.at), **what} for place, what in shown], "next": following})


def _engagements(tenant: Tenant, messages: list[Message]) -> dict[int, list[dict[str, Any]]]:
    """Return how often each of these messages was opened and so on, and when first; machines apart."""
    found: dict[int, list[dict[str, Any]]] = {each.pk: [] for each in messages}
    rows = Engagement.objects.of(tenant, leads=False).of_messages(found)
    grouped = rows.values_list("message_id", "kind", "is_machine").annotate(
        times=Count("id"), first=Min("at")
    )
    grouped = grouped.order_by("first", "kind", "is_machine")
    for pk, kind, by_machine, times, first in grouped:
        found[pk].append({"what": kind, "machine": by_machine, "times": times, "first": wire_time(first)})
    return found


def _number(ref: str, customer: Customer | None) -> int:
    """Return the id under which messages went to somebody; a deleted customer's messages are still found."""
    if customer is not None:
        return int(customer.pk)
    return int(ref) if ref.isascii() and ref.isdigit() and len(ref) < len(str(LARGEST_ID)) else 0
