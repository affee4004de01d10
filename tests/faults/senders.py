"""A stand-in sender in a process of its own: told how to behave, asked what came when."""

import time
import urllib.request
from collections import Counter
from functools import partial
from pathlib import Path

import msgspec

from clarion import sandbox
from clarion.sandbox.tally import Request
from clarion.supervisor import wait_until_listening
from tests.faults.processes import Process, fork, spawn
from tests.servers import free_port

# How long a process gets to start or to end, s: a cold start on a busy machine takes a few.
PROCESS_PATIENCE = 30.0
# Between two looks, s.
LOOK = 0.005


class Stuck(Exception):
    """Something that had to happen did not."""


class Sender:
    """What one sender does and has seen. Its ledger is a file, and survives it."""

    def __init__(self, ledger: Path, *, log: Path, forked: bool) -> None:
        self._ledger = ledger
        self._read_up_to = self._taken = 0
        port = free_port()
        self.process = self._start(port, log) if not forked else self._fork(port, log)
        if not wait_until_listening("127.0.0.1", port, patience=PROCESS_PATIENCE):
            raise Stuck("the sender did not start")
        self.base_url = f"http://127.0.0.1:{port}"

    def behave(self, profile: str, **knobs: object) -> None:
        """Put a profile in force."""
        self._tell("profile", {"profile": profile, **knobs})

    def go_away(self, seconds: float) -> None:
        """Close the socket for so long: connections are refused, those there are break."""
        self._tell("outage", {"seconds": seconds})

    def requests(self) -> list[Request]:
        """Return every request for a message, in the order in which they came."""
        with urllib.request.urlopen(f"{self.base_url}/_sandbox/requests") as answer:  # noqa: S310 - loopback
            return msgspec.json.decode(answer.read(), type=list[Request])

    def taken(self) -> int:
        """How many messages it has taken so far."""
        with self._ledger.open("rb") as ledger:
            ledger.seek(self._read_up_to)
            news = ledger.read()
        self._read_up_to += len(news)
        self._taken += news.count(b"\n")
        return self._taken

    def ledger(self) -> Counter[int]:
        """Times taken, by message."""
        return sandbox.read_ledger(self._ledger)

    def wait_until_quiet(self) -> None:
        """What a killed worker wrote may still be on its way through the kernel."""
        before = -1
        while self.process.poll() is None and self.taken() != before:
            before = self.taken()
            urllib.request.urlopen(f"{self.base_url}/_sandbox/counts").close()  # noqa: S310 - loopback
            time.sleep(LOOK)

    def _start(self, port: int, log: Path) -> Process:
        return spawn("clarion", "sandbox", "--port", str(port), "--ledger", str(self._ledger), log=log)

    def _fork(self, port: int, log: Path) -> Process:
        return fork(partial(sandbox.serve, "127.0.0.1", port, ledger=self._ledger), log=log)

    def _tell(self, what: str, words: dict[str, object]) -> None:
        asked = msgspec.json.encode(words)
        urllib.request.urlopen(f"{self.base_url}/_sandbox/{what}", asked).close()  # noqa: S310 - loopback
