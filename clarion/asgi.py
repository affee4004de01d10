"""What the web process runs: a request's body is read whole, then the fast lane answers events, Django all else.

Django stands behind a WSGI bridge: its own ASGI handler starts threads for each request (measured: 2.5 times
slower). A slow or endless body costs one coroutine here, never a thread. A file of clients waits on the disk, any
other body in memory.
"""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, MutableMapping
from typing import IO, Any

import django
from a2wsgi import WSGIMiddleware
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clarion.settings")
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402 - settings come first

from clarion import checks  # noqa: E402
from clarion.api.event_posts import brings_events  # noqa: E402
from clarion.api.middleware import METHODS, REQUESTS, log, request_id_of  # noqa: E402
from clarion.api.streams import is_stream, may_send  # noqa: E402
from clarion.intake.lane import Lane  # noqa: E402
from clarion.lib.problems import MEDIA_TYPE, Problem  # noqa: E402

# Whoever starts the web process by hand passes no check of Django's commands.
for _problem in checks.development_mode(None):
    raise SystemExit(f"{_problem.msg} {_problem.hint}")

# A page that computes shares the interpreter with the fast lane, and hands it over this often, s. With Python's own
# 5 ms one busy page would starve the lane.
sys.setswitchinterval(0.0001)
# How long a refused client may go on sending before the connection ends, s. Ended at once, it would see a reset in
# place of the answer that it has not read yet.
LINGER = 2.0
# How much of a file is handed to a thread of Django's at once.
PIECE = 256 * 1024

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
# What Django is given: how long the body is, where it comes from, where the answer goes.
Handed = tuple[int, Receive, Send]


class BodyTooLong(Exception):
    """The body passed the limit; `is_whole` when nothing of it is still to come."""

    def __init__(self, *, is_whole: bool) -> None:
        super().__init__()
        self.is_whole = is_whole


class Gone(Exception):
    """The client hung up before its body was whole."""


class Stranger(Exception):
    """Somebody who may not send events has a body of them that is longer than others may be."""


class WholeBodies:
    """Hands a request on when its body is there, and refuses one that is too long or too slow.

    `most_bytes` and `seconds` are for a whole body; of events it may have `most_event_bytes` where the caller may
    send them; for a file it is `most_file_bytes`, and `seconds` between two pieces of it.
    """

    def __init__(
        self, app: Any, *, most_bytes: int, most_event_bytes: int, most_file_bytes: int, seconds: float
    ) -> None:
        self._app = app
        self._most_bytes = most_bytes
        self._most_event_bytes = most_event_bytes
        self._most_file_bytes = most_file_bytes
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        is_file = is_stream(scope["method"], scope["path"])
        most = self._most_file_bytes if is_file else self._most_of(scope)
        with contextlib.ExitStack() as kept:
            try:
                if _declared(scope) > most:
                    raise BodyTooLong(is_whole=False)
                length, body, answer = await (self._file if is_file else self._body)(
                    scope, receive, send, kept
                )
            except BodyTooLong as error:
                problem = Problem(413, "body_too_long", f"A body may have {most} bytes.")
                await _refuse(scope, None if error.is_whole else receive, send, problem)
            except TimeoutError:
                problem = Problem(408, "body_too_slow", f"A body must be here within {self._seconds:g} s.")
                await _refuse(scope, receive, send, problem)
            except OSError as error:
                log.error("no_room", error=error.strerror)
                await _refuse(scope, receive, send, Problem(507, "no_room", "There is no room for the file."))
            except Gone:
                return
            else:
                await self._app(_with_length(scope, length), body, answer)

    async def _body(self, scope: Scope, receive: Receive, send: Send, kept: contextlib.ExitStack) -> Handed:
        try:
            async with asyncio.timeout(self._seconds):
                body = await self._read(scope, receive)
        except Stranger:
            return 0, _replay(b"", receive), _last(send, receive)
        return len(body), _replay(body, receive), send

    async def _file(self, scope: Scope, receive: Receive, send: Send, kept: contextlib.ExitStack) -> Handed:
        """Keep the body on the disk until it is whole; of somebody who may not send one, not even that."""
        if not await _may_send(scope, is_file=True):
            return 0, _replay(b"", receive), _last(send, receive)
        # Beside the data: the system's own folder for such files may be in memory.
        file = tempfile.TemporaryFile(dir=settings.CLARION.data)  # noqa: SIM115 - `kept` closes it
        kept.enter_context(file)
        size = await self._spool(receive, file)
        file.seek(0)
        return size, _replay_file(file, size, receive), send

    async def _spool(self, receive: Receive, file: IO[bytes]) -> int:
        size = 0
        while True:
            message = await asyncio.wait_for(receive(), self._seconds)
            if message["type"] == "http.disconnect":
                raise Gone
            size += len(message.get("body", b""))
            if size > self._most_file_bytes:
                raise BodyTooLong(is_whole=not message.get("more_body"))
            await asyncio.to_thread(file.write, message.get("body", b""))
            if not message.get("more_body"):
                return size

    def _most_of(self, scope: Scope) -> int:
        return self._most_event_bytes if brings_events(scope["method"], scope["path"]) else self._most_bytes

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        parts, size, most = [], 0, self._most_of(scope)
        is_known = most <= self._most_bytes
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Gone
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > most:
                raise BodyTooLong(is_whole=not message.get("more_body"))
            if size > self._most_bytes and not is_known:
                is_known = await _may_send(scope, is_file=False)
                if not is_known:
                    raise Stranger
            if not message.get("more_body"):
                return b"".join(parts)


