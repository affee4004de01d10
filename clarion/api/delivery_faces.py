"""How deliveries, their tries, and what somebody asked to be sent once more look on the wire."""

from collections.abc import Mapping
from typing import Any

from clarion.api.subscription_bodies import ref_of
from clarion.flows.deliveries import FailureGroup
from clarion.lib.times import wire_time
from clarion.models import Delivery, DeliveryAttempt, Redelivery
from clarion.outbox.deliveries import parcel_id


def delivery(row: Delivery, event_ids: Mapping[int, str]) -> dict[str, Any]:
    """Present a delivery. `message_id` is what the receiver knows it by; `event_id` is null once the log has dropped it."""
    return {
        "id": row.pk,
        "subscription": ref_of(row.subscription),
        "event_id": None if row.seq is None else event_ids.get(row.seq),
        "seq": row.seq,
        "test": row.seq is None,
        "redelivery": row.redelivery_id or None,
        "message_id": parcel_id(row.subscription, row.pk),
        "status": row.status,
        "reason": row.reason or None,
        "code": row.code or None,
        "tries": row.tries,
        "created": wire_time(row.created_at),
        "due": wire_time(row.due_at) if row.finished_at is None else None,
        "deadline": wire_time(row.deadline_at),
        "last_try": row.sending_at and wire_time(row.sending_at),
        "finished": row.finished_at and wire_time(row.finished_at),
    }


def attempt(row: DeliveryAttempt) -> dict[str, Any]:
    """Present a try that did not go right at once; a late one came when another had taken its place."""
    return {
        "number": row.number,
        "started": row.started_at and wire_time(row.started_at),
        "ended": wire_time(row.ended_at),
        "outcome": row.outcome,
        "code": row.code or None,
        "detail": row.detail or None,
        "excerpt": row.excerpt or None,
        "late": row.is_late,
    }


def failure(group: FailureGroup) -> dict[str, Any]:
    """Present deliveries that failed alike."""
    return {
        "reason": group.reason or None,
        "code": group.code or None,
        "count": group.size,
        "first": wire_time(group.first_at),
        "last": wire_time(group.last_at),
        "newest": group.newest_id,
        "excerpt": group.excerpt or None,
    }


def redelivery(row: Redelivery) -> dict[str, Any]:
    """Present what somebody asked to be sent once more: who and what, and how far it has come."""
    is_whole = row.cursor >= row.until
    status = "RUNNING" if row.finished_at is None else "DONE" if is_whole else "STOPPED"
    span: dict[str, Any] = (
        {"after_seq": row.after, "until_seq": row.until, "filter": row.filter, "looked_at": row.cursor}
        if row.kind == Redelivery.REPLAY
        else {"since": row.since and wire_time(row.since)}
    )
    return {
        "id": row.pk,
        "subscription": ref_of(row.subscription),
        "kind": row.kind.upper(),
        "status": status,
        **span,
        "found": row.found,
        "done": row.done,
        "asked_by": row.asked_by,
        "created": wire_time(row.created_at),
        "finished": row.finished_at and wire_time(row.finished_at),
    }
