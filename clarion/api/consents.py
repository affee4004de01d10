"""The ledger, read only: what somebody said about being written to and what holds now, and where nothing is sent."""

from typing import Any

from django.http import Http404, HttpRequest
from ninja import Query, Router

from clarion.api.auth import Requires
from clarion.api.wire import Page, page_of, tenant_of
from clarion.flows import consents
from clarion.flows.consents import Holding
from clarion.lib.comparable import complaint_of_text
from clarion.lib.times import wire_time
from clarion.models import Consent, Suppression
from clarion.models.consents import LedgerRow

router = Router(auth=Requires("customers"), tags=["consents"])


@router.get("/api/v1/customers/{path:ref}/consents")
def get_consents(request: HttpRequest, ref: str, page: Query[Page]) -> dict[str, Any]:
    """What holds now for somebody, channel by channel and class by class, and all they ever said, in its order.

    `now` is what the next message to them will be asked; of channels and classes it does not name nothing was said,
    and messages go.
    """
    if complaint_of_text(ref, 255):
        raise Http404
    person = consents.about(tenant_of(request), ref)
    if not person.is_known:
        raise Http404
    data, following = page_of(person.history, page, _said)
    return {"now": [_holding(each) for each in person.holding()], "data": data, "next": following}


@router.get("/api/v1/suppressions")
def list_suppressions(request: HttpRequest, page: Query[Page]) -> dict[str, Any]:
    """The addresses, and where none is known the people, that nothing is sent to."""
    rows = Suppression.objects.of(tenant_of(request)).in_force()
    data, following = page_of(rows, page, _suppression)
    return {"data": data, "next": following}


def _holding(each: Holding) -> dict[str, Any]:
    return {
        "channel": each.channel,
        "class": each.message_class,
        "may": each.may,
        "because": each.because,
        "since": wire_time(each.since),
    }


def _said(row: Consent) -> dict[str, Any]:
    return {"id": row.pk, "class": row.message_class, "verdict": row.verdict, **_shared(row)}


def _suppression(row: Suppression) -> dict[str, Any]:
    return {
        "id": row.pk,
        "address": row.address or None,
        "client": row.customer_id,
        "external_id": row.ref or None,
        "reason": row.reason,
        **_shared(row),
    }


def _shared(row: LedgerRow) -> dict[str, Any]:
    return {
        "channel": row.channel,
        "at": wire_time(row.at),
        "who": row.actor,
        "how": row.source,
        "message": row.message_id,
        "event": row.seq,
    }