async def _may_send(scope: Scope, *, is_file: bool) -> bool:
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    given = (headers.get(b"authorization", ""), headers.get(b"x-twc-tenant", ""))
    return await asyncio.to_thread(may_send, *given, is_file=is_file)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Give the body that was read, once; afterwards whatever else arrives."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return waiting.pop() if waiting else await receive()

    return next_message


def _replay_file(file: IO[bytes], size: int, receive: Receive) -> Receive:
    """Give the file piece by piece; afterwards whatever else arrives."""
    is_over = False

    async def next_message() -> Message:
        nonlocal is_over
        if is_over:
            return await receive()
        piece = await asyncio.to_thread(file.read, PIECE)
        is_over = await asyncio.to_thread(file.tell) >= size
        return {"type": "http.request", "body": piece, "more_body": not is_over}

    return next_message


def _last(send: Send, rest: Receive) -> Send:
    """Send an answer and end the connection; what the client still sends meanwhile is read and dropped."""

    async def send_last(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
        elif not message.get("more_body"):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(_drain(rest), LINGER)
        await send(message)

    return send_last


def _declared(scope: Scope) -> int:
    """Return the length that the request says its body has; 0 where it says none."""
    declared = dict(scope["headers"]).get(b"content-length", b"0")
    return int(declared) if declared.isdigit() else 0


def _with_length(scope: Scope, length: int) -> Scope:
    """Name the length of the body that was read: WSGI knows no other end, and a chunked body came without."""
    headers = [pair for pair in scope["headers"] if pair[0] not in (b"content-length", b"transfer-encoding")]
    return {**scope, "headers": [*headers, (b"content-length", str(length).encode())]}


async def _refuse(scope: Scope, rest: Receive | None, send: Send, problem: Problem) -> None:
    """Answer without Django. `rest` is where the remaining body comes from; it is read and dropped for a moment."""
    given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
    request_id = request_id_of(given)
    body = json.dumps(problem.to_dict(request_id)).encode()
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", request_id.encode()),
        # What is left of the body would be read as the next request.
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    REQUESTS.labels(scope["method"] if scope["method"] in METHODS else "other", str(problem.status)).inc()
    log.info(
        "request",
        method=scope["method"],
        path=scope["path"],
        status=problem.status,
        request_id=request_id,
    )
    if rest is not None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(_drain(rest), LINGER)
    await send({"type": "http.response.body", "body": b""})


async def _drain(receive: Receive) -> None:
    while (await receive()).get("more_body"):
        pass


async def _lifespan(receive: Receive, send: Send) -> None:
    while (message := await receive())["type"] != "lifespan.shutdown":
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
    await asyncio.to_thread(_lane.close)
    await send({"type": "lifespan.shutdown.complete"})


_django: Any = get_wsgi_application()
_lane = Lane(WSGIMiddleware(_django, workers=settings.CLARION.web_threads))
application = WholeBodies(
    _lane,
    most_bytes=settings.CLARION.max_body_bytes,
    most_event_bytes=settings.MOST_EVENT_BYTES,
    most_file_bytes=settings.CLARION.max_import_bytes,
    seconds=settings.CLARION.body_seconds,
)
