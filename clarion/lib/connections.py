"""Kept-alive connections to any number of hosts: made, lent for one request, taken back, closed when they rested long."""

import asyncio
import math
import socket
import ssl
from collections import deque
from collections.abc import Sequence
from typing import Any

import aiohappyeyeballs
import yarl

from clarion.lib.egress import Egress
from clarion.lib.exchanges import Connection

# Seconds an idle connection is kept: less than the 5 after which common servers close theirs, because a
# request written just as the other side closes is in doubt.
KEEP_ALIVE = 4.0
# Seconds a looked-up name is good for: a burst of new connections asks once, a moved host is found soon.
NAME_KEPT = 10.0
# So many times as long its addresses, which were judged, serve while it is looked up again: a minute. uvloop looks up
# two slow names at a time, so whoever has a name server that says nothing would hold up everybody else.
STALE = 6
# Seconds before the next address of a host is tried beside the first (RFC 8305 §8).
NEXT_ADDRESS = 0.25

Addresses = Sequence[tuple[Any, Any, int, str, Any]]


class Origin:
    """One scheme, host and port, with its idle connections.

    :raises ValueError: where `name` (`https://example.com:8443`) is none
    """

    def __init__(self, name: str) -> None:
        url = yarl.URL(name)
        if not url.raw_host or not url.port:
            raise ValueError("no host")
        self.host, self.port, self.is_tls = url.raw_host, url.port, url.scheme == "https"
        self.host_header = url.host_port_subcomponent
        self.idle: list[Connection] = []
        self.addresses: Addresses = ()
        # Why there are none, and until when either is known.
        self.failure: OSError | None = None
        self.addresses_until = -math.inf
        self.looking: asyncio.Task[None] | None = None


class Pool:
    """Connections to any number of origins, at most `most` in use at once. Belongs to one running event loop.

    With an `egress` nothing is connected but to addresses that it lets pass.
    """

    def __init__(self, *, most: int, connect_timeout: float, egress: Egress | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._connect_timeout = connect_timeout
        self._egress = egress
        self._free = most
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._tls: ssl.SSLContext | None = None
        self._resting: set[Origin] = set()
        self._in_use: set[Connection] = set()
        self._sweeper: asyncio.TimerHandle | None = None

    def kept(self, origin: Origin) -> Connection | None:
        """Return a kept connection for one request, at once. None: `made` has to be asked. Give it back with `give`."""
        connection = self._rested(origin) if self._free else None
        if connection is not None:
            self._free -= 1
            self._in_use.add(connection)
        return connection

    async def made(self, origin: Origin, seconds: float) -> Connection:
        """Return a connection for one request, made within `seconds` unless one comes back meanwhile.

        :raises OSError: there is none; ssl.SSLError, socket.gaierror, TimeoutError and Denied are such errors, too
        """
        async with asyncio.timeout(min(seconds, self._connect_timeout)):
            await self._enter()
            try:
                connection = self._rested(origin) or await self._connected(origin)
            except BaseException:
                self._leave()
                raise
        self._in_use.add(connection)
        return connection

    def give(self, origin: Origin, connection: Connection) -> None:
        """Take a connection back, and keep it if it is good for another request."""
        self._in_use.discard(connection)
        if connection.is_good:
            connection.idle_since = self._loop.time()
            origin.idle.append(connection)
            self._resting.add(origin)
            if self._sweeper is None:
                self._sweeper = self._loop.call_later(KEEP_ALIVE, self._sweep)
        else:
            connection.abort()
        self._leave()

    def close(self) -> None:
        """Close every connection; whoever still waits for an answer hears that it ended."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        idle = [connection for origin in self._resting for connection in origin.idle]
        for origin in self._resting:
            origin.idle.clear()
        for connection in (*idle, *self._in_use):
            connection.fail(ConnectionResetError(None, "the client was closed"))
            connection.abort()

    async def _enter(self) -> None:
        """Wait until one more connection may be in use; first come, first served."""
        if self._free:
            self._free -= 1
            return
        waiter = self._loop.create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():
                # Its turn came as it gave up.
                self._leave()
            raise

    def _leave(self) -> None:
        """Let the next one in."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._free += 1

    def _rested(self, origin: Origin) -> Connection | None:
        """Return the one that rested the shortest: the other side is the least likely to close it just now."""
        oldest = self._loop.time() - KEEP_ALIVE
        while origin.idle:
            connection = origin.idle.pop()
            if connection.is_good and connection.idle_since > oldest:
                return connection
            connection.abort()
        return None

    def _sweep(self) -> None:
        """Close what has rested for too long, and look again as long as anything rests."""
        self._sweeper = None
        oldest = self._loop.time() - KEEP_ALIVE
        for origin in list(self._resting):
            fresh = [each for each in origin.idle if each.is_good and each.idle_since > oldest]
            for connection in set(origin.idle).difference(fresh):
                connection.abort()
            origin.idle = fresh
            if not fresh:
                self._resting.discard(origin)
        if self._resting:
            self._sweeper = self._loop.call_later(KEEP_ALIVE, self._sweep)

    async def _connected(self, origin: Origin) -> Connection:
        await self._look_up(origin)
        try:
            connected = await aiohappyeyeballs.start_connection(
                origin.addresses, happy_eyeballs_delay=NEXT_ADDRESS, interleave=1, loop=self._loop
            )
        except OSError:
            # It may have moved.
            origin.addresses_until = -math.inf
            raise
        tls: dict[str, Any] = {}
        if origin.is_tls:
            tls = {"ssl": self._tls_context(), "server_hostname": origin.host.rstrip(".")}
        try:
            _, connection = await self._loop.create_connection(
                lambda: Connection(self._loop), sock=connected, **tls
            )
        except BaseException:
            connected.close()
            raise
        return connection

    async def _look_up(self, origin: Origin) -> None:
        """Learn the addresses of a host; whoever else wants them meanwhile waits for the same answer.

        :raises OSError: it has none, as was found just now or shortly before
        """
        now = self._loop.time()
        if now >= origin.addresses_until:
            if origin.looking is None:
                origin.looking = self._loop.create_task(self._ask_for_addresses(origin))
                # All who waited may be gone when it fails.
                origin.looking.add_done_callback(lambda task: task.cancelled() or task.exception())
            if not origin.addresses or now >= origin.addresses_until + STALE * NAME_KEPT:
                await asyncio.shield(origin.looking)
        if origin.failure is not None:
            raise origin.failure.with_traceback(None)

    async def _ask_for_addresses(self, origin: Origin) -> None:
        try:
            found = await self._loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
            if self._egress is not None:
                # What is kept was judged, and nobody asks for the name again on the way to the connection (uvloop reads
                # the address once more): a name that leads elsewhere a moment later (DNS rebinding) leads nowhere.
                self._egress.admit(origin.host, (str(address[0]) for *_, address in found))
            origin.addresses, origin.failure = found, None
        except OSError as error:
            origin.addresses, origin.failure = (), error
        finally:
            origin.looking = None
        origin.addresses_until = self._loop.time() + NAME_KEPT

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls
