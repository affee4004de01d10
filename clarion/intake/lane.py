"""The fast lane: a whole body in, an answer out, on the event loop.

It answers what is plain, under the same rules as everything else: same forms, problems, scopes, request ids. A request
with anything unusual about it (an Idempotency-Key, a foreign Host or Origin, a credential that is not good) it leaves
to Django, whose refusal is then the refusal.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, NamedTuple

import msgspec
import structlog

from clarion.api import event_posts
from clarion.api.event_posts import FORMS, PATIENCE, READ_AT_ONCE, Reply, Sent, read_events, reply_to
from clarion.api.middleware import REQUESTS, SECONDS, request_id_of
from clarion.api.problems import DATABASE_AWAY, INTAKE_FULL, Unreadable
from clarion.flows.callers import Caller
from clarion.flows.event_forms import Form
from clarion.flows.events import Arrival, Outcome
from clarion.intake.senders import Headers, Senders
from clarion.intake.writer import (
    MOST_WAITING_BYTES,
    Full,
    Parcel,
    Result,
    Unavailable,
    Writer,
)
from clarion.lib.logs import info_lines, mistake
from clarion.lib.problems import MEDIA_TYPE, Problem
from clarion.lib.time_limit import TimeLimit

log = structlog.get_logger()

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

AWAY = Reply(DATABASE_AWAY.status, DATABASE_AWAY)
FULL = Reply(INTAKE_FULL.status, INTAKE_FULL)
FAILED = Reply(
    500, Problem(500, "internal_error", "This is a mistake of ours. The log says more under the request id.")
)


class Waiting(NamedTuple):
    """A request that waits to be told what became of its events, on its loop."""

    loop: asyncio.AbstractEventLoop
    told: "asyncio.Future[list[Outcome]]"


class Lane:
    """Answers posted events whose body is whole, or says that somebody else has to."""

    def __init__(self) -> None:
        self._writer = Writer(self._tell)
        self.senders = Senders()
        # A thread of its own: a long body shall not stop the loop.
        self._reader = ThreadPoolExecutor(1, "intake-bodies")
        # Bytes of bodies that wait for the reader.
        self._reading = 0
        # Accepted by the writer, and not handed over yet.
        self._parcels: list[Parcel] = []
        # Lines of the log that are not written yet. Many answers leave at once, and so do their lines.
        self._lines: list[dict[str, Any]] = []

    def close(self) -> None:
        """End the threads; every request has been answered."""
        self._writer.close()
        self.senders.close()
        self._reader.shutdown()
        self._write_lines()

    async def answers(self, scope: Scope, body: bytes, send: Send) -> bool:
        """Answer a request that brings events; False, and nothing done, where that is left to Django."""
        began = time.perf_counter()
        headers: Headers = dict(scope["headers"])
        # Of a header that stands there twice it is for Django to say which one counts.
        if b"idempotency-key" in headers or len(headers) != len(scope["headers"]):
            return False
        request_id = request_id_of(headers.get(b"x-request-id", b"").decode("latin-1"))
        reply = await self._reply(FORMS[scope["path"].removesuffix("/")], body, headers, request_id)
        if reply is None:
            return False
        await _say(send, reply, request_id)
        self._note(scope["path"], reply.status, request_id, time.perf_counter() - began)
        return True

    async def _reply(self, form: Form, body: bytes, headers: Headers, request_id: str) -> Reply | None:
        try:
            # One patience for all of it: whatever hangs, nobody waits longer.
            with TimeLimit(PATIENCE):
                caller = await self.senders.who(headers)
                if caller is None:
                    return None
                sent = await self._read(form, body, headers, caller)
                return reply_to(sent, await self._stored(sent, caller))
        except Unreadable as error:
            return Reply(error.status, Problem(error.status, error.code, str(error)))
        except (Unavailable, TimeoutError):
            return AWAY
        except Full:
            return FULL
        except Exception as error:
            log.error("request_failed", request_id=request_id, **mistake(error))
            return FAILED

    async def _read(self, form: Form, body: bytes, headers: Headers, caller: Caller) -> Sent:
        kind = headers.get(b"content-type", b"").decode("latin-1")
        packing = headers.get(b"content-encoding", b"").decode("latin-1")
        if len(body) <= READ_AT_ONCE and not packing:
            return read_events(form, body, kind, packing, caller.tenant.zone)
        if self._reading and self._reading + len(body) > MOST_WAITING_BYTES:
            raise Full
        self._reading += len(body)
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(
                self._reader, read_events, form, body, kind, packing, caller.tenant.zone
            )
        finally:
            self._reading -= len(body)

    async def _stored(self, sent: Sent, caller: Caller) -> list[Outcome]:
        """Return what became of the good events, once that is on the disk."""
        good = sent.good
        if not good:
            return []
        loop = asyncio.get_running_loop()
        told: asyncio.Future[list[Outcome]] = loop.create_future()
        arrivals = [Arrival(caller.tenant, draft, caller.is_test) for draft in good]
        parcel = Parcel(arrivals, sum([len(draft.body) for draft in good]), Waiting(loop, told))
        self._writer.accept(parcel)
        if not self._parcels:
            loop.call_soon(self._hand_over)
        self._parcels.append(parcel)
        return await told

    def _hand_over(self) -> None:
        """Give the writer whatever came in one turn of the loop: woken by the first, it would store that alone."""
        parcels, self._parcels = self._parcels, []
        self._writer.put(parcels)

    @staticmethod
    def _tell(results: Sequence[tuple[Parcel, Result]]) -> None:
        """Pass on what became of parcels: from the writer's thread to the loop, once for all of them."""
        loop: asyncio.AbstractEventLoop = results[0][0].whom.loop
        loop.call_soon_threadsafe(_settle_all, [(parcel.whom.told, result) for parcel, result in results])

    def _note(self, path: str, status: int, request_id: str, seconds: float) -> None:
        """Count an answer, and write it down with those that leave in the same moment."""
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._write_lines)
        self._lines.append(
            {
                "method": "POST",
                "path": path,
                "status": status,
                "ms": round(seconds * 1000, 1),
                "request_id": request_id,
            }
        )
        _counter(status).inc()
        SECONDS.observe(seconds)

    def _write_lines(self) -> None:
        lines, self._lines = self._lines, []
        info_lines("request", lines)


@cache
def _counter(status: int) -> Any:
    return REQUESTS.labels("POST", str(status))


def _settle_all(results: Sequence[tuple["asyncio.Future[list[Outcome]]", Result]]) -> None:
    for told, result in results:
        _settle(told, result)


def _settle(told: "asyncio.Future[list[Outcome]]", result: Result) -> None:
    if told.done():
        return  # whoever waited has given up
    if isinstance(result, Exception):
        told.set_exception(result)
    else:
        told.set_result(result)


async def _say(send: Send, reply: Reply, request_id: str) -> None:
    if isinstance(reply.content, Problem):
        media_type = MEDIA_TYPE
        content = msgspec.json.encode(reply.content.to_dict(request_id))
    else:
        media_type, content = event_posts.MEDIA_TYPE, reply.content
    headers = [
        (b"content-type", media_type.encode()),
        (b"content-length", b"%d" % len(content)),
        (b"x-content-type-options", b"nosniff"),
        (b"x-request-id", request_id.encode()),
    ]
    if reply.seq is not None:
        headers.append((b"clarion-seq", b"%d" % reply.seq))
    if reply.warnings:
        headers.append((b"clarion-warnings", "; ".join(reply.warnings).encode()))
    if reply.status == 503:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
