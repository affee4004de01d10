"""What a body needs on its way: room, a length, itself given again, and an answer before its end."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import IO, Any

from clarion.api.middleware import METHODS, REQUESTS, log, request_id_of
from clarion.lib.problems import MEDIA_TYPE, Problem

# How long a refused client may go on sending before the connection ends, s. Ended at once, it would see a reset in
# place of the answer that it has not read yet.
LINGER = 2.0
# How much of a file is handed to a thread of Django's at once.
PIECE = 256 * 1024
# A body up to this takes no room: the server holds so much of each before anybody asks for it (uvicorn's
# HIGH_WATER_LIMIT). So short bodies come in, whoever fills the room with long ones.
NO_ROOM_UP_TO = 64 * 1024

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Crowded(Exception):
    """The bodies under way have all the room there is."""


class Room:
    """How many bytes of bodies may be held at once, by all requests together. Used on one event loop."""

    def __init__(self, most: int) -> None:
        self._left = most

    def grow(self, before: int, size: int) -> None:
        """Make room for a body that had `before` bytes and has `size` now.

        :raises Crowded: there is none; it keeps what it has
        """
        more = _counted(size) - _counted(before)
        if more > self._left:
            raise Crowded
        self._left -= more

    def leave(self, size: int) -> None:
        """Give back the room of a body of this size."""
        self._left += _counted(size)


def _counted(size: int) -> int:
    return size if size > NO_ROOM_UP_TO else 0


def replay(body: bytes, receive: Receive) -> Receive:
    """Give the body that was read, once; afterwards whatever else arrives."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return waiting.pop() if waiting else await receive()

    return next_message


def replay_file(file: IO[bytes], size: int, receive: Receive) -> Receive:
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


def last(send: Send, rest: Receive) -> Send:
    """Send an answer and end the connection; what the client still sends meanwhile is read and dropped."""

    async def send_last(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
        elif not message.get("more_body"):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(_drain(rest), LINGER)
        await send(message)

    return send_last


def declared(scope: Scope) -> int:
    """Return the length that the request says its body has; 0 where it says none."""
    declared = dict(scope["headers"]).get(b"content-length", b"0")
    return int(declared) if declared.isdigit() else 0


def with_length(scope: Scope, length: int) -> Scope:
    """Name the length of the body that was read: WSGI knows no other end, and a chunked body came without."""
    headers = [pair for pair in scope["headers"] if pair[0] not in (b"content-length", b"transfer-encoding")]
    return {**scope, "headers": [*headers, (b"content-length", str(length).encode())]}


async def refuse(scope: Scope, rest: Receive | None, send: Send, problem: Problem) -> None:
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
    if problem.status == 503:
        headers.append((b"retry-after", b"1"))
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
