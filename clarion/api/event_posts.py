"""Events that come in: `POST /receive_event/` for mail events, `POST /api/v1/events` for those of entities.

One event, an array, or lines of JSON; packed with gzip or not. What is told here holds for `intake/` as well, which
answers the same calls sooner.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import tzinfo
from typing import Any

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Router

from clarion.api.auth import Requires, caller_of
from clarion.api.clock import now
from clarion.api.problems import INTAKE_FULL, INVALID, Unreadable, problem_response, try_again
from clarion.api.wire import warn
from clarion.flows import event_forms, events
from clarion.flows.event_forms import LARGEST_EVENT, BadEvent, Draft, Form
from clarion.flows.events import CONFLICT, KNOWN, STORED, Arrival, Outcome
from clarion.lib import bundles
from clarion.lib.problems import FieldError, Problem

SCOPE = "events:write"
router = Router(auth=Requires(SCOPE), tags=["events"])

# Where events are posted, and in which form.
FORMS: dict[str, Form] = {
    "/receive_event": event_forms.mail_event,
    "/api/v1/events": event_forms.entity_event,
}
# In one request (the HTTP contract).
MOST_EVENTS = 10_000
MOST_BYTES: int = settings.MOST_EVENT_BYTES
# What is wrong is told of the events in a batch up to this, bytes of JSON: some 5,000 events with one error each. Of
# those behind it, only that they were refused.
MOST_TOLD = 1024 * 1024
# A body of so many bytes is read in less than a millisecond; a longer one would hold everybody up.
READ_AT_ONCE = 32 * 1024
# Who waits so long waits for a database that hangs; s.
PATIENCE = 20.0
LINES = frozenset({bundles.LINES, "application/ndjson", "application/jsonl"})
KINDS = frozenset({"", bundles.JSON}) | LINES

# Of an answer that is no problem.
MEDIA_TYPE = "application/json; charset=utf-8"

_EVENT = {"type": "object"}
_BODIES = {
    "requestBody": {
        "required": True,
        "description": f"One event of at most {LARGEST_EVENT} bytes, or at most {MOST_EVENTS} events and "
        f"{MOST_BYTES} bytes; `Content-Encoding: gzip` may pack them.",
        "content": {
            bundles.JSON: {"schema": {"oneOf": [_EVENT, {"type": "array", "items": _EVENT}]}},
            bundles.LINES: {"schema": {"type": "string"}},
        },
    }
}
_ANSWERS = {200: dict[str, Any], 201: dict[str, Any], 207: dict[str, Any]}
# Whoever has it reads and stores a long body outside the lane. What is read of one takes up to 200 MB
# (bundles.MOST_IN_ALL), and there are 16 threads.
_turn = threading.RLock()


class NoTurn(Exception):
    """Other long bodies were not done with in time."""


def brings_events(method: str | None, path: str) -> bool:
    """Whether this request's body is events."""
    return method == "POST" and path.removesuffix("/") in FORMS


class Sent(msgspec.Struct, frozen=True):
    """What was in a body: each event, or what is wrong with it. `is_many`: an array, or lines."""

    drafts: list[Draft | BadEvent]
    is_many: bool

    @property
    def good(self) -> list[Draft]:
        return [draft for draft in self.drafts if isinstance(draft, Draft)]


class Reply(msgspec.Struct, frozen=True):
    """What is answered: JSON, or a problem. `seq` is the number of the one event that was sent."""

    status: int
    content: bytes | Problem
    warnings: list[str] = []
    seq: int | None = None


@router.post("/receive_event", response=_ANSWERS, openapi_extra=_BODIES)
def receive_event(request: HttpRequest) -> HttpResponse:
    """Store what somebody did with a mail, or bought."""
    return _receive(request)


@router.post("/api/v1/events", response=_ANSWERS, openapi_extra=_BODIES)
def create_event(request: HttpRequest) -> HttpResponse:
    """Store what became of an entity. The same again under its id is answered 200, something else 409."""
    return _receive(request)


def read_events(form: Form, body: bytes, kind: str, packing: str, zone: tzinfo) -> Sent:
    """Return the events in a body; `kind` and `packing` are its Content-Type and -Encoding, empty where not sent.

    :raises Unreadable: it cannot be taken as a whole
    """
    kind = kind.partition(";")[0].strip().lower()
    if kind not in KINDS:
        sentence = f"Send the body as Content-Type: {bundles.JSON} or {bundles.LINES}."
        raise Unreadable(415, "not_json", sentence)
    try:
        text = _unpacked(body, packing)
        bundle = bundles.read(text, is_lines=kind in LINES, most=MOST_EVENTS, longest=LARGEST_EVENT)
    except bundles.TooLong as error:
        raise _too_long() from error
    except bundles.NotReadable as error:
        raise Unreadable(400, "not_json", f"The body is not JSON: {error}.") from error
    if not bundle.is_many:
        if isinstance(bundle.things[0], bundles.TooDeep):
            raise Unreadable(400, "too_deep", "The body is nested too deeply.")
        if isinstance(bundle.things[0], bundles.NotReadable):
            raise Unreadable(400, "not_json", f"The body is not JSON: {bundle.things[0]}.")
    return Sent([_drafted(form, thing, zone) for thing in bundle.things], bundle.is_many)


