"""`clarion run`: web and worker as one process tree.

A child that dies is started again, ever more slowly if it keeps dying; what a dead worker had in its hands is
rescued at once. SIGTERM lets both finish what they have begun. Should the supervisor itself be killed, its
children notice that their pipe to it ends, and stop.
"""

import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog
from django.db import DatabaseError, InterfaceError, connection

from clarion.outbox import claims

log = structlog.get_logger()

# A child that lived this long was well; its next death is the first again, s.
WELL_AFTER = 30.0
# Pauses before a restart, s: once at once, then ever longer, so that a broken set-up does not fill the log.
PAUSES = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
# Beyond the worker's own time to drain, before it is killed, s.
GRACE = 5.0
# Ports are 16 bits long.
LAST_PORT = 65535


class CannotListen(Exception):
    """The web process could not listen there; the message says why, and what to do."""


class PortTaken(CannotListen):
    """Somebody listens there already."""


@dataclass
class Child:
    """One process of the tree and its record of dying."""

    name: str
    arguments: Sequence[str]
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    deaths: int = 0
    start_at: float = field(default=0.0)


class Supervisor:
    """Keeps the children running until `stop` is called or a signal asks for it."""

    def __init__(
        self, children: Sequence[Child], *, environment: dict[str, str], drain_seconds: float
    ) -> None:
        self._children = children
        self._environment = environment
        self._drain_seconds = drain_seconds
        self._stopping = threading.Event()
        # Children hold the reading end; the writing end is ours alone and closes with us, however we end.
        self._pipe_out, self._pipe_in = os.pipe()

    def stop(self) -> None:
        self._stopping.set()

    def run(self, when_started: Callable[[], None]) -> None:
        """Start all children, call `when_started` beside them, and return when all have ended."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())
        # What migrated the database has left a connection open. None is kept from here on: servers end idle ones.
        connection.close()
        for child in self._children:
            self._start(child)
        threading.Thread(target=when_started, daemon=True).start()
        while not self._stopping.wait(0.05):
            for child in self._children:
                self._look_after(child)
        self._end_all()

    def pids(self) -> dict[str, int]:
        """The running children's process ids by name."""
        return {child.name: child.process.pid for child in self._children if child.process is not None}

    def _start(self, child: Child) -> None:
        command = [sys.executable, "-m", "clarion", *child.arguments, "--parent-fd", str(self._pipe_out)]
        # A group of its own: Ctrl-C reaches the supervisor alone, which then ends the children in order.
        child.process = subprocess.Popen(
            command, env=self._environment, pass_fds=(self._pipe_out,), start_new_session=True
        )
        child.started_at = time.monotonic()

    def _look_after(self, child: Child) -> None:
        if child.process is None:
            if time.monotonic() >= child.start_at:
                self._start(child)
            return
        code = child.process.poll()
        if code is None:
            return
        lived = time.monotonic() - child.started_at
        if lived > WELL_AFTER:
            child.deaths = 0
        pause = PAUSES[min(child.deaths, len(PAUSES) - 1)]
        child.deaths += 1
        log.warning(
            "child_died", child=child.name, pid=child.process.pid, code=code, restart_in_seconds=pause
        )
        _rescue(child.process.pid)
        child.process, child.start_at = None, time.monotonic() + pause

    def _end_all(self) -> None:
        running = [child.process for child in self._children if child.process is not None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + self._drain_seconds + GRACE
        for process in running:
            try:
                process.wait(timeout=max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            _rescue(process.pid)


def probe_port(host: str, port: int) -> None:
    """Check that the port is free before anything is started.

    :raises PortTaken: somebody listens there
    :raises CannotListen: it is no address of this machine, or a port that this user may not have
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError):
        raise CannotListen(f"{host} is no address that this machine knows. Give another: --host") from None
    with socket.socket(family, kind) as probe:
        # A port whose last connections are still closing is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # As the web process listens: who has the port on IPv4 is not in its way.
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise _refusal(host, port, error) from error


def _refusal(host: str, port: int, error: OSError) -> CannotListen:
    if error.errno == errno.EADDRINUSE:
        other = port + 1 if port < LAST_PORT else port - 1
        return PortTaken(
            f"Port {port} on {host} is taken ({error.strerror}). Stop what listens there, or: PORT={other}"
        )
    if error.errno == errno.EACCES:
        return CannotListen(f"This user may not have port {port} on {host}. Take one from 1024 on: PORT=8000")
    return CannotListen(f"Nobody can listen on {host}, port {port}: {error.strerror}. Give another: --host")


def wait_until_listening(host: str, port: int, *, patience: float) -> bool:
    """Wait until something accepts connections there; False when `patience` (s) ran out."""
    give_up = time.monotonic() + patience
    while time.monotonic() < give_up:
        try:
            with socket.create_connection((host, port), timeout=1):
                return True
        except OSError:
            time.sleep(0.05)
    return False


def _rescue(pid: int) -> None:
    try:
        rescued = claims.rescue_process(pid, now=datetime.now(UTC))
        if rescued:
            log.warning("rows_rescued", pid=pid, rows=rescued)
    except (DatabaseError, InterfaceError) as error:
        # The sweep of the next worker finds them when the lease lapses.
        log.warning("rescue_failed", pid=pid, error=type(error).__name__)
    finally:
        # The next death may be weeks away, and MariaDB ends a connection that was idle for eight hours.
        connection.close()
