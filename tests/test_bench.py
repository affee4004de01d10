"""The benchmark as a whole, with next to nothing to do: what it measures must still be there to be measured."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.receiver import receiving

# What each measurement says at least; rivals say something only where their packages are.
SAID = (
    "one event a request",
    "many events a request",
    "beside an admin page in a loop",
    "the last 100 events of a customer",
    "materialise a mailing",
    "preview with a filter",
    "statistics of all mailings",
    "import a file of new clients",
    "dispatch, one worker process",
)
FORWARDING = ("event to webhook", "forwarding, one worker process", "forwarding while events come in")


@pytest.mark.thorough
@pytest.mark.long
@pytest.mark.timeout(300)  # a dozen processes, one after the other
@pytest.mark.parametrize(
    ("only", "said"),
    [
        pytest.param(("intake", "log", "million", "files", "dispatch"), SAID, id="all but forwarding"),
        pytest.param(("forward",), FORWARDING, id="forwarding"),
    ],
)
def test_every_measurement_ends_with_a_figure(
    tmp_path: Path, only: tuple[str, ...], said: tuple[str, ...]
) -> None:
    results = tmp_path / "results.md"
    command = ["-m", "bench", "--size", "tiny", "--databases", "sqlite", "--results", str(results)]
    command += ["--only", *only]
    ran = subprocess.run([sys.executable, *command], capture_output=True, text=True)

    assert ran.returncode == 0, ran.stderr[-2000:]
    lines = results.read_text().splitlines()
    assert [words for words in said if not any(line.startswith(f"| {words}") for line in lines)] == []


@pytest.mark.slow
def test_the_receiver_counts_requests_however_they_are_cut() -> None:
    def request(path: str, name: str) -> bytes:
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nWebhook-Id: {name}\r\nClarion-Event-Id: e-{name}\r\n"
        return f"{head}Content-Length: 8\r\n\r\n\r\n\r\nbody".encode()

    stream = request("/counted", "a") + request("/timed", "b") + request("/timed", "b")
    began = time.perf_counter()
    with receiving() as receiver:
        for size in (1, 7, len(stream)):
            with socket.create_connection(("127.0.0.1", receiver.port), timeout=5) as connection:
                for start in range(0, len(stream), size):
                    connection.sendall(stream[start : start + size])
                heard = b""
                while heard.count(b"HTTP/1.1 200 OK") < 3:
                    heard += connection.recv(4096)
        seen = receiver.seen()

    assert (seen.posts, seen.different, list(seen.arrived)) == (9, 2, ["e-b"])
    assert began < seen.arrived["e-b"] < time.perf_counter()
