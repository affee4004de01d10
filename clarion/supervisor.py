"""`clarion run`: web and worker as one process tree.

A child that dies is started again, ever more slowly if it keeps dying; what a dead worker had in its hands is
rescued at once. SIGTERM lets both finish what they have begun. Should the supervisor itself be killed, its
children notice that their pipe to it ends, and stop.
"""

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


class PortTaken(Exception):
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

    :raises PortTaken:
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # A port whose last connections are still closing is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            sentence = f"Port {port} on {host} is taken ({error.strerror}). Stop what listens there, or: PORT={port + 1}"
            raise PortTaken(sentence) from error


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
        connection.close()
