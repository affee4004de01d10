"""A subscriber of few instructions, in a process of its own: takes every POST, counts, and notes when events arrived.

`python -m bench.receiver PORT`. What is posted to /timed is noted by its event; everything else is only counted.
`GET /seen` tells what came. What it takes of the machine, the measured side lacks.
"""

import asyncio
import http.client
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import uvloop

from bench.installation import process, wait_until_listening
from clarion.settings import child_environment
from tests.servers import free_port

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Seen(NamedTuple):
    """How many requests came, with how many different ids; and when each timed event came first, on this machine's
    monotonic clock (`time.perf_counter`), s."""

    posts: int
    different: int
    arrived: dict[str, float]


class Receiver(NamedTuple):
    """One that runs."""

    port: int
    pid: int

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def seen(self) -> Seen:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", "/seen")
        told = json.loads(connection.getresponse().read())
        connection.close()
        return Seen(**told)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Keep one running for as long as the block lasts."""
    port = free_port()
    with process(child_environment(), "-m", "bench.receiver", str(port)) as pid:
        wait_until_listening(port)
        yield Receiver(port, pid)


class Connection(asyncio.Protocol):
    """One connection; all of them count together."""

    posts = 0
    ids: set[bytes] = set()
    arrived: dict[str, float] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are no subclass of what they do.
        self._transport = cast(asyncio.Transport, transport)
        self._heard = b""

    def data_received(self, data: bytes) -> None:
        heard = self._heard + data if self._heard else data
        while (end := heard.find(b"\r\n\r\n")) >= 0:
            head = heard[: end + 2]
            whole = end + 4 + int(_header(head, b"content-length") or 0)
            if len(heard) < whole:
                break
            self._transport.write(self._answer(head))
            heard = heard[whole:]
        self._heard = heard

    def _answer(self, head: bytes) -> bytes:
        if head.startswith(b"GET"):
            told: dict[str, Any] = {"posts": Connection.posts, "different": len(self.ids)}
            content = json.dumps({**told, "arrived": self.arrived}).encode()
            return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(content), content)
        if head.startswith(b"POST /timed "):
            self.arrived.setdefault(_header(head, b"clarion-event-id").decode(), time.perf_counter())
        Connection.posts += 1
        self.ids.add(_header(head, b"webhook-id"))
        return OK


def _header(head: bytes, name: bytes) -> bytes:
    """Return a header's value, empty where it is not there. The names in `head` may be written in any case."""
    before = head.lower().find(b"\r\n" + name + b":")
    if before < 0:
        return b""
    start = before + len(name) + 3
    return head[start : head.find(b"\r\n", start)].strip()


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
