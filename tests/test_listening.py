"""Where `clarion run` may listen, what it says when it may not, and what a start that comes to nothing leaves behind."""

import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.db import connection

from clarion.outbox import claims
from clarion.supervisor import LAST_PORT, CannotListen, PortTaken, Supervisor, _refusal, _rescue, probe_port
from tests.servers import free_port

# The web process is not given the time to answer.
IMPATIENT = """
import sys
from clarion import cli
from clarion.cli import run
run.STARTS_WITHIN = 0.0
cli.app(["run", "--port", sys.argv[1]])
"""


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.fixture
def signals() -> Iterator[None]:
    """A supervisor takes the signals of its process; give them back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1", "a" * 70])
def test_an_address_of_another_machine_is_not_called_taken(host: str) -> None:
    with pytest.raises(CannotListen, match=r"--host") as caught:
        probe_port(host, free_port())

    assert not isinstance(caught.value, PortTaken)
    assert "taken" not in str(caught.value)


def test_a_port_that_is_not_ours_to_have_is_not_called_taken() -> None:
    # Whether this user may have a low port is the machine's choice, so the error is made here.
    refusal = _refusal("127.0.0.1", 80, PermissionError(errno.EACCES, "Permission denied"))

    assert not isinstance(refusal, PortTaken)
    assert "may not have port 80" in str(refusal)


def test_no_port_is_suggested_that_does_not_exist() -> None:
    refusal = _refusal("127.0.0.1", LAST_PORT, OSError(errno.EADDRINUSE, "Address already in use"))

    assert isinstance(refusal, PortTaken)
    assert str(refusal).endswith(f"PORT={LAST_PORT - 1}")


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_who_has_the_port_on_ipv4_is_not_in_the_way_of_ipv6() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()

        probe_port("::1", other.getsockname()[1])
        probe_port("::", other.getsockname()[1])


@pytest.mark.django_db(transaction=True)
def test_between_two_deaths_no_connection_is_kept() -> None:
    worker = claims.enlist(pid=os.getpid(), now=datetime.now(UTC), lease_seconds=60)

    _rescue(worker.pid)

    assert connection.connection is None
    worker.refresh_from_db()
    assert worker.ended_at is not None


@pytest.mark.django_db(transaction=True)
def test_a_supervisor_begins_without_the_connection_that_migrated(signals: None) -> None:
    connection.ensure_connection()
    supervisor = Supervisor([], environment={}, drain_seconds=0)
    supervisor.stop()

    supervisor.run(lambda: None)

    assert connection.connection is None


@pytest.mark.thorough
@pytest.mark.slow
def test_a_web_process_that_never_answers_is_a_failure_that_still_shows_what_is_shown_once(
    tmp_path: Path,
) -> None:
    environment = {**os.environ, "CLARION_DATA": str(tmp_path / "data"), "CLARION_DATABASE_URL": ""}

    result = subprocess.run(
        [sys.executable, "-c", IMPATIENT, str(free_port())],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 1, result.stderr
    assert "did not answer" in result.stderr
    assert "Keep the password of operator: " in result.stdout
    assert "Keep the API key: ck_live_" in result.stdout
