"""A database server that stands still, and neither answers nor hangs up: nobody waits for it without end."""

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from clarion.intake.lane import PATIENCE
from tests.hub import wait_until
from tests.servers import Server, Unavailable, free_port, private_postgres

# Beyond the lane's own patience, s: a busy machine is late with everything.
GRACE = 5.0


@contextmanager
def running_web(server: Server, folder: Path) -> Iterator[int]:
    """Run a web process in development mode on this server; give its port."""
    port = free_port()
    ours = {"CLARION_DATA": str(folder), "CLARION_DATABASE_URL": server.url, "CLARION_DEV": "true"}
    environment = {**os.environ, **ours, "CLARION_PORT": str(port), "CLARION_HOST": "127.0.0.1"}
    subprocess.run([sys.executable, "-m", "clarion", "migrate"], env=environment, check=True)
    web = subprocess.Popen([sys.executable, "-m", "clarion", "web"], env=environment)
    try:
        assert wait_until(lambda: is_there(port))
        yield port
    finally:
        web.send_signal(signal.SIGTERM)
        web.wait(timeout=30)


def is_there(port: int) -> bool:
    try:
        return post(port, 0)[0] == 201
    except OSError:
        return False


def post(port: int, number: int, tenant: str = "default") -> tuple[int, str | None]:
    """Return the status and Retry-After of an event's answer.

    :raises TimeoutError: it came too late
    """
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE + GRACE)) as connection:
        return _post(connection, number, tenant)


def _post(connection: http.client.HTTPConnection, number: int, tenant: str) -> tuple[int, str | None]:
    body = json.dumps({"event_type": "PRODUCT", "entity_id": number})
    headers = {"Content-Type": "application/json", "X-TWC-Tenant": tenant}
    connection.request("POST", "/api/v1/events", body, headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status, answer.headers["Retry-After"]


def processes_of(server: Server) -> list[int]:
    """Return the server and those that it keeps for connections."""
    with psycopg.connect(server.url) as connection:
        rows = connection.execute("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()").fetchall()
    return [server.pid, *(pid for (pid,) in rows)]


@pytest.mark.thorough
@pytest.mark.timeout(120)
def test_whoever_posts_to_a_database_that_stands_still_is_told_to_come_again(tmp_path: Path) -> None:
    try:
        with private_postgres() as server, running_web(server, tmp_path) as port:
            frozen = processes_of(server)
            with ThreadPoolExecutor() as clients:
                for pid in frozen:
                    os.kill(pid, signal.SIGSTOP)
                try:
                    # For the first it is the event that hangs, for the others the look at who they are.
                    known = clients.submit(post, port, 1)
                    unknown = [clients.submit(post, port, n, f"tenant{n}") for n in (2, 3)]
                    answers = [each.result() for each in (known, *unknown)]
                finally:
                    for pid in frozen:
                        os.kill(pid, signal.SIGCONT)

            assert answers == [(503, "1")] * 3
            assert wait_until(lambda: post(port, 9)[0] == 201)
    except Unavailable as missing:
        pytest.skip(str(missing))
