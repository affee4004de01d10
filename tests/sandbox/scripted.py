"""A server on loopback that plays a script byte by byte, for answers that no honest server gives."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import uvloop

from clarion.lib.http import HttpClient

Script = Callable[["Caller"], Awaitable[None]]


@dataclass
class Request:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Scripted:
    """Where the server listens and what it has seen."""

    port: int
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass
class Caller:
    """One connection, as a script sees it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    seen: Scripted

    async def request(self) -> Request:
        """Read one whole request."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")[:-2]
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        method, path, _ = first.split(" ")
        request = Request(method, path, headers, body)
        self.seen.requests.append(request)
        return request

    async def say(self, raw: bytes) -> None:
        """Write these bytes."""
        self.writer.write(raw)
        await self.writer.drain()
        await asyncio.sleep(0)  # an endless script shares its loop with the client that is tested

    def reset(self) -> None:
        """Break the connection with RST."""
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def silence(self) -> None:
        """Say nothing until the other side hangs up."""
        await self.reader.read()


def answer(status: int, body: bytes = b"", *headers: str) -> bytes:
    """Return one well-formed answer."""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def answering(*raw: bytes) -> Script:
    """Return a script that answers each request with the next of these, then hangs up."""

    async def play(caller: Caller) -> None:
        for each in raw:
            await caller.request()
            await caller.say(each)

    return play


async def hanging(caller: Caller) -> None:
    """A script that reads one request and never answers."""
    await caller.request()
    await caller.silence()


@asynccontextmanager
async def scripted(
    script: Script, *, host: str = "127.0.0.1", port: int = 0, **listening: object
) -> AsyncIterator[Scripted]:
    """Play `script` on every connection for as long as the block lasts."""
    seen = Scripted(0)
    playing: set[asyncio.Task[None]] = set()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        playing.add(task)
        seen.connections += 1
        try:
            # The caller may hang up at any time: that is what many of the tests are about.
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await script(Caller(reader, writer, seen))
        finally:
            playing.discard(task)
            writer.close()

    server = await asyncio.start_server(play, host, port, **listening)  # type: ignore[arg-type]
    seen.port = server.sockets[0].getsockname()[1]
    try:
        yield seen
    finally:
        server.close()
        for task in list(playing):
            task.cancel()
        await asyncio.gather(*playing, return_exceptions=True)
        await server.wait_closed()


def against(
    script: Script,
    use: Callable[[HttpClient, Scripted], Awaitable[None]],
    *,
    timeout: float,
    connections: int = 4,
) -> None:
    """Run `use` with a client (`timeout` in seconds) and a server that plays `script`."""

    async def run() -> None:
        async with scripted(script) as server, HttpClient(timeout=timeout, connections=connections) as http:
            await use(http, server)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # the loop that the worker sends on
        runner.run(run())
