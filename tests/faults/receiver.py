"""A receiver of webhooks in a process of its own: it writes down what came, then answers, late if it is told to.

Its ledger is a file and survives it: a line for each request, with the way it came, both ids and the moment.
"""

import asyncio
import os
import re
import signal
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple, cast

import uvloop

from clarion.supervisor import wait_until_listening
from tests.faults.processes import fork
from tests.faults.senders import PROCESS_PATIENCE, Stuck
from tests.servers import free_port

TAKEN = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
PATH = re.compile(rb"POST /([a-z0-9-]*) ")
HEADER = re.compile(rb"\r\n([^:\r]+): *([^\r]*)")


class Arrived(NamedTuple):
    """One request: the path it came by, its `webhook-id`, the event's own id, and when (seconds since 1970)."""

    path: str
    parcel: str
    event: str
    at: float


class Receiver:
    """One receiver. `delay` is how many seconds it takes to answer what it has written down."""

    def __init__(self, ledger: Path, *, log: Path, delay: float) -> None:
        self._ledger = ledger
        self._read_up_to = self._taken = 0
        ledger.touch()
        port = free_port()
        self.process = fork(partial(_work, port, ledger, delay), log=log)
        if not wait_until_listening("127.0.0.1", port, patience=PROCESS_PATIENCE):
            raise Stuck("the receiver did not start")
        self.base_url = f"http://127.0.0.1:{port}"

    def end(self) -> None:
        """Let it go away: what it has not answered breaks off."""
        self.process.kill()
        self.process.wait(PROCESS_PATIENCE)

    def taken(self) -> int:
        """How many requests have come so far."""
        with self._ledger.open("rb") as ledger:
            ledger.seek(self._read_up_to)
            news = ledger.read()
        self._read_up_to += len(news)
        self._taken += news.count(b"\n")
        return self._taken

    def ledger(self) -> list[Arrived]:
        """Everything that came, in its order."""
        rows = [line.split("\t") for line in self._ledger.read_text().splitlines()]
        return [Arrived(path, parcel, event, float(at)) for path, parcel, event, at in rows]


def _work(port: int, ledger: Path, delay: float) -> None:
    uvloop.run(_serve(port, ledger, delay))


async def _serve(port: int, ledger: Path, delay: float) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    written = os.open(ledger, os.O_WRONLY | os.O_APPEND)
    await loop.create_server(lambda: _Conversation(written, delay), "127.0.0.1", port)
    await stopped.wait()


class _Conversation(asyncio.Protocol):
    """One connection, kept for many requests."""

    def __init__(self, ledger: int, delay: float) -> None:
        self._ledger = ledger
        self._delay = delay
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._unread += data
        while (end := self._unread.find(b"\r\n\r\n")) >= 0:
            head = self._unread[:end]
            headers = {name.lower(): value for name, value in HEADER.findall(head)}
            whole = end + 4 + int(headers[b"content-length"])
            if len(self._unread) < whole:
                return
            self._unread = self._unread[whole:]
            self._take(head, headers)

    def _take(self, head: bytes, headers: dict[bytes, bytes]) -> None:
        path = PATH.match(head)
        assert path is not None
        ids = (path[1], headers[b"webhook-id"], headers[b"clarion-event-id"], b"%.6f" % time.time())
        # Before the answer, and past every buffer of this process: whatever was answered is in the ledger.
        os.write(self._ledger, b"\t".join(ids) + b"\n")
        asyncio.get_running_loop().call_later(self._delay, self._answer)

    def _answer(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(TAKEN)
