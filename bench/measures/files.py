"""How long a file of clients takes to be read in, and how much memory the two processes hold that take part.

`python -m bench.measures.files ROWS PORT WEB_PID WORKER_PID`. The file is sent over HTTP to a running web process; the
worker reads it.
"""

import http.client
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import django

django.setup()

from bench.audience import CITIES, now  # noqa: E402 - Django comes first
from bench.figures import Figure, peak_mb, say  # noqa: E402
from bench.installation import wait_until  # noqa: E402
from clarion.flows import callers, tenants  # noqa: E402
from clarion.models import Customer  # noqa: E402

GOAL_MB = 250.0
# Lines handed to the connection at once: some 64 kB.
PIECE = 1_000
# Between two looks at how far it is, s: too rarely to be a part of it.
LOOK = 0.5


def main(rows: int, port: int, web: int, worker: int) -> None:
    tenant = tenants.create("bench", now=now())
    _, key = callers.create_key(tenant, name="bench", scopes=["customers"], is_test=False, now=now())
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "text/csv"}
    size = f"{rows:,} rows"
    figures = []
    for what, outcome in (("import a file of new clients", "created"), ("the same file again", "unchanged")):
        began = time.perf_counter()
        done = _imported(rows, port, headers)
        seconds = time.perf_counter() - began
        if done[outcome] != rows:
            raise RuntimeError(f"{what}: {done}")
        figures.append(Figure(what, rows / seconds, "rows/s", size))
    if Customer.objects.of(tenant).count() != rows:
        raise RuntimeError("not every row became a client")
    for what, pid in (("worker", worker), ("web process", web)):
        figures.append(Figure(f"… memory of the {what}", peak_mb(pid), "MB", size, GOAL_MB, is_most=True))
    say(figures)


def _imported(rows: int, port: int, headers: dict[str, str]) -> dict[str, Any]:
    """Send the file and return what the import says when it is over."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    connection.request("POST", "/api/v1/clients/import", _pieces(rows), headers, encode_chunked=True)
    taken = _answer(connection)
    path = f"/api/v1/imports/{taken['id']}"

    def state() -> dict[str, Any]:
        connection.request("GET", path, headers=headers)
        return _answer(connection)

    wait_until(lambda: state()["status"] not in ("WAITING", "RUNNING"), pause=LOOK)
    return state()


def _pieces(rows: int) -> Iterator[bytes]:
    """A file as a shop has it: its own number for each, a phone, a label, a zone and a column of its own."""
    yield b"external_id,phone,tag,timezone,city\n"
    for first in range(0, rows, PIECE):
        lines = (
            f"c{n},7{n:010},tag{n % 7},Europe/Berlin,{CITIES[n % len(CITIES)]}\n"
            for n in range(first, min(first + PIECE, rows))
        )
        yield "".join(lines).encode()


def _answer(connection: http.client.HTTPConnection) -> dict[str, Any]:
    answer = connection.getresponse()
    read = answer.read()
    if answer.status not in (200, 202):
        raise RuntimeError(f"{answer.status} {read[:500]!r}")
    return dict(json.loads(read))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
