"""A fair turn for one at a time, among the threads and processes of one machine.

Two locks make it fair: take "next", take "run", release "next". Whoever has run and asks again at once finds
"next" in the hands of the one who waited. Done once among the threads of a process (in memory), then among
processes (files), so a process with many threads gets no more turns than one with a single thread.

It orders, it does not protect: what must never happen twice at a time needs its own lock (SQLite has one).
"""

import fcntl
import os
import select
import stat
import threading
import time
import weakref
from contextlib import suppress
from pathlib import Path
from types import TracebackType

# A turn is meant to last milliseconds (25 ms the longest); who waits this long waits for something broken.
PATIENCE_S = 30.0
# A holder that was killed rings no bell, so a waiter also looks by itself; 20 ms is below one long turn.
_LOOK_EVERY_S = 0.02
# Where no bell can be had: often enough that a turn of 1 ms is not doubled by the pause behind it.
_LOOK_WITHOUT_BELL_S = 0.0005


class TurnTimeout(Exception):
    """No turn came within the time that was given."""


class Turnstile:
    """The turnstile of one path: `<path>.turn-next` and `<path>.turn-run`, beside each its bell.

    All objects of one path share one place in the queue of their process. The files are made at the first
    turn and stay; removing them under a running process splits the queue in two until it restarts.
    """

    def __init__(self, path: str | Path) -> None:
        """Touches nothing yet. Links are resolved, so every name of a file means one turnstile."""
        self._gate = _gate_of(os.path.realpath(path))

    def turn(self, timeout: float = PATIENCE_S) -> "Turn":
        """Wait at most `timeout` seconds for a turn. Use it as `with turnstile.turn(): …` or `.release()` it.

        A thread that has the turn is given it again at once; the last release counts. Never keep a turn
        across an `await`: other tasks of the thread would share it. A turn ends when its process dies,
        however it dies; a forked child has none.

        :raises TurnTimeout: nothing is held then
        :raises OSError: the files cannot be made or locked
        """
        return self._gate.take(timeout)


class Turn:
    """A turn that was given. Released once, by any thread, at the latest when the object is forgotten."""

    def __init__(self, gate: "_Gate") -> None:
        self._gate: _Gate | None = gate
        self._life = gate.life

    def release(self) -> None:
        """Let the next one in. May be called again, and does nothing then."""
        gate, self._gate = self._gate, None
        # A forked child inherits the object but not the turn: its parent still runs.
        if gate is not None and self._life is gate.life:
            gate.give()

    def __enter__(self) -> "Turn":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def __del__(self) -> None:
        self.release()


class _Gate:
    """One process's side of one turnstile."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._next_file = _Line(f"{path}.turn-next")
        self._run_file = _Line(f"{path}.turn-run")
        self.start_afresh()

    def start_afresh(self) -> None:
        """Forget every lock and file: at the beginning, and in a forked child, whose parent has them."""
        self.life = object()
        self._holder: threading.Thread | None = None
        self._depth = 0
        # Plain locks, because they may be released by another thread and from __del__, at any moment.
        self._next = threading.Lock()
        self._run = threading.Lock()
        self._next_file.close()
        self._run_file.close()

    def take(self, timeout: float) -> Turn:
        me = threading.current_thread()
        if self._holder is me:
            self._depth += 1
            return Turn(self)
        deadline = time.monotonic() + timeout
        if not self._next.acquire(timeout=max(timeout, 0.0)):
            raise self._late(timeout)
        try:
            if not self._run.acquire(timeout=max(deadline - time.monotonic(), 0.0)):
                raise self._late(timeout)
        finally:
            self._next.release()
        try:
            self._pass_files(deadline, timeout)
        except BaseException:
            # An interrupt may come when the file is locked already; unlocking one that is not does no harm.
            self._run_file.give()
            self._run.release()
            raise
        self._depth, self._holder = 1, me
        return Turn(self)

    def _pass_files(self, deadline: float, timeout: float) -> None:
        if not self._next_file.take(deadline):
            raise self._late(timeout)
        try:
            if not self._run_file.take(deadline):
                raise self._late(timeout)
        finally:
            self._next_file.give()

    def give(self) -> None:
        self._depth -= 1
        if self._depth:
            return
        self._holder = None
        try:
            self._run_file.give()
        finally:
            self._run.release()

    def _late(self, timeout: float) -> TurnTimeout:
        return TurnTimeout(f"no turn at {self._path} within {timeout:g} s: somebody keeps it")


class _Line:
    """One lock file and its bell. Used by one thread of the process at a time.

    flock is held by the open file, so the kernel frees it at any death. It cannot wait with a limit and let
    go of the interpreter, hence the bell: a FIFO into which whoever gives the lock back puts a byte, and on
    which the one who waits sleeps. The bell is a hint only; measured, it is as quick as a blocking flock,
    where looking again every 0.2 ms halved the rate of two processes that commit in turn.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = -1
        self._bell = -1
        self._ear: select.poll | None = None

    def take(self, deadline: float) -> bool:
        """Wait for the lock until `deadline` (monotonic seconds); say whether it came. Asks at least once."""
        if self._file < 0:
            self._open()
        if self._try():
            return True
        while True:
            # In this order no ring is missed: one that comes after the bell was emptied ends the sleep below.
            self._empty_bell()
            if self._try():
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._sleep(left)

    def give(self) -> None:
        if self._file < 0:
            return
        fcntl.flock(self._file, fcntl.LOCK_UN)
        # A full bell has rung long ago, and one that is broken is only a hint that does not come.
        if self._bell >= 0:
            with suppress(OSError):
                os.write(self._bell, b"!")

    def _try(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _empty_bell(self) -> None:
        if self._bell >= 0:
            with suppress(BlockingIOError):
                os.read(self._bell, 65536)  # all that a FIFO of Linux holds

    def _sleep(self, left: float) -> None:
        if self._ear is None:
            time.sleep(min(left, _LOOK_WITHOUT_BELL_S))
        else:
            self._ear.poll(min(left, _LOOK_EVERY_S) * 1000)

    def _open(self) -> None:
        # Group-writable as far as the umask lets it: web and worker may be two users of one group.
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        # Some file systems (network shares, some container mounts) have no FIFOs, and a restored backup may
        # hold a plain file in its place, which would always seem to ring. Then the waiter looks.
        with suppress(OSError):
            with suppress(FileExistsError):
                os.mkfifo(f"{self._path}.bell", 0o660)
            self._bell = os.open(f"{self._path}.bell", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            if stat.S_ISFIFO(os.fstat(self._bell).st_mode):
                self._ear = select.poll()
                self._ear.register(self._bell, select.POLLIN)
            else:
                os.close(self._bell)
                self._bell = -1

    def close(self) -> None:
        """Close both files, which does not take the lock from a process that has them open too."""
        opened = [number for number in (self._file, self._bell) if number >= 0]
        self._file = self._bell = -1
        self._ear = None
        for number in opened:
            os.close(number)

    def __del__(self) -> None:
        self.close()


_gates: "weakref.WeakValueDictionary[str, _Gate]" = weakref.WeakValueDictionary()
_finding = threading.Lock()


def _gate_of(path: str) -> _Gate:
    with _finding:
        gate = _gates.get(path)
        if gate is None:
            gate = _gates[path] = _Gate(path)
        return gate


def _after_fork() -> None:
    global _finding
    _finding = threading.Lock()
    for gate in list(_gates.values()):
        gate.start_afresh()


os.register_at_fork(after_in_child=_after_fork)
