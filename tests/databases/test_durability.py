"""A database that would lose or damage what was acknowledged is not worked with, however a process is started."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests import servers

pytestmark = [pytest.mark.thorough, pytest.mark.xdist_group("durability")]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An installation on a server of its own, whose pages may tear in a power cut."""
    if "TEST_POSTGRES_URL" in os.environ:
        pytest.skip("a server that is shared is not weakened")
    folder: Path = tmp_path_factory.mktemp("weak")
    try:
        with servers.postgres_server() as url:
            ours = {"CLARION_DATA": str(folder), "CLARION_DATABASE_URL": url}
            environment = {**os.environ, **ours, "CLARION_PORT": str(servers.free_port())}
            start(environment, "-m", "clarion", "migrate").check_returncode()
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("ALTER SYSTEM SET full_page_writes = off")
                connection.execute("SELECT pg_reload_conf()")
            yield environment
    except servers.Unavailable as missing:
        pytest.skip(str(missing))


def start(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "arguments",
    [
        ("-m", "clarion", "run"),
        ("-m", "clarion", "web"),
        ("-m", "clarion", "worker", "--once"),
        ("-m", "uvicorn", "clarion.asgi:application", "--port", "0"),
    ],
    ids=lambda arguments: " ".join(arguments[1:3]),
)
def test_a_process_does_not_start(environment: dict[str, str], arguments: tuple[str, ...]) -> None:
    ended = start(environment, *arguments)

    assert ended.returncode != 0
    assert "full_page_writes is off" in ended.stdout + ended.stderr
