"""Whatever is sent to the doors of events is kept or refused, soon, in words that say what is wrong; never a fault of ours.

Each body is sent twice: to the fast lane, and with an Idempotency-Key, which takes it to Django.
"""

import http.client
import json
import socket
import time
from typing import Any

import pytest

from tests.api.calls import MEMBERS_OF_A_PROBLEM
from tests.faults import hostile
from tests.faults.hostile import LINES, ODD, PATHS, Hostile, poisons, singles, with_odd
from tests.hub import BODY_SECONDS, PATIENCE, Answer, Hub, Shop

pytestmark = pytest.mark.thorough

# The longest that a body may keep anybody waiting, s: the largest takes a tenth of it where nothing else runs.
SOON = 5.0
CASES = {f"{path} {name}": (path, case) for path in PATHS for name, case in singles(path)}
BATCH = 1_000


def send(shop: Shop, path: str, body: bytes, headers: dict[str, str]) -> Answer:
    """Send bytes as they are, with a connection of their own."""
    kept = {"Content-Type": "application/json", **shop.headers, **headers}
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Connection: close", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in kept.items() if value]
    return answer_to(shop.port, "\r\n".join([*lines, "", ""]).encode("latin-1") + body)


def answer_to(port: int, *pieces: bytes, pause: float = 0.0) -> Answer:
    """Say these pieces, with a pause before each but the first, and return the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        for number, piece in enumerate(pieces):
            time.sleep(pause if number else 0)
            try:
                connection.sendall(piece)
            except OSError:
                break  # refused already; the answer is there to be read
        response = http.client.HTTPResponse(connection)
        response.begin()
        return Answer(response.status, response.headers, response.read())


def check(answer: Answer, case: Hostile) -> None:
    assert answer.status in case.statuses, (answer.status, answer.body[:500])
    if answer.status in (400, 413, 415):
        problem = answer.json()
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert set(problem) == MEMBERS_OF_A_PROBLEM
        assert problem["detail"]
        if case.names:
            assert {error["loc"][0] for error in problem["errors"]} == {ODD}


@pytest.mark.parametrize("case", CASES)
def test_a_hostile_body_is_refused_or_kept_soon(hub: Hub, case: str) -> None:
    path, sent = CASES[case]
    for more in ({}, {"Idempotency-Key": "k"}):
        shop, began = hub.shop(), time.monotonic()
        answer = send(shop, path, sent.body, {**sent.headers, **more})

        assert time.monotonic() - began < SOON
        check(answer, sent)
        stored = shop.get("/api/v1/events").json()["data"]
        assert bool(stored) == (answer.status == 201)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", ["application/json", LINES])
def test_one_poison_among_many_is_refused_alone(hub: Hub, path: str, kind: str) -> None:
    # The first in a long batch, all in short ones.
    for number, (name, poison) in enumerate(poisons(path)):
        if kind == LINES and b"\n" in poison:
            continue  # two lines, then
        size = 10 if number else BATCH
        for more in ({}, {"Idempotency-Key": "k"}):
            events = [json.dumps({**PATHS[path], "id": n}).encode() for n in range(size - 1)]
            events.insert(size // 2, poison)
            body = b"\n".join(events) if kind == LINES else b"[" + b",".join(events) + b"]"
            answer = send(hub.shop(), path, body, {"Content-Type": kind, **more})

            assert answer.status == 207, (name, answer.body[:500])
            tally = answer.json()
            assert (tally["accepted"], tally["duplicates"]) == (size - 1, 0), name
            (error,) = tally["errors"]
            assert (error["index"], error["status"]) == (size // 2, 400), name
            assert error["errors"], name


def test_lines_end_where_json_lines_end(shop: Shop) -> None:
    good = json.dumps(PATHS["/api/v1/events"])
    odd = good[:-1] + ', "a": "\u2028\u0085\x7f"}'
    answer = send(shop, "/api/v1/events", f"\r\n{good}\r\n\n \n{odd}\n".encode(), {"Content-Type": LINES})

    assert (answer.status, answer.json()["accepted"]) == (201, 2)


@pytest.mark.parametrize("path", PATHS)
def test_a_body_in_chunks_is_read_and_one_that_never_ends_is_not(hub: Hub, path: str) -> None:
    shop = hub.shop()
    body = with_odd(path, "1")
    chunks = b"".join(b"1\r\n" + body[n : n + 1] + b"\r\n" for n in range(len(body)))

    assert answer_to(shop.port, chunked(shop, path) + chunks + b"0\r\n\r\n").status == 201
    endless = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    assert answer_to(shop.port, chunked(shop, path), *[endless] * 40).status == 413
    # What is no chunk is no HTTP: whoever sends it is not answered by us, but soon.
    assert answer_to(shop.port, chunked(shop, path) + b"zz\r\n").status == 400


def chunked(shop: Shop, path: str) -> bytes:
    tenant = shop.headers["X-TWC-Tenant"]
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nX-TWC-Tenant: {tenant}\r\n"
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    ).encode()


@pytest.mark.parametrize("path", PATHS)
def test_a_body_that_drips_in_is_refused_in_time_and_holds_nobody_up(hub: Hub, path: str) -> None:
    body = with_odd(path, "1")
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    drops = [body[n : n + 1] for n in range(len(body))]
    dripping = [socket.create_connection(("127.0.0.1", hub.port), timeout=PATIENCE) for _ in range(50)]
    for each in dripping:
        each.sendall(head + b"{")
    began = time.monotonic()
    assert send(hub.shop(), path, body, {}).status == 201
    assert time.monotonic() - began < BODY_SECONDS
    answer = answer_to(hub.port, head, *drops, pause=BODY_SECONDS / 5)
    assert (answer.status, answer.json()["code"]) == (408, "body_too_slow")
    for each in dripping:
        assert each.recv(100).startswith(b"HTTP/1.1 408")
        each.close()


def test_the_samples_are_what_they_say() -> None:
    for path in PATHS:
        assert json.loads(with_odd(path, "1"))[ODD] == 1
    assert len({name for name, _ in hostile.packed("/api/v1/events")}) == 21


def test_one_too_many_and_one_too_long_are_refused_as_a_whole(shop: Shop) -> None:
    event = json.dumps(PATHS["/api/v1/events"]).encode()
    bodies: dict[str, Any] = {
        "application/json": b"[" + b",".join([event] * 10_001) + b"]",
        LINES: b"\n".join([event] * 10_001),
    }
    for kind, body in bodies.items():
        answer = send(shop, "/api/v1/events", body, {"Content-Type": kind})
        assert (answer.status, answer.json()["code"]) == (413, "body_too_long")
    assert shop.get("/api/v1/events").json()["data"] == []
