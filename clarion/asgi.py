"""What the web process runs: a request's body is read whole before it may take a thread, then Django answers.

Django stands behind a WSGI bridge: its own ASGI handler starts threads for each request (measured: 2.5 times
slower). A slow or endless body costs one coroutine here, never a thread.
"""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import django
from a2wsgi import WSGIMiddleware
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clarion.settings")
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402 - settings come first

from clarion.lib.problems import MEDIA_TYPE, Problem  # noqa: E402

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class BodyTooLong(Exception):
    """The body passed the limit."""


class Gone(Exception):
    """The client hung up before its body was whole."""


class WholeBodies:
    """Hands a request on when its body is there, and refuses one that is too long or too slow."""

    def __init__(self, app: Any, *, most_bytes: int, seconds: float) -> None:
        self._app = app
        self._most_bytes = most_bytes
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        try:
            body = await asyncio.wait_for(self._read(scope, receive), self._seconds)
        except BodyTooLong:
            await _refuse(send, 413, "body_too_long", f"A body may have {self._most_bytes} bytes.")
        except TimeoutError:
            await _refuse(send, 408, "body_too_slow", f"A body must be here within {self._seconds:g} s.")
        except Gone:
            return
        else:
            await self._app(scope, _replay(body, receive), send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._most_bytes:
            raise BodyTooLong
        parts, size = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Gone
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._most_bytes:
                raise BodyTooLong
            if not message.get("more_body"):
                return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Give the body that was read, once; afterwards whatever else arrives."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return waiting.pop() if waiting else await receive()

    return next_message


async def _refuse(send: Send, status: int, code: str, detail: str) -> None:
    body = json.dumps(Problem(status=status, code=code, detail=detail).to_dict("")).encode()
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        # What is left of the body would be read as the next request.
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive: Receive, send: Send) -> None:
    while (message := await receive())["type"] != "lifespan.shutdown":
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})


_django: Any = get_wsgi_application()
application = WholeBodies(
    WSGIMiddleware(_django, workers=settings.CLARION.web_threads),
    most_bytes=settings.CLARION.max_body_bytes,
    seconds=settings.CLARION.body_seconds,
)
