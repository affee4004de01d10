"""A throw-away installation for measuring: a database, customers, a mailing, real worker processes."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests import servers

# Beyond this a run has hung; every honest one ends in a fraction of it, s.
PATIENCE = 300.0


@contextmanager
def installation(database: str) -> Iterator[dict[str, str]]:
    """Give the environment of a fresh, migrated installation on `sqlite` or `postgres`, gone afterwards."""
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="clarion-bench-"))
        environment = {**os.environ, "CLARION_DATA": folder, "CLARION_LOG_FORMAT": "json"}
        environment.pop("CLARION_DATABASE_URL", None)
        if database == "postgres":
            environment["CLARION_DATABASE_URL"] = stack.enter_context(servers.postgres_server())
        run(environment, "migrate")
        yield environment


def run(environment: dict[str, str], *arguments: str) -> str:
    """Run a clarion verb to its end and return what it printed."""
    command = [sys.executable, "-m", "clarion", *arguments]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


@contextmanager
def process(environment: dict[str, str], *arguments: str, log: Path | None = None) -> Iterator[int]:
    """Keep a clarion process running for as long as the block lasts; give its pid."""
    with ExitStack() as stack:
        sink = stack.enter_context(log.open("wb")) if log else subprocess.DEVNULL
        command = [sys.executable, "-m", "clarion", *arguments]
        child = subprocess.Popen(command, env=environment, stdout=sink, stderr=sink)
        try:
            yield child.pid
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(timeout=60)


@contextmanager
def running_sandbox(environment: dict[str, str]) -> Iterator[str]:
    """Run the stand-in sender in a process of its own; give its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with process(environment, "sandbox", "--port", str(port)):
        wait_until(lambda: _listens(port), patience=20)
        yield f"http://127.0.0.1:{port}"


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def wait_until(done: Callable[[], bool], *, patience: float = PATIENCE) -> float:
    """Wait until `done()` is true; return how long that took, s."""
    began = time.perf_counter()
    while not done():
        if time.perf_counter() - began > patience:
            raise TimeoutError("the run did not end")
        time.sleep(0.02)
    return time.perf_counter() - began