def reply_to(sent: Sent, outcomes: Sequence[Outcome]) -> Reply:
    """Return what to answer; the outcomes are those of the good events, in their order."""
    if sent.is_many:
        document = _tally(sent, outcomes)
        warnings = {flaw for draft in sent.good for flaw in draft.flaws}
        return Reply(207 if document["errors"] else 201, msgspec.json.encode(document), sorted(warnings))
    (only,) = sent.drafts
    if isinstance(only, BadEvent):
        return Reply(400, _problem(only))
    (outcome,) = outcomes
    if outcome.kind == CONFLICT:
        return Reply(409, _taken())
    return Reply(
        201 if outcome.kind == STORED else 200, outcome.body.encode(), sorted(only.flaws), outcome.seq
    )


@contextmanager
def events_in(request: HttpRequest) -> Iterator[Sent | Unreadable]:
    """Read the events in a request, once, or find out why they cannot be; a long body's in its turn.

    Whoever opens a transaction around the route does this before: reading may take seconds, and on SQLite nobody else
    could write meanwhile.

    :raises NoTurn: others are not done with theirs
    """
    is_long = len(request.body) > READ_AT_ONCE or bool(request.headers.get("Content-Encoding"))
    if is_long and not _turn.acquire(timeout=PATIENCE):
        raise NoTurn
    try:
        known: Sent | Unreadable | None = getattr(request, "sent", None)
        if known is None:
            known = request.sent = _read(request)  # type: ignore[attr-defined]
        yield known
    finally:
        if is_long:
            _turn.release()


def no_turn(request: HttpRequest) -> HttpResponse:
    """Return the answer to a body whose turn did not come."""
    return try_again(request, INTAKE_FULL)


def _receive(request: HttpRequest) -> HttpResponse:
    try:
        with events_in(request) as sent:
            if isinstance(sent, Unreadable):
                raise sent
            return _store(request, sent)
    except NoTurn:
        return no_turn(request)


def _read(request: HttpRequest) -> Sent | Unreadable:
    kind, packing = (request.headers.get(name, "") for name in ("Content-Type", "Content-Encoding"))
    form = FORMS[request.path_info.removesuffix("/")]
    try:
        return read_events(form, request.body, kind, packing, caller_of(request).tenant.zone)
    except Unreadable as error:
        return error


def _store(request: HttpRequest, sent: Sent) -> HttpResponse:
    caller = caller_of(request)
    arrivals = [Arrival(caller.tenant, draft, caller.is_test) for draft in sent.good]
    reply = reply_to(sent, events.append(arrivals, now()) if arrivals else [])
    if isinstance(reply.content, Problem):
        problem = reply.content
        return problem_response(request, problem.status, problem.code, problem.detail, problem.errors)
    response = HttpResponse(reply.content, content_type=MEDIA_TYPE, status=reply.status)
    warn(response, reply.warnings)
    if reply.seq is not None:
        response.headers["Clarion-Seq"] = str(reply.seq)
    return response


def _unpacked(body: bytes, packing: str) -> bytes:
    packing = packing.strip().lower()
    if packing not in ("", "identity", "gzip", "x-gzip"):
        raise Unreadable(415, "unknown_encoding", "Send the body plain, or as Content-Encoding: gzip.")
    if packing in ("gzip", "x-gzip"):
        try:
            body = bundles.unpack(body, MOST_BYTES)
        except bundles.NotReadable as error:
            raise Unreadable(400, "not_json", f"The body cannot be unpacked: {error}.") from error
    if len(body) > MOST_BYTES:
        raise bundles.TooLong
    return body


def _too_long() -> Unreadable:
    sentence = (
        f"An event may have {LARGEST_EVENT} bytes, a body {MOST_EVENTS} events, {MOST_BYTES} bytes, and "
        f"{bundles.MOST_IN_ALL} members and elements."
    )
    return Unreadable(413, "body_too_long", sentence)


def _drafted(form: Form, thing: Any, zone: tzinfo) -> Draft | BadEvent:
    try:
        return form(thing, zone)
    except BadEvent as error:
        return error


def _tally(sent: Sent, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    left = iter(outcomes)
    counts = {STORED: 0, KNOWN: 0}
    errors: list[msgspec.Raw] = []
    told = 0
    for index, draft in enumerate(sent.drafts):
        problem: Problem | None = None
        if isinstance(draft, BadEvent):
            problem = _problem(draft) if told < MOST_TOLD else _untold()
        elif (outcome := next(left)).kind == CONFLICT:
            problem = _taken()
        else:
            counts[outcome.kind] += 1
        if problem is not None:
            errors.append(_refusal(index, problem))
            told += len(errors[-1])
    return {"accepted": counts[STORED], "duplicates": counts[KNOWN], "errors": errors}


def _refusal(index: int, problem: Problem) -> msgspec.Raw:
    members = {
        "index": index,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        "errors": list(problem.errors),
    }
    return msgspec.Raw(msgspec.json.encode(members))


def _untold() -> Problem:
    return Problem(400, INVALID, "This is wrong as well; mend those before it first.")


def _problem(bad: BadEvent) -> Problem:
    errors: list[FieldError] = [{"loc": list(each["loc"]), "msg": each["msg"]} for each in bad.errors]
    named = ", ".join(sorted({".".join(map(str, each["loc"])) or "body" for each in errors}))
    return Problem(400, INVALID, f"Wrong or missing: {named}.", errors=errors)


def _taken() -> Problem:
    sentence = "Another event has this id; what is stored does not change."
    return Problem(409, "id_taken", sentence, errors=[{"loc": ["id"], "msg": sentence}])
