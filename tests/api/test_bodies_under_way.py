"""Bodies under way share their memory: who comes when it is full is told to come again, and all of it is given back."""

import contextlib
import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from clarion.supervisor import wait_until_listening
from tests.api.calls import CLIENT, MEMBERS_OF_A_PROBLEM
from tests.hub import BODY_SECONDS, PATIENCE, PROJECT, STARTS_WITHIN, Answer, Hub, Shop, wait_until
from tests.servers import free_port

pytestmark = pytest.mark.thorough

# The web process of an installation, whose bodies have little room.
WEB = """
import sys
import uvicorn
from clarion import asgi
usual = asgi.application
application = asgi.WholeBodies(
    usual._lane,
    usual._django,
    most_bytes=usual._most_bytes,
    most_event_bytes=usual._most_event_bytes,
    most_file_bytes=usual._most_file_bytes,
    most_held_bytes=int(sys.argv[2]),
    seconds=usual._seconds,
)
uvicorn.run(application, port=int(sys.argv[1]), loop="uvloop", http="httptools", log_level="warning")
"""
LENGTH = 900_000
# Three bodies of that length, and no fourth.
MOST_HELD = 3 * 1024 * 1024
PRODUCT = {"event_type": "PRODUCT", "entity_id": "p-1"}
LINE = "POST /api/v1/clients HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def port(hub: Hub) -> Iterator[int]:
    number = free_port()
    environment = {**hub.environment, "CLARION_DEV": "true"}
    command = [sys.executable, "-c", WEB, str(number), str(MOST_HELD)]
    with (
        hub.log.with_name("crowded").open("wb") as log,
        subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=log, stderr=log) as process,
    ):
        try:
            assert wait_until_listening("127.0.0.1", number, patience=STARTS_WITHIN)
            yield number
        finally:
            process.terminate()


@pytest.fixture
def crowded(hub: Hub, port: int) -> Shop:
    return Shop(port, hub.shop().headers)


def long(length: int = LENGTH) -> str:
    return json.dumps(CLIENT).ljust(length)


def batch(length: int = LENGTH) -> str:
    return json.dumps([PRODUCT]).ljust(length)


@contextlib.contextmanager
def slow_bodies(shop: Shop, count: int) -> Iterator[list[socket.socket]]:
    """So many bodies of which all but the last byte has been sent."""
    with contextlib.ExitStack() as opened:
        connections = []
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", shop.port), timeout=PATIENCE)
            connections.append(opened.enter_context(connection))
            connection.sendall(f"{LINE}Content-Length: {LENGTH + 1}\r\n\r\n{long()}".encode())
        yield connections


def is_refused(answer: Answer) -> bool:
    if answer.status != 503:
        return False
    problem = answer.json()
    assert set(problem) == MEMBERS_OF_A_PROBLEM
    assert problem["code"] == "too_much_at_once"
    assert (answer.headers["Retry-After"], answer.headers["Connection"]) == ("1", "close")
    return True


def test_a_long_body_is_refused_while_others_have_all_the_room(crowded: Shop) -> None:
    with slow_bodies(crowded, 3):
        assert wait_until(lambda: is_refused(crowded.post("/api/v1/clients", long())))
        assert is_refused(crowded.post("/api/v1/events", batch()))
        # Short ones come in.
        assert crowded.post("/api/v1/clients", CLIENT).status == 201
        assert crowded.post("/api/v1/events", PRODUCT).status == 201

    # They hung up.
    assert wait_until(lambda: crowded.post("/api/v1/clients", long()).status == 201)


def test_who_is_too_slow_gives_the_room_back(crowded: Shop) -> None:
    with slow_bodies(crowded, 3) as connections:
        answers = [http.client.HTTPResponse(connection) for connection in connections]
        for answer in answers:
            answer.begin()

        assert [answer.status for answer in answers] == [408] * 3, BODY_SECONDS
        assert [crowded.post("/api/v1/clients", long()).status for _ in range(4)] == [201] * 4


def test_every_end_of_a_request_gives_the_room_back(crowded: Shop) -> None:
    """Each of them more often than the room would bear."""
    too_long = f"{LINE}Transfer-Encoding: chunked\r\n\r\n200000\r\n{' ' * 0x200000}\r\n0\r\n\r\n"
    for _ in range(5):
        assert crowded.post("/api/v1/clients", long()).status == 201
        assert crowded.post("/api/v1/clients", long().replace("{", "[")).status == 400
        assert crowded.post("/api/v1/events", batch()).status == 201
        assert crowded.post("/api/v1/events", batch(), Idempotency_Key="k").status == 201
        assert crowded.post("/api/v1/events", batch(2_000_000)).status == 201
        assert crowded.post("/api/v1/events", batch(2_000_000), Authorization="Bearer nobody").status == 401
        with socket.create_connection(("127.0.0.1", crowded.port), timeout=PATIENCE) as connection:
            connection.sendall(too_long.encode())
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            assert answer.status == 413
