"""What the web process runs: a request's body is read whole, then the fast lane answers events, Django all else.

Django stands behind a WSGI bridge: its own ASGI handler starts threads for each request (measured: 2.5 times
slower). A slow or endless body costs one coroutine here, never a thread. A file of clients waits on the disk, any
other body in memory.
"""

import asyncio
import gc
import os
import sys
import tempfile
from contextlib import ExitStack
from typing import IO, Any

import django
from a2wsgi import WSGIMiddleware
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clarion.settings")
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402 - settings come first
from django.db import connection  # noqa: E402

from clarion import checks  # noqa: E402
from clarion.api.bodies import (  # noqa: E402
    Crowded,
    Receive,
    Room,
    Scope,
    Send,
    declared,
    last,
    refuse,
    replay,
    replay_file,
    with_length,
)
from clarion.api.event_posts import brings_events  # noqa: E402
from clarion.api.middleware import log  # noqa: E402
from clarion.api.problems import DATABASE_AWAY  # noqa: E402
from clarion.api.streams import is_stream, may_send  # noqa: E402
from clarion.intake.lane import Lane  # noqa: E402
from clarion.intake.writer import Full, Unavailable  # noqa: E402
from clarion.lib.problems import Problem  # noqa: E402
from clarion.lib.time_limit import TimeLimit  # noqa: E402

# Whoever starts the web process by hand passes no check of Django's commands.
for _problem in checks.reasons_not_to_start():
    raise SystemExit(f"{_problem.msg} {_problem.hint}")
connection.close()

# A page that computes shares the interpreter with the fast lane, and hands it over this often, s. With Python's own
# 5 ms one busy page would starve the lane.
sys.setswitchinterval(0.0001)


# Of all bodies in memory together, from their first byte to the end of their request: sixteen of the longest of
# events, or 256 others. A small machine can spare so much, and it is more than a process does in a second.
MOST_HELD_BYTES = 256 * 1024 * 1024


class BodyTooLong(Exception):
    """The body passed the limit; `is_whole` when nothing of it is still to come."""

    def __init__(self, *, is_whole: bool) -> None:
        super().__init__()
        self.is_whole = is_whole


class BodyTooSlow(Exception):
    """The body, or the next piece of a file, did not come in time."""


class Away(Exception):
    """The database does not say who the caller is."""


class NoRoom(Exception):
    """The disk does not take the file."""


class Gone(Exception):
    """The client hung up before its body was whole."""


class Stranger(Exception):
    """Somebody who may not send events has a body of them that is longer than others may be."""


