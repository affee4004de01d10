"""Clients that post without pause, each on a connection of its own, one request under way on each.

A client of few instructions: what the load takes of the machine, the measured server lacks.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

import uvloop

# A run whose server stands still ends here, s.
PATIENCE = 60.0


@dataclass(slots=True)
class Load:
    """What came back: how often each status, how long each answer took (ms), how long it was all under way (s)."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.statuses.total() / self.seconds


def request(path: str, key: str, body: bytes, kind: str = "application/json") -> bytes:
    """Return a POST as it goes over the wire."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def drive(port: int, requests: Iterator[bytes], *, connections: int, seconds: float) -> Load:
    """Send requests for so many seconds, or until there are none left; wait for the answers under way."""
    return uvloop.run(_drive(port, requests, connections, seconds))


async def _drive(port: int, requests: Iterator[bytes], connections: int, seconds: float) -> Load:
    load = Load()
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    stop_at = began + seconds
    clients = [Client(requests, load, stop_at) for _ in range(connections)]
    for client in clients:
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)  # type: ignore[misc]
    async with asyncio.timeout(seconds + PATIENCE):
        await asyncio.gather(*(client.done for client in clients))
    load.seconds = time.perf_counter() - began
    return load


class Client(asyncio.Protocol):
    """Sends the next request when the answer to the last one is whole."""

    def __init__(self, requests: Iterator[bytes], load: Load, stop_at: float) -> None:
        self._requests, self._load, self._stop_at = requests, load, stop_at
        self._sent_at = 0.0
        self._heard = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are no subclass of what they do.
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        heard = self._heard + data if self._heard else data
        head = heard.find(b"\r\n\r\n")
        if head < 0 or len(heard) < head + 4 + _length(heard[:head]):
            self._heard = heard
            return
        self._heard = b""
        self._load.times.append((time.perf_counter() - self._sent_at) * 1_000)
        self._load.statuses[int(heard[9:12])] += 1
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server hung up"))

    def _next(self) -> None:
        self._sent_at = time.perf_counter()
        following = next(self._requests, None) if self._sent_at < self._stop_at else None
        if following is None:
            self.done.set_result(None)
            self._transport.close()
        else:
            self._transport.write(following)


def _length(head: bytes) -> int:
    _, _, after = head.lower().partition(b"content-length:")
    return int(after.partition(b"\r\n")[0]) if after else 0
