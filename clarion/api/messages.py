"""Messages, read only, in two faces: `/api/v1/messages` and `/api/message`."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema

from clarion.api.auth import Requires
from clarion.api.faces import engagement, message, message_of_test, short_message
from clarion.api.wire import Id, Page, Search, find, link_next, page_of, tenant_of
from clarion.models import Engagement, Message
from clarion.models.messages import Messages

router = Router(auth=Requires("mailings"), tags=["messages"])
# Shown with a message; whoever opens a mail more often than this is a program that keeps looking.
MOST_ENGAGEMENTS = 100


class MessageFilter(Schema):
    mailing: Id | None = None
    client: Id | None = None
    status: Search | None = None


@router.get("/api/v1/messages")
def list_messages(request: HttpRequest, page: Query[Page], filters: Query[MessageFilter]) -> dict[str, Any]:
    data, following = page_of(_filtered(request, filters), page, message)
    return {"data": data, "next": following}


@router.get("/api/v1/messages/{int:message_id}")
def get_message(request: HttpRequest, message_id: int) -> dict[str, Any]:
    row = find(Message.objects.of(tenant_of(request)).select_related("mailing"), message_id)
    shown = message(row) if row.mailing.test_of_id is None else message_of_test(row)
    happened = Engagement.objects.of(tenant_of(request)).of_messages([row.pk])
    return {**shown, "engagements": [engagement(each) for each in happened[:MOST_ENGAGEMENTS]]}


@router.get("/api/message")
def list_short_messages(
    request: HttpRequest, page: Query[Page], filters: Query[MessageFilter], response: HttpResponse
) -> list[dict[str, Any]]:
    data, following = page_of(_filtered(request, filters), page, short_message)
    link_next(request, response, following)
    return data


@router.get("/api/message/{int:message_id}")
def get_short_message(request: HttpRequest, message_id: int) -> dict[str, Any]:
    return short_message(find(Message.objects.of(tenant_of(request)).without_tests(), message_id))


def _filtered(request: HttpRequest, filters: MessageFilter) -> Messages:
    rows = Message.objects.of(tenant_of(request)).without_tests()
    if filters.mailing is not None:
        rows = rows.filter(mailing_id=filters.mailing)
    if filters.client is not None:
        rows = rows.filter(customer_id=filters.client)
    return rows.with_status(filters.status) if filters.status is not None else rows
