"""One request and its answer on one HTTP/1.1 connection, by hand: a library takes four times as long for it.

llhttp (httptools) reads, strictly as it ships. What is odd about an answer costs the connection.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import httptools

from clarion.lib.answers import MAX_BODY

# Bytes of an answer's head that are read: real ones have a few hundred.
MAX_HEAD = 32 * 1024
# Interim answers (1xx) read before the final one; a real server sends one, a flood of them is no answer.
MAX_INTERIM = 8


class Garbled(Exception):
    """What came is not a whole HTTP answer; the text says in which way."""


class Headers(Mapping[str, str]):
    """The headers of an answer, found whatever their case; of several with one name the first."""

    def __init__(self, raw: Sequence[tuple[bytes, bytes]]) -> None:
        self._raw = raw

    def __getitem__(self, name: str) -> str:
        wanted = name.lower().encode("latin-1", "replace")
        for each, value in self._raw:
            if each.lower() == wanted:
                return value.decode("utf-8", "surrogateescape")
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.lower().decode("latin-1") for name, _ in self._raw))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Reply(NamedTuple):
    """One whole answer; the body cut at 64 kB."""

    status: int
    headers: Headers
    body: bytes


class Connection(asyncio.Protocol):
    """One connection to one origin. `ask` is called again only after the answer to the last one came."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: Any = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[Reply] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        # It may carry another request, as far as anybody can know.
        self.is_good = False
        self.idle_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self.is_good = transport, True

    def ask(self, request: bytes, seconds: float) -> "asyncio.Future[Reply]":
        """Write a request and return the future of its answer. The future fails with

        TimeoutError after `seconds`, ConnectionError when the connection ends without an answer, Garbled.
        """
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._head_size = self._body_size = self._interim = 0
        self._has_head = False
        self._waiter = waiter = self._loop.create_future()
        self._alarm = self._loop.call_later(seconds, self._time_out)
        self._transport.write(request)
        return waiter

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        self.is_good = False
        self._waiter = None
        if self._alarm is not None:
            self._alarm.cancel()
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._waiter is None:
            # Nobody asked: it would be taken for the answer to the next request.
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.is_good = False  # 101 is the answer, and what follows is another protocol
        except httptools.HttpParserError as error:
            self.fail(Garbled(type(error).__name__))
        if not self._has_head:
            self._head_size += len(data)
            self._check_head()

    def eof_received(self) -> bool:
        self.is_good = False
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.is_good = False
        if self._waiter is None:
            return
        if not self._has_head:
            self.fail(ConnectionResetError(None, "the connection ended"))
        elif error is None and self._ends_with_connection():
            self._answered()
        else:
            self.fail(Garbled("cut short"))

    # ------------------------------------------------------------ what the parser finds

    def on_message_begin(self) -> None:
        if self._waiter is None:
            self.is_good = False
        self._headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._has_head = self._parser.get_status_code() >= 200

    def on_body(self, data: bytes) -> None:
        self._body.append(data)
        self._body_size += len(data)
        if self._body_size >= MAX_BODY:
            # What comes after it is not waited for, and so not told from the next answer.
            self.is_good = False
            self._answered()

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self._interim += 1
            if self._interim > MAX_INTERIM:
                self.fail(Garbled("interim answers only"))
            return
        if not self._parser.should_keep_alive():
            self.is_good = False
        self._answered()

    # ------------------------------------------------------------

    def _time_out(self) -> None:
        self.fail(TimeoutError())

    def _check_head(self) -> None:
        if self._head_size > MAX_HEAD:
            self.fail(Garbled("an endless head"))

    def _ends_with_connection(self) -> bool:
        """Whether its end is the answer's end, too: it says nothing of its length (RFC 9112 §6.3)."""
        return not {name.lower() for name, _ in self._headers} & {b"content-length", b"transfer-encoding"}

    def _answered(self) -> None:
        waiter = self._done()
        if waiter is not None:
            body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
            waiter.set_result(Reply(self._parser.get_status_code(), Headers(self._headers), body[:MAX_BODY]))

    def fail(self, error: Exception) -> None:
        """Let whoever waits for an answer hear this instead; the connection is no more used."""
        self.is_good = False
        waiter = self._done()
        if waiter is not None:
            waiter.set_exception(error)

    def _done(self) -> "asyncio.Future[Reply] | None":
        """Let nobody wait any more; return who did."""
        waiter, self._waiter = self._waiter, None
        if self._alarm is not None:
            self._alarm.cancel()
        return None if waiter is None or waiter.done() else waiter
