"""What can be asked of a subscription before anything happens: whether an event is for it, and whether anything arrives."""

import threading
import time
from datetime import timedelta
from typing import Any

import msgspec
from django.conf import settings
from django.db import connection
from django.http import Http404, HttpRequest
from ninja import Router, Status

from clarion.api.auth import Requires, caller_of
from clarion.api.clock import now
from clarion.api.event_posts import read_events
from clarion.api.problems import Unreadable
from clarion.api.subscriptions import PATH, find_by_ref, to_change
from clarion.flows import event_forms, matching, test_deliveries
from clarion.flows.event_checks import MAIL_KINDS, no_id
from clarion.flows.event_forms import BadEvent, Draft
from clarion.lib.comparable import fold
from clarion.lib.times import wire_time
from clarion.models import Delivery, DeliveryAttempt, Event

router = Router(auth=Requires("subscriptions"), tags=["event subscriptions"])

# How long a caller waits for the outcome, s (the HTTP contract), and how often we look, s.
PATIENCE, PAUSE = 10.0, 0.05
# A quarter of the threads may wait; all others answer.
_WAITING = threading.BoundedSemaphore(max(1, settings.CLARION.web_threads // 4))
# Who names an event of the log in place of one.
_STORED = "event_id"

_BODY = {
    "requestBody": {
        "required": True,
        "description": 'An event as `POST /api/v1/events` takes it, or `{"event_id": …}` for one of the log.',
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}


@router.post(PATH + "/{path:ref}/match", openapi_extra=_BODY)
def match_event(request: HttpRequest, ref: str) -> dict[str, Any]:
    """Say whether an event would be forwarded, and if not, everything for which it would not. Nothing is stored."""
    subscription = find_by_ref(request, ref)
    found = matching.failures(subscription, _event_in(request).logged)
    return {
        "matches": not found,
        "failures": [{"loc": list(each.loc), "msg": each.msg} for each in found],
    }


@router.post(PATH + "/{path:ref}/test", response={200: dict[str, Any], 202: dict[str, Any]})
def send_test_event(request: HttpRequest, ref: str) -> Any:
    """Send an example to the subscriber, once, and say what came of it: 202 where that is not known within 10 seconds.

    `Prefer: respond-async` does not wait. The example's `id` begins with `clarion-test-`, and its `test` is true.
    """
    subscription = to_change(request, ref)
    delivery = test_deliveries.show(subscription, now=now())
    # Under an Idempotency-Key all of this is one transaction: nobody sends what is not there before its end.
    may_wait = (
        not connection.in_atomic_block and "respond-async" not in request.headers.get("Prefer", "").lower()
    )
    if may_wait and _WAITING.acquire(blocking=False):
        try:
            delivery = _awaited(delivery)
        finally:
            _WAITING.release()
    return Status(200 if delivery.finished_at else 202, _outcome(delivery))


def _awaited(delivery: Delivery) -> Delivery:
    give_up = time.monotonic() + PATIENCE
    while delivery.finished_at is None and time.monotonic() < give_up:
        time.sleep(PAUSE)
        delivery = Delivery.objects.of(delivery.tenant).select_related("lane").get(pk=delivery.pk)
    return delivery


def _outcome(delivery: Delivery) -> dict[str, Any]:
    tries = DeliveryAttempt.objects.of(delivery.tenant).filter(delivery=delivery).order_by("-pk")
    last = tries.first()
    seconds: timedelta | None = None
    if delivery.finished_at and delivery.sending_at:
        seconds = delivery.finished_at - delivery.sending_at
    if last is not None and last.started_at:
        seconds = last.ended_at - last.started_at
    detail = last.detail if last else ""
    lane = delivery.lane
    if delivery.finished_at is None and lane.closed_until and lane.closed_until > now():
        detail = f"The destination is not tried before {wire_time(lane.closed_until)}: {lane.closed_because}"
    return {
        "delivery": delivery.pk,
        "status": delivery.status,
        "code": delivery.code or None,
        "detail": detail or None,
        "excerpt": (last.excerpt if last else "") or None,
        "ms": None if seconds is None else round(seconds.total_seconds() * 1000, 1),
    }


def _event_in(request: HttpRequest) -> Event:
    """Return the event that a request is about, stored or not.

    :raises Http404: it names one that is not there
    """
    caller = caller_of(request)
    named = _named(request.body)
    if named is not None:
        event = Event.objects.of(caller.tenant).filter(event_id=named).first()
        if event is None:
            raise Http404
        return event
    kind, packing = (request.headers.get(name, "") for name in ("Content-Type", "Content-Encoding"))
    sent = read_events(_form, request.body, kind, packing, caller.tenant.zone)
    if sent.is_many:
        raise Unreadable(400, "invalid_request", "Ask about one event at a time.")
    draft = sent.drafts[0]
    if isinstance(draft, BadEvent):
        raise draft
    return Event(
        tenant=caller.tenant,
        event_id=draft.event_id,
        kind=draft.document["event_type"],
        entity_name=fold(draft.entity.get("entity_name") or ""),
        operation=draft.payload.get("operation") or "",
        is_test=caller.is_test,
        body=draft.body,
    )


def _named(body: bytes) -> str | None:
    """Return the id of the event that is named in place of one; None where none is."""
    try:
        members = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(members, dict) or set(members) != {_STORED}:
        return None
    if sentence := no_id(members[_STORED]):
        raise Unreadable(400, "invalid_request", sentence, _STORED)
    named = str(members[_STORED])
    if "\0" in named:
        raise Http404
    return named


def _form(sent: Any, zone: Any) -> Draft:
    is_mail = isinstance(sent, dict) and sent.get("event_type") in MAIL_KINDS
    return (event_forms.mail_event if is_mail else event_forms.entity_event)(sent, zone)
