"""HTTP/1.1 on one connection, as fast as Python gets it: requests in, answers out in the same order.

Knows no route and no profile: an `Application` says what the answer is, and whether there is one.
"""

import asyncio
import socket
import struct
from collections import deque
from typing import Protocol as Shape
from typing import cast

import httptools

from clarion.sandbox.profiles import Act, http_answer

# The longest request that is read: 1 MiB, a thousand times the longest message text.
MAX_BODY = 1024 * 1024

# Linger for 0 seconds: closing sends RST at once instead of FIN.
RST_ON_CLOSE = struct.pack("ii", 1, 0)

UNREADABLE = http_answer("400 Bad Request", b'{"message":"not HTTP"}', more="Connection: close\r\n")
TOO_LONG = http_answer("413 Content Too Large", b'{"message":"too long"}', more="Connection: close\r\n")


class Application(Shape):
    """What a connection asks for its answers."""

    def respond(self, method: bytes, path: bytes, authorization: bytes, body: bytes) -> Act:
        """Return what becomes of one request."""

    def settle(self) -> None:
        """Make durable what `respond` decided; called before any of those answers leaves."""


class Connection(asyncio.Protocol):
    """One caller's connection, kept alive and safe to pipeline on."""

    _transport: asyncio.Transport

    def __init__(
        self, application: Application, loop: asyncio.AbstractEventLoop, open_connections: "set[Connection]"
    ) -> None:
        self._application = application
        self._loop = loop
        self._open = open_connections
        self._parser = httptools.HttpRequestParser(self)
        self._url = self._authorization = self._body = b""
        # Requests not yet answered, oldest first; an answer waits until it is at the head.
        self._owed: deque[_Owed] = deque()
        self._ready: list[bytes] = []
        self._done = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # what every loop gives a stream protocol
        self._open.add(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._owe(Act(accepted=False, answer=UNREADABLE), last=True)
        self._application.settle()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._done = True
        self._owed.clear()
        self._open.discard(self)

    def drop(self) -> None:
        """Close now, whatever is still owed."""
        self._transport.abort()

    # What httptools calls, in this order.

    def on_message_begin(self) -> None:
        self._url = self._authorization = self._body = b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if (
            len(name) == 13 and name.lower() == b"authorization"
        ):  # the length first: it is seven headers a request
            self._authorization = value

    def on_body(self, body: bytes) -> None:
        self._body += body
        if len(self._body) > MAX_BODY and not self._done:
            self._owe(Act(accepted=False, answer=TOO_LONG), last=True)

    def on_message_complete(self) -> None:
        if self._done:
            return
        parser = self._parser
        act = self._application.respond(parser.get_method(), self._url, self._authorization, self._body)
        self._owe(act, last=act.reset or not parser.should_keep_alive())

    def _owe(self, act: Act, *, last: bool) -> None:
        if self._done:
            return
        self._done = last
        if act.delay <= 0 and act.answer is not None and not self._owed and not last:
            self._ready.append(act.answer)  # the usual case, without an object for it
            return
        owed = _Owed(act, last)
        self._owed.append(owed)
        if act.delay > 0:
            self._loop.call_later(act.delay, self._ripen, owed)
        else:
            owed.ripe = act.answer is not None or act.reset

    def _ripen(self, owed: "_Owed") -> None:
        owed.ripe = True
        self._flush()

    def _flush(self) -> None:
        owed, ready = self._owed, self._ready
        ends: _Owed | None = None
        while owed and owed[0].ripe and ends is None:
            first = owed.popleft()
            if first.act.answer is not None and not first.act.reset:
                ready.append(first.act.answer)
            ends = first if first.last else None
        if ready:
            self._transport.write(ready[0] if len(ready) == 1 else b"".join(ready))
            ready.clear()
        if ends is not None:
            self._end(reset=ends.act.reset)

    def _end(self, *, reset: bool) -> None:
        if reset:
            connection: socket.socket = self._transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST_ON_CLOSE)
            self._transport.abort()
        else:
            self._transport.close()


class _Owed:
    """One answer that could not leave at once."""

    __slots__ = ("act", "last", "ripe")

    def __init__(self, act: Act, last: bool) -> None:
        self.act = act
        self.last = last
        self.ripe = False
