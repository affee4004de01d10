"""`POST /api/v1/mailings/preview`: what a mailing would come to, before anybody makes it."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router

from clarion.api.auth import Requires, caller_of
from clarion.api.clock import now
from clarion.api.faces import by_status_and_reason
from clarion.api.mailing_bodies import WINDOW_OVER, MailingBody, of_draft
from clarion.api.wire import warn
from clarion.flows import previews
from clarion.flows.drafts import Draft
from clarion.flows.previews import Preview, Sample
from clarion.lib.segments import measure
from clarion.lib.times import wire_time
from clarion.models.audiences import Labelled

router = Router(auth=Requires("mailings"), tags=["mailings"])


@router.post("/api/v1/mailings/preview")
def preview_mailing(request: HttpRequest, payload: MailingBody, response: HttpResponse) -> dict[str, Any]:
    """Show whom a mailing with this body would reach, with what, and until when. Nothing is stored."""
    caller, moment = caller_of(request), now()
    draft = Draft(**of_draft(payload.model_dump()))
    found = previews.preview(caller.tenant, draft, is_test=caller.is_test, now=moment)
    warn(response, [WINDOW_OVER] if draft.ends_at <= moment else [])
    return _presented(found)


def _presented(found: Preview) -> dict[str, Any]:
    audience = found.overview.count
    return {
        "audience": audience,
        "operators": _labelled("operator_code", found.overview.operators),
        "other_operators": audience - sum(each.customers for each in found.overview.operators),
        "tags": _labelled("tag", found.overview.tags),
        "other_tags": audience - sum(each.customers for each in found.overview.tags),
        "statuses": by_status_and_reason([(*key, count) for key, count in found.counts.items()]),
        "closed_timezones": [
            {"timezone": zone or None, "count": count} for zone, count in found.closed_zones.items()
        ],
        "rate_per_second": found.rate,
        "seconds": None if found.seconds is None else round(found.seconds, 3),
        "starts": wire_time(found.begins_at),
        "done": found.done_at and wire_time(found.done_at),
        "samples": [_sample(each) for each in found.samples],
    }


def _labelled(name: str, found: list[Labelled]) -> list[dict[str, Any]]:
    return [{name: each.label, "count": each.customers} for each in found]


def _sample(sample: Sample) -> dict[str, Any]:
    """Show a text with what it takes on a network, or why there is none."""
    if sample.problem:
        return {"client": sample.customer_id, "text": None, "problem": sample.problem}
    return {"client": sample.customer_id, "text": sample.text, **measure(sample.text)._asdict()}