class WholeBodies:
    """Hands a request on when its body is there, and refuses one that is too long or too slow.

    `most_bytes` and `seconds` are for a whole body; of events it may have `most_event_bytes` where the caller may
    send them; for a file it is `most_file_bytes`, and `seconds` between two pieces of it. All together, files apart,
    hold `most_held_bytes` at once. Events go to the `lane`, what that leaves and all else to `django`.
    """

    def __init__(
        self,
        lane: Lane,
        django: Any,
        *,
        most_bytes: int,
        most_event_bytes: int,
        most_file_bytes: int,
        most_held_bytes: int,
        seconds: float,
    ) -> None:
        self._lane = lane
        self._django = django
        self._most_bytes = most_bytes
        self._most_event_bytes = most_event_bytes
        self._most_file_bytes = most_file_bytes
        self._seconds = seconds
        self._room = Room(most_held_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _lifespan(receive, send)
            return
        is_file = is_stream(scope["method"], scope["path"])
        are_events = brings_events(scope["method"], scope["path"])
        most = (
            self._most_file_bytes if is_file else self._most_event_bytes if are_events else self._most_bytes
        )
        try:
            if declared(scope) > most:
                raise BodyTooLong(is_whole=False)
            if is_file:
                await self._file(scope, receive, send)
            elif are_events:
                await self._events(scope, receive, send)
            else:
                await self._other(scope, receive, send)
        except BodyTooLong as error:
            problem = Problem(413, "body_too_long", f"A body may have {most} bytes.")
            await refuse(scope, None if error.is_whole else receive, send, problem)
        except BodyTooSlow:
            problem = Problem(408, "body_too_slow", f"A body must be here within {self._seconds:g} s.")
            await refuse(scope, receive, send, problem)
        except Away:
            await refuse(scope, receive, send, DATABASE_AWAY)
        except Crowded:
            sentence = "Bodies under way hold all the memory they may have; try again."
            await refuse(scope, receive, send, Problem(503, "too_much_at_once", sentence))
        except NoRoom as error:
            log.error("no_room", error=str(error))
            await refuse(scope, receive, send, Problem(507, "no_room", "There is no room for the file."))
        except Gone:
            return

    async def _events(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await self._read(scope, receive, self._most_event_bytes)
        except Stranger:
            await self._refuse_stranger(scope, receive, send)
            return
        try:
            if not await self._lane.answers(scope, body, send):
                await self._django(with_length(scope, len(body)), replay(body, receive), send)
        finally:
            self._room.leave(len(body))

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await self._read(scope, receive, self._most_bytes)
        try:
            await self._django(with_length(scope, len(body)), replay(body, receive), send)
        finally:
            self._room.leave(len(body))

    async def _refuse_stranger(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let Django say what is wrong with who asks, without the body, and end the connection."""
        await self._django(with_length(scope, 0), replay(b"", receive), last(send, receive))

    async def _file(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Keep the body on the disk until it is whole; of somebody who may not send one, not even that."""
        if not await _may_send_file(scope):
            await self._refuse_stranger(scope, receive, send)
            return
        with ExitStack() as kept:
            try:
                # Beside the data: the system's own folder for such files may be in memory.
                file = kept.enter_context(tempfile.TemporaryFile(dir=settings.CLARION.data))
                size = await self._spool(receive, file)
                file.seek(0)
            except OSError as error:
                raise NoRoom(error.strerror) from error
            await self._django(with_length(scope, size), replay_file(file, size, receive), send)

    async def _spool(self, receive: Receive, file: IO[bytes]) -> int:
        size = 0
        while True:
            try:
                message = await asyncio.wait_for(receive(), self._seconds)
            except TimeoutError:
                raise BodyTooSlow from None
            if message["type"] == "http.disconnect":
                raise Gone
            size += len(message.get("body", b""))
            if size > self._most_file_bytes:
                raise BodyTooLong(is_whole=not message.get("more_body"))
            await asyncio.to_thread(file.write, message.get("body", b""))
            if not message.get("more_body"):
                return size

    async def _read(self, scope: Scope, receive: Receive, most: int) -> bytes:
        """Return the whole body; of one longer than most may be, only after a look at who sends it.

        Whoever gets it gives its room back.
        """
        parts: list[bytes] = []
        size = 0
        is_known = most <= self._most_bytes
        try:
            with TimeLimit(self._seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Gone
                    before, size = size, size + len(message.get("body", b""))
                    if size > most:
                        raise BodyTooLong(is_whole=not message.get("more_body"))
                    self._room.grow(before, size)
                    parts.append(message.get("body", b""))
                    if size > self._most_bytes and not is_known:
                        is_known = await self._look_up(scope)
                        if not is_known:
                            raise Stranger
                    if not message.get("more_body"):
                        return b"".join(parts)
        except BaseException as error:
            self._room.leave(sum(map(len, parts)))
            # Whoever is refused is heard out for a moment. What came of the body is not held so long.
            parts.clear()
            if isinstance(error, TimeoutError):
                raise BodyTooSlow from None
            raise

    async def _look_up(self, scope: Scope) -> bool:
        """Whether the caller may send events. A database that does not say is no slowness of the caller's."""
        try:
            asked = self._lane.senders.who(dict(scope["headers"]))
            return await asyncio.wait_for(asked, self._seconds / 2) is not None
        except (TimeoutError, Unavailable, Full):
            raise Away from None


async def _may_send_file(scope: Scope) -> bool:
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    given = (headers.get(b"authorization", ""), headers.get(b"x-twc-tenant", ""))
    return await asyncio.to_thread(may_send, *given)


async def _lifespan(receive: Receive, send: Send) -> None:
    while (message := await receive())["type"] != "lifespan.shutdown":
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
    await asyncio.to_thread(_lane.close)
    await send({"type": "lifespan.shutdown.complete"})


_django: Any = get_wsgi_application()
# All that was imported stays. The collector looks through it no more, which took a fifth of a large batch's time.
gc.collect()
gc.freeze()
_lane = Lane()
application = WholeBodies(
    _lane,
    WSGIMiddleware(_django, workers=settings.CLARION.web_threads),
    most_bytes=settings.CLARION.max_body_bytes,
    most_event_bytes=settings.MOST_EVENT_BYTES,
    most_file_bytes=settings.CLARION.max_import_bytes,
    # One has room in any case.
    most_held_bytes=max(MOST_HELD_BYTES, settings.CLARION.max_body_bytes),
    seconds=settings.CLARION.body_seconds,
)
