"""Idempotency-Key: the final answer to a POST is kept in the transaction of its effect, and given again.

Twins that run at the same time meet at a unique row in the database, not in a cache: one does the work, the other
waits for a lock and then either gets the answer or is told to come again.
"""

import hashlib
import re
from contextlib import nullcontext
from typing import Any

from django.db import OperationalError, transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from clarion.api.auth import caller_of
from clarion.api.clock import now
from clarion.api.event_posts import SCOPE, NoTurn, brings_events, events_in, no_turn
from clarion.api.middleware import Handler
from clarion.api.problems import problem_response, unavailable
from clarion.api.streams import is_stream
from clarion.flows.callers import Caller, NotIdentified, WrongTenant
from clarion.flows.retention import served_before
from clarion.models import IdempotencyRecord
from clarion.models.transactions import is_lock_conflict

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
# A request that was wrong, came too often, or met a fault of ours may be tried again under the same key.
_NOT_KEPT = frozenset({400, 401, 403, 413, 415, 429})
_KEPT_HEADERS = ("Content-Type", "Clarion-Seq", "Clarion-Warnings", "Link", "Location")


class IdempotencyKeys:
    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        key = request.headers.get("Idempotency-Key")
        if request.method != "POST" or key is None or request.path_info.startswith("/admin"):
            return self._handler(request)
        if is_stream(request.method, request.path_info):
            # Nobody has read it yet, so nothing says whether it is the same again. It does no harm twice.
            return self._handler(request)
        if not _KEY.fullmatch(key):
            detail = "Idempotency-Key has 1 to 255 visible ASCII characters."
            return problem_response(request, 400, "bad_idempotency_key", detail)
        try:
            caller = caller_of(request)
        except (NotIdentified, WrongTenant):
            return self._handler(request)
        brings = brings_events(request.method, request.path_info) and caller.may(SCOPE)
        try:
            # Before the transaction: it may take seconds, and on SQLite nobody else could write meanwhile.
            with events_in(request) if brings else nullcontext():
                return self._once(request, caller, key)
        except NoTurn:
            return no_turn(request)
        except OperationalError as error:
            return _twin(request) if is_lock_conflict(error) else unavailable(request, error)

    def _once(self, request: HttpRequest, caller: Caller, key: str) -> HttpResponseBase:
        digest = _sha256(f"{request.method} {request.path_info} {caller.is_test} {key}".encode())
        fingerprint = _sha256(request.META.get("QUERY_STRING", "").encode() + b"\n" + request.body)
        with transaction.atomic():
            record, is_new = _record(caller, digest, fingerprint)
            if not is_new:
                return _replay(request, record, fingerprint)
            response = self._handler(request)
            if response.status_code in _NOT_KEPT or response.status_code >= 500 or response.streaming:
                transaction.set_rollback(True)
                return response
            record.status = response.status_code
            record.headers = {name: response[name] for name in _KEPT_HEADERS if name in response}
            # What was said once, and is not to be said again, is left out.
            record.body = getattr(response, "kept_content", getattr(response, "content", b""))
            record.save()
            return response


def _record(caller: Caller, digest: str, fingerprint: str) -> tuple[IdempotencyRecord, bool]:
    rows = IdempotencyRecord.objects.of(caller.tenant).filter(digest=digest)
    rows.outdated(served_before(caller.tenant, "keep_answers_hours", now())).delete()
    new: dict[str, Any] = {"fingerprint": fingerprint, "created_at": now()}
    record, is_new = rows.get_or_create(tenant=caller.tenant, digest=digest, defaults=new)
    return record, is_new


def _replay(request: HttpRequest, record: IdempotencyRecord, fingerprint: str) -> HttpResponse:
    if record.fingerprint != fingerprint:
        detail = "This Idempotency-Key was used for another request; its body differs from this one."
        return problem_response(request, 422, "idempotency_key_reused", detail)
    response = HttpResponse(bytes(record.body), status=record.status or 500)
    del response.headers["Content-Type"]
    for name, value in record.headers.items():
        response.headers[name] = value
    response.headers["Idempotent-Replayed"] = "true"
    return response


def _twin(request: HttpRequest) -> HttpResponse:
    detail = "A request with this Idempotency-Key is running."
    response = problem_response(request, 409, "idempotency_key_running", detail)
    response.headers["Retry-After"] = "1"
    return response


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
