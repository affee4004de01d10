"""From what went wrong to RFC 9457 problem+json. One error of a flow is one line here."""

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation, TooManyFieldsSent
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from clarion.api.auth import ScopeMissing
from clarion.flows import (
    callers,
    deliveries,
    drafts,
    events,
    imports,
    mailings,
    redeliveries,
    subscriptions,
    test_sends,
    uploads,
)
from clarion.flows.destination_settings import BadDestination
from clarion.flows.event_forms import BadEvent
from clarion.lib.filters import BadFilter
from clarion.lib.guesses import NoTable
from clarion.lib.logs import code_of, mistake
from clarion.lib.problems import MEDIA_TYPE, FieldError, Problem
from clarion.lib.texts import BadText

log = structlog.get_logger()

# What a flow refuses: status, code. The sentence is the error's own.
REFUSALS: dict[type[Exception], tuple[int, str]] = {
    callers.NotIdentified: (401, "not_identified"),
    callers.WrongTenant: (403, "wrong_tenant"),
    ScopeMissing: (403, "scope_missing"),
    mailings.AlreadyStarted: (409, "already_started"),
    mailings.AlreadyOver: (409, "already_over"),
    mailings.LiveMailing: (403, "live_mailing"),
    subscriptions.LiveSubscription: (403, "live_subscription"),
    subscriptions.IdTaken: (409, "id_taken"),
    subscriptions.Inactive: (409, "subscription_inactive"),
    subscriptions.NoSecret: (409, "no_secret"),
    deliveries.StillOpen: (409, "delivery_open"),
    deliveries.AlreadySent: (409, "already_sent"),
    deliveries.EventGone: (409, "event_gone"),
    deliveries.TriedOnce: (409, "tried_once"),
    imports.AlreadyOver: (409, "already_over"),
    uploads.EmptyFile: (400, "empty_file"),
    NoTable: (415, "not_a_table"),
    test_sends.CannotShow: (400, "cannot_render"),
    test_sends.EmptyAudience: (409, "empty_audience"),
}
# What a flow finds wrong in one member of the body.
WRONG_MEMBERS: dict[type[Exception], str] = {
    drafts.EndsBeforeStart: "end_time",
    drafts.NoLocalHours: "local_until",
    drafts.NoSuchAccount: "gateway_account",
    test_sends.NoSuchClient: "client",
    BadFilter: "filter",
    BadText: "text",
}
INVALID = "invalid_request"
# Where the validator's own sentence speaks of our classes or of Python.
_SENTENCES = {
    "extra_forbidden": "There is no such member.",
    "missing": "This is missing.",
    "model_type": "This must be an object.",
    "string_unicode": "This must be valid Unicode: there is half of a surrogate pair in it.",
}


# Takes the request and the error; the type of the error is the table's key.
Handler = Callable[[HttpRequest, Any], HttpResponse]


class Unreadable(Exception):
    """The body cannot be taken at all, or not for this row; `member` is the one to blame, where it is one."""

    def __init__(self, status: int, code: str, detail: str, member: str = "") -> None:
        super().__init__(detail)
        self.status, self.code, self.member = status, code, member


# What whoever asks the lane is told as well, and who asks Django.
DATABASE_AWAY = Problem(503, "database_unavailable", "The database does not answer; try again.")
INTAKE_FULL = Problem(503, "intake_full", "More events wait to be stored than may wait; try again.")


