"""What only a real connection shows: bodies in pieces, too long, too slow; twins; changes at the same moment."""

import concurrent.futures
import http.client
import json
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.api.calls import CLIENT, MAILING, MEMBERS_OF_A_PROBLEM, SHORT_MAILING
from tests.hub import BODY_SECONDS, PATIENCE, Answer, Hub, Shop

LINE = b"POST /api/v1/clients/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
# The settings' default; the hub of the tests has no other.
MOST_BYTES = 1024 * 1024


def head_and_problem(said: bytes) -> tuple[str, dict[str, Any]]:
    """Split an answer that is a problem into its head and its members."""
    head, _, body = said.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, said
    problem = json.loads(body)
    assert set(problem) == MEMBERS_OF_A_PROBLEM
    return head.decode().lower(), dict(problem)


def hear(connection: socket.socket) -> bytes:
    """Read one answer and no further: the hub keeps a refused connection open for a moment."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    head = "".join(f"{name}: {value}\r\n" for name, value in response.getheaders())
    return f"HTTP/1.1 {response.status}\r\n{head}\r\n".encode() + response.read()


def at_once(tasks: list[Callable[[], Answer]]) -> list[Answer]:
    with concurrent.futures.ThreadPoolExecutor(len(tasks)) as pool:
        return [each.result() for each in [pool.submit(task) for task in tasks]]


def test_a_body_in_chunks_is_a_body(hub: Hub) -> None:
    body = json.dumps(CLIENT).encode()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:10], body[10:]))
    tenant = b"X-TWC-Tenant: chunks\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"

    said = hub.say(LINE + tenant + chunks + b"0\r\n\r\n")

    assert said.startswith(b"HTTP/1.1 201 ")
    assert len(hub.shop("chunks").get("/api/client").json()) == 1


def test_a_body_that_says_it_is_too_long_is_refused_before_it_is_sent(hub: Hub) -> None:
    began = time.monotonic()

    with socket.create_connection(("127.0.0.1", hub.port), timeout=PATIENCE) as connection:
        head = b"X-Request-Id: mine\r\nContent-Length: %d\r\n\r\n" % (MOST_BYTES + 1)
        connection.sendall(LINE + head)
        said = hear(connection)

    head_text, problem = head_and_problem(said)
    assert (problem["status"], problem["code"], problem["request_id"]) == (413, "body_too_long", "mine")
    assert "x-request-id: mine" in head_text
    assert time.monotonic() - began < BODY_SECONDS


@pytest.mark.parametrize("length", [MOST_BYTES + 1, 8 * MOST_BYTES], ids=["by a byte", "by far"])
def test_a_body_that_is_too_long_gets_its_answer_and_no_reset(hub: Hub, length: int) -> None:
    for framing in (b"Content-Length: %d\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n%x\r\n"):
        end = b"\r\n0\r\n\r\n" if b"chunked" in framing else b""

        said = hub.say(LINE + framing % length + b" " * length + end)

        assert head_and_problem(said)[1]["code"] == "body_too_long"


def test_the_longest_body_is_taken(shop: Shop) -> None:
    padded = json.dumps(CLIENT).ljust(MOST_BYTES)

    assert shop.post("/api/v1/clients", padded).status == 201


@pytest.mark.slow
def test_a_slow_body_is_given_up(hub: Hub) -> None:
    began = time.monotonic()

    with socket.create_connection(("127.0.0.1", hub.port), timeout=PATIENCE) as connection:
        connection.sendall(LINE + b'Content-Length: 100\r\n\r\n{"phone":')
        said = hear(connection)

    head, problem = head_and_problem(said)
    assert (problem["status"], problem["code"]) == (408, "body_too_slow")
    assert "connection: close" in head
    assert BODY_SECONDS <= time.monotonic() - began < PATIENCE


def test_slow_bodies_take_no_thread_from_others(hub: Hub, shop: Shop) -> None:
    """More of them than the web process has threads (16)."""
    waiting = [socket.create_connection(("127.0.0.1", hub.port), timeout=PATIENCE) for _ in range(40)]
    try:
        for connection in waiting:
            connection.sendall(LINE + b'Content-Length: 100\r\n\r\n{"phone":')
        began = time.monotonic()

        answer = shop.get("/api/client")

        assert answer.status == 200
        assert time.monotonic() - began < BODY_SECONDS
    finally:
        for connection in waiting:
            connection.close()


def test_a_client_that_hangs_up_stores_nothing(hub: Hub, shop: Shop) -> None:
    tenant = f"X-TWC-Tenant: {shop.headers['X-TWC-Tenant']}\r\n".encode()
    body = json.dumps(CLIENT).encode()

    with socket.create_connection(("127.0.0.1", hub.port)) as connection:
        connection.sendall(LINE + tenant + b"Content-Length: %d\r\n\r\n" % (len(body) + 1) + body)

    assert shop.get("/api/client").json() == []


def test_an_answer_without_a_body_announces_none(hub: Hub, shop: Shop) -> None:
    client = shop.post("/api/v1/clients", CLIENT).json()
    tenant = shop.headers["X-TWC-Tenant"]

    said = hub.say(
        f"DELETE /api/client/{client['id']} HTTP/1.1\r\nHost: localhost\r\n"
        f"X-TWC-Tenant: {tenant}\r\nConnection: close\r\n\r\n".encode()
    )

    names = {line.partition(b":")[0] for line in said.lower().splitlines()}
    assert said.startswith(b"HTTP/1.1 204 ")
    assert names & {b"content-length", b"content-type", b"transfer-encoding"} == set()


@pytest.mark.parametrize(
    "line",
    [
        b"X-TWC-Tenant: \xff\xfe",
        b"X-TWC-Tenant: a\r\nX-TWC-Tenant: b",
        b"Host: evil.example",
        b"X-Request-Id: \xe9",
    ],
    ids=["no ASCII", "twice", "another host", "an odd request id"],
)
def test_odd_headers_never_break_it(hub: Hub, line: bytes) -> None:
    host = b"" if line.startswith(b"Host") else b"Host: localhost\r\n"

    said = hub.say(b"GET /api/client HTTP/1.1\r\nConnection: close\r\n" + host + line + b"\r\n\r\n")

    assert int(said.split()[1]) in (200, 400, 403)


def test_twenty_twins_have_one_effect(shop: Shop) -> None:
    answers = at_once([lambda: shop.post("/api/v1/mailings", MAILING, Idempotency_Key="k")] * 20)

    made = [answer for answer in answers if answer.status == 201]
    refused = [answer for answer in answers if answer.status != 201]
    assert shop.get("/api/v1/mailings").json()["total_mailings"] == 1
    assert len({answer.body for answer in made}) == 1
    assert [answer.headers["Idempotent-Replayed"] for answer in made].count(None) == 1
    assert all((answer.status, answer.headers["Retry-After"]) == (409, "1") for answer in refused)


def test_twins_that_make_a_tenant_make_one(hub: Hub) -> None:
    shop = hub.shop()

    answers = at_once([lambda: shop.post("/api/v1/clients", CLIENT)] * 8)

    assert [answer.status for answer in answers] == [201] * 8
    assert len(shop.get("/api/client").json()) == 8


def test_two_changes_at_the_same_moment_are_both_kept(shop: Shop) -> None:
    client = shop.post("/api/v1/clients", CLIENT).json()
    mailing = shop.post("/api/mailing", SHORT_MAILING).json()
    who, what = f"/api/v1/clients/{client['id']}", f"/api/mailing/{mailing['id']}"

    for number in range(8):
        word = f"round {number}"
        answers = at_once(
            [
                lambda word=word: shop.ask("PATCH", who, {"tag": word}),
                lambda word=word: shop.ask("PATCH", who, {"timezone": word}),
                lambda word=word: shop.ask("PATCH", what, {"text": word}),
                lambda word=word: shop.ask("PATCH", what, {"clients": {"tag": word}}),
            ]
        )
        rows = shop.get(who).json(), shop.get(what).json()

        assert [answer.status for answer in answers] == [200] * 4
        assert (rows[0]["tag"], rows[0]["timezone"]) == (word, word)
        assert (rows[1]["text"], rows[1]["clients"]["tag"]) == (word, word)


def test_a_client_that_is_deleted_meanwhile_does_not_come_back(shop: Shop) -> None:
    for _ in range(8):
        path = f"/api/v1/clients/{shop.post('/api/v1/clients', CLIENT).json()['id']}"

        answers = at_once([lambda p=path: shop.put(p, CLIENT), lambda p=path: shop.delete(p)])

        assert (answers[0].status in (200, 404), answers[1].status) == (True, 204)
        assert shop.get(path).status == 404


def test_every_line_of_the_log_carries_the_request_id(hub: Hub, shop: Shop) -> None:
    shop.post("/api/v1/clients", CLIENT, X_Request_Id="in-the-log")

    lines = hub.logged(request_id="in-the-log")

    assert [line["event"] for line in lines] == ["client_stored", "request"]
    assert CLIENT["phone"] not in json.dumps(lines)


def test_a_page_of_another_site_gets_nothing(hub: Hub) -> None:
    answer = hub.anybody().post("/api/v1/clients", CLIENT, Origin="https://evil.example")

    assert (answer.status, answer.json()["code"]) == (403, "cross_site")
