"""The fast lane: a whole body in, an answer out, on the event loop.

It answers what is plain, under the same rules as everything else: same forms, problems, scopes, request ids. A request
with anything unusual about it (an Idempotency-Key, a foreign Host or Origin, a credential that is not good) it leaves
to Django, whose refusal is then the refusal.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import structlog
from django.conf import settings

from clarion.api.clock import now
from clarion.api.event_posts import FORMS, SCOPE, Reply, Sent, read_events, reply_to
from clarion.api.middleware import REQUESTS, SECONDS, is_own_host, request_id_of
from clarion.api.problems import Unreadable
from clarion.flows.callers import Caller, NotIdentified, WrongTenant, identify
from clarion.flows.events import Arrival, Outcome
from clarion.intake.writer import Full, Parcel, Unavailable, Writer, drop_connection, is_outage
from clarion.lib.logs import code_of, mistake
from clarion.lib.problems import MEDIA_TYPE, Problem

log = structlog.get_logger()

# How long a credential that was good is taken for good, s: so long a revoked key may still bring events.
TRUSTED = 2.0
# Credentials remembered at once; with more the oldest are forgotten.
MOST_TRUSTED = 1_000
# A body of so many bytes is read in less than a millisecond; a longer one would hold everybody up.
READ_AT_ONCE = 32 * 1024
# Who waits so long waits for a database that hangs; s.
PATIENCE = 20.0

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Credential = tuple[str, str]

AWAY = Problem(503, "database_unavailable", "The database does not answer; try again.")
FULL = Problem(503, "intake_full", "More events wait to be stored than may wait; try again.")
FAILED = Problem(500, "internal_error", "This is a mistake of ours. The log says more under the request id.")


class Lane:
    """An ASGI app for requests whose body is whole; `others` answers what it leaves."""

    def __init__(self, others: Any) -> None:
        self._others = others
        self._writer = Writer()
        self._trusted: dict[Credential, tuple[float, Caller]] = {}
        # A thread of their own: neither a look at the keys nor a long body shall stop the loop.
        self._clerk = ThreadPoolExecutor(1, "intake-keys")
        self._reader = ThreadPoolExecutor(1, "intake-bodies")

    def close(self) -> None:
        """End the threads; every request has been answered."""
        self._writer.close()
        self._clerk.submit(drop_connection)
        self._clerk.shutdown()
        self._reader.shutdown()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        form = FORMS.get(scope["path"].removesuffix("/")) if scope["method"] == "POST" else None
        if form is None:
            await self._others(scope, receive, send)
            return
        began = time.perf_counter()
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        caller = await self._caller(headers)
        if caller is None:
            await self._others(scope, receive, send)
            return
        body = (await receive())["body"]
        request_id = request_id_of(headers.get("x-request-id", ""))
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            reply = await self._answer(form, body, headers, caller)
            await _say(send, reply, request_id)
            seconds = time.perf_counter() - began
            log.info(
                "request",
                method="POST",
                path=scope["path"],
                status=reply.status,
                ms=round(seconds * 1000, 1),
            )
        REQUESTS.labels("POST", str(reply.status)).inc()
        SECONDS.observe(seconds)

    async def _caller(self, headers: dict[str, str]) -> Caller | None:
        """Return who may send events; None: leave the request to Django."""
        is_own = is_own_host(headers.get("host", ""), headers.get("origin", ""))
        if not is_own or "idempotency-key" in headers:
            return None
        credential = (headers.get("authorization", ""), headers.get("x-twc-tenant", ""))
        until, caller = self._trusted.get(credential, (0.0, None))
        if caller is None or until < time.monotonic():
            loop = asyncio.get_running_loop()
            try:
                async with asyncio.timeout(PATIENCE):
                    caller = await loop.run_in_executor(self._clerk, _identified, credential)
            except TimeoutError:
                return None
            if caller is None:
                self._trusted.pop(credential, None)
                return None
            if len(self._trusted) >= MOST_TRUSTED:
                self._trusted.pop(next(iter(self._trusted)), None)
            self._trusted[credential] = (time.monotonic() + TRUSTED, caller)
        return caller

    async def _answer(self, form: Any, body: bytes, headers: dict[str, str], caller: Caller) -> Reply:
        try:
            sent = await self._read(form, body, headers, caller)
            return reply_to(sent, await self._stored(sent, caller))
        except Unreadable as error:
            return _refusal(Problem(error.status, error.code, str(error)))
        except (Unavailable, TimeoutError):
            return _refusal(AWAY)
        except Full:
            return _refusal(FULL)
        except Exception as error:
            log.error("request_failed", **mistake(error))
            return _refusal(FAILED)

    async def _read(self, form: Any, body: bytes, headers: dict[str, str], caller: Caller) -> Sent:
        if len(body) <= READ_AT_ONCE and "content-encoding" not in headers:
            return read_events(form, body, headers, caller.tenant.zone)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._reader, read_events, form, body, headers, caller.tenant.zone)

    async def _stored(self, sent: Sent, caller: Caller) -> list[Outcome]:
        """Return what became of the good events, once that is on the disk."""
        if not sent.good:
            return []
        loop = asyncio.get_running_loop()
        told: asyncio.Future[list[Outcome]] = loop.create_future()

        def tell(result: list[Outcome] | Exception) -> None:
            loop.call_soon_threadsafe(_settle, told, result)

        arrivals = [Arrival(caller.tenant, draft, caller.is_test) for draft in sent.good]
        self._writer.put(Parcel(arrivals, sum(len(draft.body) for draft in sent.good), tell))
        async with asyncio.timeout(PATIENCE):
            return await told


def _settle(told: "asyncio.Future[list[Outcome]]", result: list[Outcome] | Exception) -> None:
    if told.done():
        return  # whoever waited has given up
    if isinstance(result, Exception):
        told.set_exception(result)
    else:
        told.set_result(result)


def _identified(credential: Credential) -> Caller | None:
    try:
        caller = identify(*credential, is_development=settings.CLARION.dev, now=now())
        return caller if caller.may(SCOPE) else None
    except (NotIdentified, WrongTenant):
        return None
    except Exception as error:
        if not is_outage(error):
            raise
        log.warning("database_unavailable", error=type(error).__name__, code=code_of(error))
        drop_connection()
        return None


def _refusal(problem: Problem) -> Reply:
    return Reply(problem.status, problem)


async def _say(send: Send, reply: Reply, request_id: str) -> None:
    is_problem = isinstance(reply.document, Problem)
    shown = reply.document.to_dict(request_id) if isinstance(reply.document, Problem) else reply.document
    body = msgspec.json.encode(shown)
    headers = [
        (b"content-type", MEDIA_TYPE.encode() if is_problem else b"application/json; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"x-request-id", request_id.encode()),
    ]
    if reply.seq is not None:
        headers.append((b"clarion-seq", str(reply.seq).encode()))
    if reply.warnings:
        headers.append((b"clarion-warnings", "; ".join(reply.warnings).encode()))
    if reply.status == 503:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
