"""Processes of a fault run: started as an operator starts them, or forked from this one to save their start-up."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from django.conf import settings
from django.db import connections

from clarion.lib import crashpoints

# Between two looks whether a forked process has ended, s.
LOOK = 0.005
STOPPING = (signal.SIGTERM, signal.SIGINT)
FORK = multiprocessing.get_context("fork")


class Process(Protocol):
    """What `subprocess.Popen` and `Forked` have in common."""

    pid: int

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


class Forked:
    """A copy of this process that does `work` and ends. Looks like a Popen to whoever minds it."""

    def __init__(self, work: Callable[[], None]) -> None:
        # A connection that two processes use is the end of both.
        connections.close_all()
        self._process = FORK.Process(target=_with_own_signals, args=(work,))
        # A signal between the fork and the child's own handlers would meet ours, and be lost to the child.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        give_up = time.monotonic() + (float("inf") if timeout is None else timeout)
        # Not by joining it: that waits for the children it has forked as well.
        while (code := self.poll()) is None:
            if time.monotonic() > give_up:
                raise subprocess.TimeoutExpired("forked process", timeout or 0)
            time.sleep(LOOK)
        return code

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()


def _with_own_signals(work: Callable[[], None]) -> None:
    for number in STOPPING:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    work()


def spawn(module: str, *arguments: str, log: Path, **changes: object) -> Process:
    """Start `python -m module …` with these settings changed."""
    environment = {**os.environ, **{f"CLARION_{name.upper()}": str(value) for name, value in changes.items()}}
    with log.open("ab") as sink:
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments], env=environment, stdout=sink, stderr=sink
        )


def fork(work: Callable[[], None], *, log: Path, **changes: object) -> Process:
    """The same for a function of this process."""

    def child() -> None:
        with log.open("ab") as sink:
            os.dup2(sink.fileno(), 1)
            os.dup2(sink.fileno(), 2)
        settings.CLARION = settings.CLARION.model_copy(update=changes)
        if settings.CLARION.crash_at:
            crashpoints.arm(settings.CLARION.crash_at)
        work()

    return Forked(child)
