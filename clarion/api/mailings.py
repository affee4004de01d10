"""Mailings: one row with two faces, `/api/v1/mailings` and `/api/mailing`, and what became of their messages."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema, Status

from clarion.api.auth import Requires, caller_of
from clarion.api.clock import now
from clarion.api.faces import by_status, mailing, mailing_in_full, mailing_report, message, short_mailing
from clarion.api.mailing_bodies import (
    WINDOW_OVER,
    MailingBody,
    MailingChange,
    ShortMailingBody,
    ShortMailingChange,
    of_draft,
    of_short_face,
)
from clarion.api.problems import Unreadable
from clarion.api.wire import Page, Search, check_id, find, link_next, page_of, tenant_of, warn
from clarion.flows import mailings
from clarion.flows.drafts import Draft
from clarion.models import Mailing, MailingCount, Message
from clarion.models.mailings import Mailings

router = Router(auth=Requires("mailings"), tags=["mailings"])


class MessageFilter(Schema):
    status: Search | None = None


@router.post("/api/v1/mailings", response={201: dict[str, Any]})
def create_mailing(request: HttpRequest, payload: MailingBody, response: HttpResponse) -> Any:
    """Make a mailing. Inside its window it starts at once, before it by itself."""
    row = _create(request, response, payload.model_dump())
    return Status(201, mailing(row, account_was_named=bool(payload.gateway_account)))


@router.get("/api/v1/mailings")
def statistics(request: HttpRequest) -> dict[str, Any]:
    """What became of all messages of all mailings. Deleted mailings go on counting in `message_data`."""
    counts = MailingCount.objects.of(tenant_of(request)).without_tests().by_state()
    return {"message_data": by_status(counts), "total_mailings": _mine(request).count()}


@router.get("/api/v1/mailings/list")
def list_mailings(request: HttpRequest, page: Query[Page]) -> dict[str, Any]:
    data, following = page_of(_mine(request).select_related("account"), page, mailing_in_full)
    return {"data": data, "next": following}


@router.get("/api/v1/mailings/{int:mailing_id}")
def mailing_statistics(request: HttpRequest, mailing_id: int) -> dict[str, Any]:
    """What became of the messages of one mailing."""
    return {"message_data": by_status(find(_mine(request), mailing_id).counts.by_state())}


@router.put("/api/v1/mailings/{int:mailing_id}")
def replace_mailing(
    request: HttpRequest, mailing_id: int, payload: MailingBody, response: HttpResponse
) -> dict[str, Any]:
    """Replace a mailing that has not started; 409 afterwards."""
    row = _change(request, response, mailing_id, payload.model_dump())
    return mailing(row, account_was_named=bool(payload.gateway_account))


@router.patch("/api/v1/mailings/{int:mailing_id}")
def change_mailing(
    request: HttpRequest, mailing_id: int, payload: MailingChange, response: HttpResponse
) -> dict[str, Any]:
    row = _change(request, response, mailing_id, payload.model_dump(exclude_unset=True))
    return mailing(row, account_was_named=bool(payload.gateway_account))


@router.delete("/api/v1/mailings/{int:mailing_id}", response={204: None})
def delete_mailing(request: HttpRequest, mailing_id: int) -> Any:
    mailings.delete(_to_change(request, mailing_id), now=now())
    return Status(204, None)


@router.post("/api/v1/mailings/{int:mailing_id}/pause")
def pause_mailing(request: HttpRequest, mailing_id: int) -> dict[str, Any]:
    """Let nothing more leave until it is resumed. What is under way ends; the window does not wait."""
    return mailing_in_full(mailings.pause(_to_change(request, mailing_id), now=now()))


@router.post("/api/v1/mailings/{int:mailing_id}/resume")
def resume_mailing(request: HttpRequest, mailing_id: int) -> dict[str, Any]:
    return mailing_in_full(mailings.resume(_to_change(request, mailing_id), now=now()))


@router.post("/api/v1/mailings/{int:mailing_id}/cancel")
def cancel_mailing(request: HttpRequest, mailing_id: int) -> dict[str, Any]:
    """End it now: what waits becomes CANCELLED."""
    return mailing_in_full(mailings.cancel(_to_change(request, mailing_id), now=now()))


@router.get("/api/v1/mailings/{int:mailing_id}/report")
def report(request: HttpRequest, mailing_id: int) -> dict[str, Any]:
    """The accounts of a mailing: they add up to what is materialised, and to the audience once that is complete."""
    return mailing_report(find(_mine(request), mailing_id))


@router.get("/api/v1/mailings/{int:mailing_id}/messages")
def mailing_messages(
    request: HttpRequest, mailing_id: int, page: Query[Page], filters: Query[MessageFilter]
) -> dict[str, Any]:
    """The messages of one mailing; 410 once they have served their time."""
    row = find(_mine(request), mailing_id)
    if row.pruned:
        detail = "The messages were kept as long as they are to be; the report has their counts."
        raise Unreadable(410, "messages_gone", detail)
    rows = Message.objects.of(tenant_of(request)).filter(mailing=row)
    rows = rows.with_status(filters.status) if filters.status is not None else rows
    data, following = page_of(rows, page, message)
    return {"data": data, "next": following}


@router.post("/api/mailing", response={201: dict[str, Any]})
def create_short_mailing(request: HttpRequest, payload: ShortMailingBody, response: HttpResponse) -> Any:
    """Make a mailing, in the other face of the same row."""
    return Status(201, short_mailing(_create(request, response, of_short_face(payload.model_dump()))))


@router.get("/api/mailing")
def list_short_mailings(
    request: HttpRequest, page: Query[Page], response: HttpResponse
) -> list[dict[str, Any]]:
    data, following = page_of(_mine(request), page, short_mailing)
    link_next(request, response, following)
    return data


@router.get("/api/mailing/{int:mailing_id}")
def get_short_mailing(request: HttpRequest, mailing_id: int) -> dict[str, Any]:
    return short_mailing(find(_mine(request), mailing_id))


@router.put("/api/mailing/{int:mailing_id}")
def replace_short_mailing(
    request: HttpRequest, mailing_id: int, payload: ShortMailingBody, response: HttpResponse
) -> dict[str, Any]:
    fields = of_short_face(payload.model_dump())
    return short_mailing(_change(request, response, mailing_id, fields))


@router.patch("/api/mailing/{int:mailing_id}")
def change_short_mailing(
    request: HttpRequest, mailing_id: int, payload: ShortMailingChange, response: HttpResponse
) -> dict[str, Any]:
    fields = of_short_face(payload.model_dump(exclude_unset=True))
    return short_mailing(_change(request, response, mailing_id, fields))


@router.delete("/api/mailing/{int:mailing_id}", response={204: None})
def delete_short_mailing(request: HttpRequest, mailing_id: int) -> Any:
    return delete_mailing(request, mailing_id)


def _mine(request: HttpRequest) -> Mailings:
    return Mailing.objects.of(tenant_of(request)).alive()


def _to_change(request: HttpRequest, mailing_id: int) -> Mailing:
    row = find(_mine(request).select_related("account"), mailing_id)
    mailings.check_may_change(row, is_test=caller_of(request).is_test)
    return row


def _create(request: HttpRequest, response: HttpResponse, fields: dict[str, Any]) -> Mailing:
    caller = caller_of(request)
    row = mailings.create(caller.tenant, Draft(**of_draft(fields)), is_test=caller.is_test, now=now())
    warn(response, [WINDOW_OVER] if row.ends_at <= now() else [])
    return row


def _change(request: HttpRequest, response: HttpResponse, mailing_id: int, fields: dict[str, Any]) -> Mailing:
    row = _to_change(request, mailing_id)
    check_id(row, fields)
    row = mailings.change(row, of_draft(fields), now=now())
    warn(response, [WINDOW_OVER] if row.ends_at <= now() else [])
    return row
