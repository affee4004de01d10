"""How the stand-in sender is run: as its own process (`serve`), or on a thread for tests (`running_sender`).

Loopback only: whoever reaches it may change how it behaves.
"""

import asyncio
import concurrent.futures
import functools
import ipaddress
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from clarion.sandbox.profiles import Settings
from clarion.sandbox.sender import Sender
from clarion.sandbox.tally import Request
from clarion.sandbox.wire import Connection

if sys.platform == "win32":
    from asyncio import new_event_loop
else:
    from uvloop import new_event_loop

Answer = TypeVar("Answer")

# Connections that may wait to be taken: a caller opens one for each message in flight (256 and more) at once.
BACKLOG = 4096

# Seconds a thread gets to start, stop or answer; it does each in milliseconds.
PATIENCE = 10


class NotLoopback(ValueError):
    """The stand-in was asked to listen where others could reach it."""


class RunningSender:
    """A sender on a thread of its own: where it listens, what it counted."""

    def __init__(self, sender: Sender, base_url: str, loop: asyncio.AbstractEventLoop) -> None:
        self.base_url = base_url
        self._sender = sender
        self._loop = loop

    def counts(self) -> dict[str, object]:
        """Return the totals, as `GET /_sandbox/counts` does."""
        return self._ask(self._sender.tally.counts)

    def accepted(self) -> dict[int, int]:
        """Return times accepted by message id."""
        return self._ask(lambda: dict(self._sender.tally.accepted_times()))

    def arrivals(self) -> dict[int, tuple[float, float]]:
        """Return first and last arrival (seconds since 1970) by message id, accepted or not."""
        return self._ask(lambda: {each: (first, last) for each, first, last in self._sender.tally.arrivals()})

    def requests(self) -> list[Request]:
        """Return every request for a message, in the order in which they came."""
        return self._ask(lambda: list(self._sender.tally.log()))

    def go_away(self, seconds: float) -> None:
        """Refuse all connections for so long, and break those there are; then be back as before."""
        self._ask(functools.partial(self._sender.go_away, seconds))

    def switch(self, profile: str, **knobs: object) -> None:
        """Put a profile in force; the knobs are those of `Settings`.

        :raises UnknownProfile: naming the known ones
        """
        chosen = msgspec.convert({"profile": profile, **knobs}, Settings)
        self._ask(functools.partial(self._sender.switch, chosen))

    def _ask(self, question: Callable[[], Answer]) -> Answer:
        async def asked() -> Answer:
            return question()

        return asyncio.run_coroutine_threadsafe(asked(), self._loop).result(PATIENCE)


@contextmanager
def running_sender(
    profile: str = "fine",
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str | None = None,
    ledger: Path | None = None,
    **knobs: object,
) -> Iterator[RunningSender]:
    """Run a sender on a thread for as long as the block lasts; port 0 takes a free one.

    :raises NotLoopback: when `host` is not of this machine alone
    :raises UnknownProfile: naming the known ones
    """
    refuse_unless_loopback(host)
    sender = Sender(msgspec.convert({"profile": profile, **knobs}, Settings), token=token, ledger=ledger)
    started: concurrent.futures.Future[RunningSender] = concurrent.futures.Future()
    stop = asyncio.Event()

    async def run() -> None:
        try:
            async with _listening(sender, host, port) as base_url:
                started.set_result(RunningSender(sender, base_url, asyncio.get_running_loop()))
                await stop.wait()
        except OSError as error:
            started.set_exception(error)

    def thread() -> None:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(run())

    running = threading.Thread(target=thread, name="sandbox-sender", daemon=True)
    running.start()
    try:
        handle = started.result(PATIENCE)
        try:
            yield handle
        finally:
            handle._loop.call_soon_threadsafe(stop.set)
    finally:
        running.join(PATIENCE)
        sender.tally.close()


def serve(
    host: str,
    port: int,
    profile: str = "fine",
    ledger: Path | None = None,
    *,
    token: str | None = None,
    seed: int = 0,
    on_ready: Callable[[str], None] = lambda base_url: None,
) -> None:
    """Run a sender in this process until SIGINT or SIGTERM; `on_ready` is told its base URL once it listens.

    :raises NotLoopback: when `host` is not of this machine alone
    :raises UnknownProfile: naming the known ones
    :raises OSError: when the port is taken
    """
    refuse_unless_loopback(host)
    sender = Sender(Settings(profile, seed=seed), token=token, ledger=ledger)

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        with suppress(NotImplementedError):  # Windows: Ctrl-C ends the run as KeyboardInterrupt instead
            for each in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(each, stop.set)
        async with _listening(sender, host, port) as base_url:
            on_ready(base_url)
            await stop.wait()

    with sender.tally, asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(run())


def refuse_unless_loopback(host: str) -> None:
    """Raise NotLoopback unless only this machine can reach `host`."""
    with suppress(ValueError):
        if host == "localhost" or ipaddress.ip_address(host).is_loopback:
            return
    raise NotLoopback(
        f"the stand-in sender listens on loopback only (127.0.0.1, ::1, localhost), not on {host!r}"
    )


@asynccontextmanager
async def _listening(sender: Sender, host: str, port: int) -> AsyncIterator[str]:
    door = _Door(sender, host, port)
    sender.go_away = door.shut_for
    await door.open()
    try:
        yield f"http://[{host}]:{door.port}" if ":" in host else f"http://{host}:{door.port}"
    finally:
        await door.close()


class _Door:
    """The sender's listening socket and the connections that came through it."""

    def __init__(self, sender: Sender, host: str, port: int) -> None:
        self.port = port
        self._sender = sender
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._outage: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self._server = await self._loop.create_server(
            lambda: Connection(self._sender, self._loop, self._connections),
            self._host,
            self.port,
            backlog=BACKLOG,
            reuse_address=True,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def shut_for(self, seconds: float) -> None:
        """Whoever comes meanwhile is refused by the kernel, as where no process listens."""
        if self._outage is not None:
            self._outage.cancel()
        self._outage = self._loop.create_task(self._be_away(seconds))

    async def close(self) -> None:
        """Let go of the socket and break the connections, for good."""
        if self._outage is not None:
            self._outage.cancel()
        await self._shut()

    async def _be_away(self, seconds: float) -> None:
        # A task begins when the answer to whoever asked for this was written.
        await self._shut()
        await asyncio.sleep(seconds)
        await self.open()

    async def _shut(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for connection in list(self._connections):
            connection.drop()
        await server.wait_closed()
