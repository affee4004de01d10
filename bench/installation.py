"""A throw-away installation for measuring: a database, a folder, and processes that last as long as a block."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPException
from tempfile import TemporaryDirectory

from tests import servers

# Beyond this a run has hung; every honest one ends in a fraction of it, s.
PATIENCE = 600.0


@contextmanager
def installation(database: str) -> Iterator[dict[str, str]]:
    """Give the environment of a fresh, migrated installation on `sqlite` or `postgres`, gone afterwards."""
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="clarion-bench-"))
        ours = {"CLARION_DATA": folder, "CLARION_LOG_FORMAT": "json", "CLARION_DATABASE_URL": ""}
        if database == "postgres":
            ours["CLARION_DATABASE_URL"] = stack.enter_context(servers.postgres_server())
        strangers = {name: value for name, value in os.environ.items() if not name.startswith("CLARION_")}
        environment = {**strangers, **ours, "DJANGO_SETTINGS_MODULE": "clarion.settings"}
        run(environment, "-m", "clarion", "migrate")
        yield environment


def run(environment: dict[str, str], *arguments: str) -> str:
    """Run a Python command to its end and return what it printed; what it complains of is seen."""
    command = [sys.executable, *arguments]
    ran = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return ran.stdout


@contextmanager
def process(environment: dict[str, str], *arguments: str) -> Iterator[int]:
    """Keep a Python process running for as long as the block lasts; give its pid. Its log is thrown away."""
    quiet = subprocess.DEVNULL
    child = subprocess.Popen([sys.executable, *arguments], env=environment, stdout=quiet, stderr=quiet)
    try:
        yield child.pid
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(timeout=60)


@contextmanager
def running_sandbox(environment: dict[str, str]) -> Iterator[tuple[str, int]]:
    """Run the stand-in sender in a process of its own; give its address and its pid."""
    port = servers.free_port()
    with process(environment, "-m", "clarion", "sandbox", "--port", str(port)) as pid:
        wait_until_listening(port)
        yield f"http://127.0.0.1:{port}", pid


@contextmanager
def running_web(environment: dict[str, str]) -> Iterator[tuple[int, int]]:
    """Run the web process; give its port and its pid."""
    port = servers.free_port()
    with process({**environment, "CLARION_PORT": str(port)}, "-m", "clarion", "web") as pid:
        wait_until(lambda: _answers(f"http://127.0.0.1:{port}/healthz"), patience=60)
        yield port, pid


def wait_until_listening(port: int) -> None:
    """Return when somebody listens on this port of loopback."""
    wait_until(lambda: _listens(port), patience=60)


def wait_until(done: Callable[[], bool], *, patience: float = PATIENCE, pause: float = 0.02) -> None:
    """Look every `pause` seconds whether `done()` is true, and return when it is."""
    give_up = time.monotonic() + patience
    while not done():
        if time.monotonic() > give_up:
            raise TimeoutError("the run did not end")
        time.sleep(pause)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - an address of our own making
            return bool(answer.status == 200)
    except (OSError, HTTPException):
        return False
