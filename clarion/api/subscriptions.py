"""`/api/v1/event-subscription`: who wants to hear of which events, and where."""

import json
from typing import Any, Literal

from django.http import Http404, HttpRequest, HttpResponse
from ninja import Query, Router, Status
from pydantic import Field

from clarion.api.auth import Requires, caller_of
from clarion.api.clock import now
from clarion.api.problems import Unreadable
from clarion.api.subscription_bodies import SubscriptionBody, ref_of, subscription, warnings
from clarion.api.wire import Page, link_next, page_of, tenant_of, warn
from clarion.flows import subscriptions
from clarion.flows.event_checks import MISSING
from clarion.flows.subscriptions import Outcome
from clarion.lib.comparable import complaint_of_text
from clarion.models import Subscription
from clarion.models.subscriptions import Subscriptions

PATH = "/api/v1/event-subscription"
router = Router(auth=Requires("subscriptions"), tags=["event subscriptions"])

# The answer that the seed prints, whatever was deactivated.
DEACTIVATED: dict[str, Any] = {"body": {}, "statusCode": "ACCEPTED", "statusCodeValue": 0}


class ListFilter(Page):
    active: Literal["true", "false", "all"] = Field(
        "true", description="Those that are active; those that are not; or all."
    )


@router.post(PATH, response={200: dict[str, Any], 201: dict[str, Any]})
def create_subscription(request: HttpRequest, payload: SubscriptionBody, response: HttpResponse) -> Any:
    """Subscribe to the events of an entity from now on. The same under its id is answered 200, something else 409.

    A secret that is made here is in this answer and in no other.
    """
    caller = caller_of(request)
    outcome = subscriptions.create(caller.tenant, payload.draft(), is_test=caller.is_test, now=now())
    return Status(201 if outcome.is_new else 200, _answer(outcome, response, as_sent=payload.id))


@router.put(PATH)
def replace_named_subscription(
    request: HttpRequest, payload: SubscriptionBody, response: HttpResponse
) -> dict[str, Any]:
    """Replace the subscription that the body names. Its destination is tried again at once."""
    if not payload.ref:
        raise Unreadable(400, "invalid_request", MISSING, "id")
    return _replace(request, response, payload.ref, payload)


@router.get(PATH)
def list_subscriptions(
    request: HttpRequest, filters: Query[ListFilter], response: HttpResponse
) -> list[dict[str, Any]]:
    """Those that are active, in the order in which they were made."""
    rows = mine(request)
    if filters.active != "all":
        rows = rows.filter(is_active=filters.active == "true")
    data, following = page_of(rows, filters, subscription)
    link_next(request, response, following)
    return data


@router.put(PATH + "/{path:ref}/deactivate")
def deactivate_subscription(request: HttpRequest, ref: str) -> dict[str, Any]:
    """Forward nothing more. What waits is cancelled; twice is once."""
    subscriptions.deactivate(to_change(request, ref), now=now())
    return DEACTIVATED


@router.post(PATH + "/{path:ref}/rotate-secret")
def rotate_secret(request: HttpRequest, ref: str, response: HttpResponse) -> dict[str, Any]:
    """Make a new secret, which is in this answer and in no other. The one before it signs, too, for 24 hours."""
    return _answer(subscriptions.rotate(to_change(request, ref), now=now()), response)


@router.get(PATH + "/{path:ref}")
def get_subscription(request: HttpRequest, ref: str, response: HttpResponse) -> dict[str, Any]:
    """One subscription, active or not. That we ended it ourselves, and why, is among the warnings."""
    row = find_by_ref(request, ref)
    warn(response, warnings(row))
    return subscription(row)


@router.put(PATH + "/{path:ref}")
def replace_subscription(
    request: HttpRequest, ref: str, payload: SubscriptionBody, response: HttpResponse
) -> dict[str, Any]:
    """Replace a subscription. Its destination is tried again at once."""
    return _replace(request, response, ref, payload)


def mine(request: HttpRequest) -> Subscriptions:
    """Return the caller's subscriptions."""
    return Subscription.objects.of(tenant_of(request)).select_related("lane", "tenant")


def find_by_ref(request: HttpRequest, ref: str) -> Subscription:
    """Return the caller's subscription of this id.

    :raises Http404: there is none, or it is another tenant's
    """
    row = None if complaint_of_text(ref, 255) else mine(request).filter(ref=ref).first()
    if row is None:
        raise Http404
    return row


def to_change(request: HttpRequest, ref: str) -> Subscription:
    """Return the caller's subscription of this id, if they may do something with it.

    :raises Http404, LiveSubscription:
    """
    row = find_by_ref(request, ref)
    subscriptions.check_may_change(row, is_test=caller_of(request).is_test)
    return row


def _replace(
    request: HttpRequest, response: HttpResponse, ref: str, payload: SubscriptionBody
) -> dict[str, Any]:
    row = to_change(request, ref)
    if payload.ref and payload.ref != row.ref:
        raise Unreadable(400, "id_differs", f"This is {ref_of(row)}; an id cannot be changed.", "id")
    return _answer(subscriptions.replace(row, payload.draft(), now=now()), response)


def _answer(outcome: Outcome, response: HttpResponse, as_sent: Any = None) -> dict[str, Any]:
    row = outcome.subscription
    warn(response, warnings(row))
    if outcome.made:
        # Kept for a repeated request, it would lie in the database as it is.
        kept = json.dumps(subscription(row, as_sent=as_sent)).encode()
        response.kept_content = kept  # type: ignore[attr-defined]
    return subscription(row, made=outcome.made, as_sent=as_sent)
