"""What became of the events of a subscription: its deliveries, what failed of them and why, and one more try."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest
from ninja import Query, Router, Status

from clarion.api.auth import Requires, caller_of
from clarion.api.clock import now
from clarion.api.delivery_faces import attempt, delivery, failure
from clarion.api.faces import by_status_and_reason
from clarion.api.subscriptions import PATH, find_by_ref
from clarion.api.wire import Page, Search, Time, find, tenant_of
from clarion.flows import deliveries, subscriptions
from clarion.lib.times import wire_time
from clarion.models import Delivery, DeliveryAttempt, Event, Tenant
from clarion.models.outgoing import states_of

router = Router(auth=Requires("subscriptions"), tags=["deliveries"])

# Tries shown with a delivery, the latest: one has ten, and as many more each time somebody asks for it again.
MOST_ATTEMPTS = 100


class DeliveryFilter(Page):
    """Which deliveries: by status (PENDING, SENT, FAILED, …), and by when they were made."""

    status: Search | None = None
    since: Time | None = None
    until: Time | None = None


@router.get(PATH + "/{path:ref}/deliveries")
def list_deliveries(request: HttpRequest, ref: str, filters: Query[DeliveryFilter]) -> dict[str, Any]:
    """The deliveries of a subscription, the latest first."""
    rows = deliveries.newest(
        find_by_ref(request, ref),
        states=None if filters.status is None else states_of(filters.status),
        since=filters.since,
        until=filters.until,
        before=filters.cursor,
        most=filters.limit + 1,
    )
    page = rows[: filters.limit]
    event_ids = _event_ids(tenant_of(request), page)
    following = str(page[-1].pk) if len(rows) > filters.limit else None
    return {"data": [delivery(row, event_ids) for row in page], "next": following}


@router.get(PATH + "/{path:ref}/failures")
def list_failures(request: HttpRequest, ref: str) -> dict[str, Any]:
    """What failed for good, by reason and code, with what the receiver said last.

    `exact` is false where only the latest 10,000 of a state were looked at.
    """
    groups, is_all = deliveries.failures(find_by_ref(request, ref))
    return {"data": [failure(group) for group in groups], "exact": is_all}


@router.get(PATH + "/{path:ref}/health")
def subscription_health(request: HttpRequest, ref: str) -> dict[str, Any]:
    """How a subscription fares: how many deliveries have each status and why, and whether its destination is tried."""
    row = find_by_ref(request, ref)
    counts = list(row.counts.exclude(count=0).values_list("state", "reason", "count"))
    lane, moment = row.lane, now()
    is_closed = lane.closed_until is not None and lane.closed_until > moment
    return {
        "active": row.is_active,
        "ended_because": row.disabled_because or None,
        "failing_since": row.failing_since and wire_time(row.failing_since),
        "closed_until": wire_time(lane.closed_until) if is_closed and lane.closed_until else None,
        "closed_because": lane.closed_because or None if is_closed else None,
        "statuses": by_status_and_reason(counts),
    }


@router.get("/api/v1/deliveries/{int:delivery_id}")
def get_delivery(request: HttpRequest, delivery_id: int) -> dict[str, Any]:
    """One delivery, with those of its tries that did not go right."""
    return _in_full(_find(request, delivery_id))


@router.post("/api/v1/deliveries/{int:delivery_id}/retry", response={202: dict[str, Any]})
def retry_delivery(request: HttpRequest, delivery_id: int) -> Any:
    """Let a delivery that did not arrive go again, at once, with all its tries.

    One that is on its way, or was taken, is answered 409, and so is an example; what was taken is sent once more by a
    replay.
    """
    row = _find(request, delivery_id)
    subscriptions.check_may_change(row.subscription, is_test=caller_of(request).is_test)
    again = deliveries.retry(row, by=caller_of(request).name, now=now())
    return Status(202, _in_full(again))


def _find(request: HttpRequest, delivery_id: int) -> Delivery:
    rows = Delivery.objects.of(tenant_of(request)).select_related("subscription", "tenant")
    return find(rows, delivery_id)


def _in_full(row: Delivery) -> dict[str, Any]:
    tries = DeliveryAttempt.objects.of(row.tenant).filter(delivery=row).order_by("-ended_at", "-pk")
    latest = list(tries[:MOST_ATTEMPTS])
    shown = delivery(row, _event_ids(row.tenant, [row]))
    provider_id = row.provider_id or None
    return {**shown, "provider_id": provider_id, "attempts": [attempt(each) for each in reversed(latest)]}


def _event_ids(tenant: Tenant, rows: Sequence[Delivery]) -> dict[int, str]:
    numbers = [row.seq for row in rows if row.seq is not None]
    return dict(Event.objects.of(tenant).filter(seq__in=numbers).values_list("seq", "event_id"))
