"""A private Redis for the rival that needs one: on loopback and a free port, in memory, gone after the run."""

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from bench.installation import wait_until
from tests import servers


@contextmanager
def running_redis() -> Iterator[str]:
    """Give the URL of a Redis of our own.

    :raises Unavailable: where the program is not installed
    """
    (program,) = servers.find_programs("redis-server", ("redis-server",))
    with servers.private_folder("redis") as (folder, user):
        port = servers.free_port()
        # Nothing is written to disk: what Celery advises for a broker, and the rival is the quicker for it.
        place = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
        command = [program, *place, "--save", "", "--appendonly", "no"]
        with servers.running(command, folder, user, signal.SIGTERM):
            wait_until(lambda: _answers(port), patience=servers.START_SECONDS)
            yield f"redis://127.0.0.1:{port}/0"


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
