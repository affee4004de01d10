"""A hub as `make run` starts it, for tests that want real processes: web and worker, a port and a database of its own.

One runs per test session and is shared; each test brings its own tenant. `Shop` is a plain HTTP client.
"""

import contextlib
import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pymysql
from django.conf import settings

from tests.servers import free_port

# A cold machine compiles every module first, s; a warm one is ready in about 3.
STARTS_WITHIN = 50.0
# The worker drains for at most this long, then the supervisor kills it, s.
STOPS_WITHIN = 20.0
# What one test waits for at most: the worker looks four times a second and the machine may be busy, s.
PATIENCE = 15.0
# Between two looks, s.
PAUSE = 0.05
# The hub's own limit for a body to arrive: long enough for a busy machine, short enough to be waited for, s.
BODY_SECONDS = 1.5

PROJECT = Path(__file__).parents[1]

Seen = TypeVar("Seen")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `headers` ignore case."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Shop:
    """Calls the hub as one tenant, or as nobody in particular."""

    port: int
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send one request and follow nothing. A text is sent as it stands, anything else as JSON."""
        sent = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if body is not None:
            sent = {"Content-Type": "application/json", **sent}
            body = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        return self.ask("POST", path, body, **headers)

    def put(self, path: str, body: Any, **headers: str) -> Answer:
        return self.ask("PUT", path, body, **headers)

    def delete(self, path: str) -> Answer:
        return self.ask("DELETE", path)


@dataclass(frozen=True, slots=True)
class Hub:
    """A running hub in development mode."""

    port: int
    environment: dict[str, str]
    log: Path

    def shop(self, tenant: str = "") -> Shop:
        """Return a client of a tenant nobody else uses, or of the one named."""
        return Shop(self.port, {"X-TWC-Tenant": tenant or f"shop-{secrets.token_hex(6)}"})

    def anybody(self) -> Shop:
        return Shop(self.port)

    def say(self, data: bytes, *, patience: float = PATIENCE) -> bytes:
        """Send raw bytes and return what the hub says until it ends the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=patience) as connection:
            connection.sendall(data)
            return b"".join(iter(lambda: connection.recv(65_536), b""))

    def logged(self, **members: Any) -> list[dict[str, Any]]:
        """Return the lines of the log that have these members. What is printed for people is no such line."""
        lines = (json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{"))
        return [line for line in lines if members.items() <= line.items()]

    def run(
        self, *command: str, more: dict[str, str] | None = None, said: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a Python command against the hub's own installation."""
        return subprocess.run(
            [sys.executable, *command],
            cwd=PROJECT,
            env={**self.environment, **(more or {})},
            input=said,
            capture_output=True,
            text=True,
            timeout=PATIENCE * 2,
        )


def wait_until(look: Callable[[], Seen], *, patience: float = PATIENCE) -> Seen:
    """Look until there is something true to see, and return what was seen last."""
    give_up = time.monotonic() + patience
    while not (seen := look()) and time.monotonic() < give_up:
        time.sleep(PAUSE)
    return seen


@contextlib.contextmanager
def running_hub(folder: Path) -> Iterator[Hub]:
    """Run a hub while the block lasts; it is stopped by its own pid, in order."""
    with own_database() as url:
        ours = {
            "CLARION_DATA": str(folder / "data"),
            "CLARION_DATABASE_URL": url,
            "CLARION_PORT": str(free_port()),
            "CLARION_BODY_SECONDS": str(BODY_SECONDS),
            "CLARION_LOG_FORMAT": "json",
        }
        strangers = {name: value for name, value in os.environ.items() if not name.startswith("CLARION_")}
        hub = Hub(int(ours["CLARION_PORT"]), {**strangers, **ours}, folder / "log")
        with hub.log.open("wb") as written:
            process = subprocess.Popen(
                [sys.executable, "-m", "clarion", "run", "--dev"],
                env=hub.environment,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_until(lambda: process.poll() is not None or is_ready(hub), patience=STARTS_WITHIN)
            assert is_ready(hub), hub.log.read_text(errors="replace")
            yield hub
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOPS_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def is_ready(hub: Hub) -> bool:
    """Whether web and worker are both there."""
    try:
        answer = hub.anybody().get("/readyz")
    except OSError:
        return False
    return answer.status == 200 and answer.json()["workers"] > 0


@contextlib.contextmanager
def own_database() -> Iterator[str]:
    """Give the URL of an empty database on the server that the tests use; empty for SQLite, which needs none.

    Not the tests' own database: theirs is rolled back, and emptied, behind a running hub's back.
    """
    url = settings.CLARION.database_url.get_secret_value()
    if not url or url.startswith("sqlite:"):
        yield ""
        return
    parts = urlsplit(url)
    name = f"clarion_hub_{secrets.token_hex(4)}"
    # The collation that Clarion asks for; a given server may have another as its own.
    collation = "" if url.startswith("postgres") else " CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"
    execute(url, f"CREATE DATABASE {name}{collation}")
    try:
        yield urlunsplit(parts._replace(path=f"/{name}"))
    finally:
        execute(url, f"DROP DATABASE {name}")


def execute(url: str, sql: str) -> None:
    """Run one statement outside any transaction."""
    if url.startswith("postgres"):
        with psycopg.connect(url, autocommit=True) as postgres:
            postgres.execute(sql.encode())
        return
    at = urlsplit(url)
    mariadb = pymysql.connect(
        host=at.hostname, port=at.port or 3306, user=at.username, password=at.password or ""
    )
    with mariadb, mariadb.cursor() as cursor:
        cursor.execute(sql)