def problem_response(
    request: HttpRequest, status: int, code: str, detail: str, errors: Sequence[FieldError] = ()
) -> HttpResponse:
    """Return the answer for a problem; `errors` name the wrong members."""
    problem = Problem(status=status, code=code, detail=detail, errors=errors)
    body = json.dumps(problem.to_dict(getattr(request, "request_id", "")))
    response = HttpResponse(body, status=status, content_type=MEDIA_TYPE)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def install(api: NinjaAPI) -> None:
    """Teach the API every error it may meet."""
    for kind, (status, code) in REFUSALS.items():
        api.add_exception_handler(kind, _refusal(status, code))
    for kind, member in WRONG_MEMBERS.items():
        api.add_exception_handler(kind, _wrong_member(member))
    others: dict[type[Exception], Handler] = {
        ValidationError: _invalid,
        Unreadable: _unreadable,
        events.Pruned: _pruned,
        BadDestination: lambda r, e: _wrong_members(r, e.errors, "destination"),
        BadEvent: lambda r, e: _wrong_members(r, e.errors),
        redeliveries.BadSpan: lambda r, e: _wrong_members(r, [{"loc": [e.member], "msg": str(e)}]),
        Http404: not_found,
        HttpError: _refused_by_ninja,
        RequestDataTooBig: lambda r, e: problem_response(r, 413, "body_too_long", "The body is too long."),
        TooManyFieldsSent: lambda r, e: problem_response(r, 400, "refused", "The query has too many parts."),
        SuspiciousOperation: lambda r, e: problem_response(r, 400, "refused", "This cannot be read."),
        OperationalError: unavailable,
        InterfaceError: unavailable,
        Exception: failed,
    }
    for other, handler in others.items():
        api.add_exception_handler(other, handler)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return problem_response(
        request, 404, "not_found", "There is nothing here, or it belongs to somebody else."
    )


def unavailable(request: HttpRequest, error: Exception) -> HttpResponse:
    """The database is away or busy: nothing was stored, and a moment later it may be."""
    log.warning("database_unavailable", error=type(error).__name__, code=code_of(error))
    return try_again(request, DATABASE_AWAY)


def try_again(request: HttpRequest, problem: Problem) -> HttpResponse:
    """Return the answer for a problem that a moment later may be none."""
    response = problem_response(request, problem.status, problem.code, problem.detail)
    response.headers["Retry-After"] = "1"
    return response


def failed(request: HttpRequest, error: Exception | None = None) -> HttpResponse:
    """A mistake of ours. The log says where under the request id, and repeats no value of the request."""
    # Django calls without the error, while it is still being handled.
    caught = error or sys.exception()
    log.error("request_failed", **(mistake(caught) if caught else {}))
    detail = "This is a mistake of ours. The log says more under the request id."
    return problem_response(request, 500, "internal_error", detail)


def _refusal(status: int, code: str) -> Handler:
    return lambda request, error: problem_response(request, status, code, str(error))


def _wrong_member(member: str) -> Handler:
    def handle(request: HttpRequest, error: Exception) -> HttpResponse:
        return problem_response(request, 400, INVALID, str(error), [{"loc": [member], "msg": str(error)}])

    return handle


def _unreadable(request: HttpRequest, error: Unreadable) -> HttpResponse:
    sentence = str(error)
    errors: list[FieldError] = [{"loc": [error.member], "msg": sentence}] if error.member else []
    return problem_response(request, error.status, error.code, sentence, errors)


def _wrong_members(request: HttpRequest, found: Sequence[FieldError], *above: str) -> HttpResponse:
    errors: list[FieldError] = [{"loc": [*above, *each["loc"]], "msg": each["msg"]} for each in found]
    named = ", ".join(sorted({".".join(map(str, each["loc"])) or "body" for each in errors}))
    return problem_response(request, 400, INVALID, f"Wrong or missing: {named}.", errors)


def _pruned(request: HttpRequest, error: events.Pruned) -> HttpResponse:
    response = problem_response(request, 410, "log_pruned", str(error))
    response.headers["Clarion-First-Seq"] = str(error.first_seq)
    return response


def _refused_by_ninja(request: HttpRequest, error: HttpError) -> HttpResponse:
    # Whatever a parser raises, Ninja hides behind an error of its own that says less.
    if isinstance(error.__cause__, Unreadable):
        return _unreadable(request, error.__cause__)
    return problem_response(request, error.status_code, "refused", str(error))


def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    errors: list[FieldError] = [{"loc": _place(item["loc"]), "msg": _sentence(item)} for item in error.errors]
    named = ", ".join(sorted({".".join(map(str, item["loc"])) or "body" for item in errors}))
    return problem_response(request, 400, INVALID, f"Wrong or missing: {named}.", errors)


def _place(loc: Sequence[Any]) -> list[Any]:
    # Ninja puts where the value came from in front of the member, and its own name for a body.
    return list(loc[2:] if loc[0] == "body" else loc[1:])


def _sentence(item: dict[str, Any]) -> str:
    sentence = _SENTENCES.get(item["type"])
    return sentence or str(item["msg"])
