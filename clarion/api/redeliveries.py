"""A subscriber is sent once more what did not arrive, or what happened before it was there: asked for, and its record."""

from typing import Any

from django.http import HttpRequest
from ninja import Query, Router, Status
from pydantic import Field

from clarion.api.auth import Requires, caller_of
from clarion.api.clock import now
from clarion.api.delivery_faces import redelivery
from clarion.api.subscription_bodies import EventFilter
from clarion.api.subscriptions import PATH, find_by_ref, to_change
from clarion.api.wire import LARGEST_ID, Body, Page, Time, find, page_of
from clarion.flows import redeliveries
from clarion.flows.redeliveries import Span
from clarion.models import Redelivery, Subscription

router = Router(auth=Requires("subscriptions"), tags=["deliveries"])

_ANSWERS = {200: dict[str, Any], 202: dict[str, Any]}


class RecoverBody(Body):
    """Which deliveries: those that did not arrive, and came to their end at `since` or later."""

    since: Time
    dry_run: bool = Field(False, description="Only count them.")


class ReplayBody(Body):
    """Which events: from `since`, or behind the number `after_seq`; before `until`, or up to the number `until_seq`."""

    since: Time | None = None
    until: Time | None = None
    after_seq: int | None = Field(None, ge=0, le=LARGEST_ID)
    until_seq: int | None = Field(None, ge=0, le=LARGEST_ID)
    filter: EventFilter = Field(None, description="Which of them, beside the subscription's own filter.")
    dry_run: bool = Field(False, description="Only count them.")


@router.post(PATH + "/{path:ref}/recover", response=_ANSWERS)
def recover(request: HttpRequest, ref: str, payload: RecoverBody) -> Any:
    """Let everything that did not arrive since then go again, under the same ids; the worker does it bit by bit."""
    row = to_change(request, ref)
    span = redeliveries.recovery_span(row, since=payload.since)
    return _asked(request, row, span, dry_run=payload.dry_run)


@router.post(PATH + "/{path:ref}/replay", response=_ANSWERS)
def replay(request: HttpRequest, ref: str, payload: ReplayBody) -> Any:
    """Send the events of a range that the subscription takes, as new deliveries; the worker does it bit by bit.

    Also those from before the subscription, and those that it was sent already. 410 where the log no longer goes back
    so far.
    """
    row = to_change(request, ref)
    span = redeliveries.replay_span(row.tenant, **payload.model_dump(exclude={"dry_run"}))
    return _asked(request, row, span, dry_run=payload.dry_run)


@router.get(PATH + "/{path:ref}/redeliveries")
def list_redeliveries(request: HttpRequest, ref: str, page: Query[Page]) -> dict[str, Any]:
    """Who asked for what to be sent once more, and how far it has come."""
    data, following = page_of(_of(find_by_ref(request, ref)), page, redelivery)
    return {"data": data, "next": following}


@router.get(PATH + "/{path:ref}/redeliveries/{int:redelivery_id}")
def get_redelivery(request: HttpRequest, ref: str, redelivery_id: int) -> dict[str, Any]:
    return redelivery(find(_of(find_by_ref(request, ref)), redelivery_id))


def _of(row: Subscription) -> Any:
    return Redelivery.objects.of(row.tenant).filter(subscription=row).select_related("subscription")


def _asked(request: HttpRequest, row: Subscription, span: Span, *, dry_run: bool) -> Any:
    found = redeliveries.count(row, span)
    if dry_run:
        return Status(200, {"count": found.found, "exact": found.is_exact})
    asked = redeliveries.ask(row, span, found, by=caller_of(request).name, now=now())
    return Status(202, redelivery(asked))
