"""The fast lane, over real HTTP: it answers as Django would, stores what it acknowledges, and once."""

import gzip
import http.client
import json
import threading
from collections import Counter
from typing import Any

import psycopg
import pytest

from tests.hub import BODY_SECONDS, Answer, Hub, Shop, wait_until

OPEN = {"customer_id": 7, "event_type": "email_open", "timestamp": "2023-10-24T11:30:00", "email_id": 100}
PRODUCT = {"event_type": "PRODUCT", "entity_id": "p-1"}


def at_once(shop: Shop, bodies: list[Any], path: str = "/api/v1/events", threads: int = 20) -> list[Answer]:
    """Post bodies from many threads; the answers come in no order."""
    left, answers = list(bodies), list[Answer]()

    def post() -> None:
        while left:
            try:
                body = left.pop()
            except IndexError:
                return
            answers.append(shop.post(path, body))

    runners = [threading.Thread(target=post) for _ in range(threads)]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join()
    return answers


def log_of(shop: Shop) -> list[Any]:
    entries: list[Any] = []
    while page := shop.get(f"/api/v1/events?limit=100&after_seq={len(entries)}").json()["data"]:
        entries += page
    return entries


@pytest.mark.parametrize(("path", "body"), [("/api/v1/events", PRODUCT), ("/receive_event/", OPEN)])
def test_a_hundred_equal_events_at_once_are_stored_once(shop: Shop, path: str, body: dict[str, Any]) -> None:
    answers = at_once(shop, [{**body, "id": 5}] * 100, path)

    assert Counter(answer.status for answer in answers) == {201: 1, 200: 99}
    assert {answer.body for answer in answers} == {answers[0].body}
    assert {answer.headers["Clarion-Seq"] for answer in answers} == {"1"}
    assert len(log_of(shop)) == 1


def test_many_events_at_once_are_all_there_and_leave_no_gap(shop: Shop) -> None:
    bodies = [{**PRODUCT, "id": n} for n in range(200)] + [[{**PRODUCT, "id": f"b{n}"}] for n in range(50)]

    answers = at_once(shop, bodies)

    assert {answer.status for answer in answers} == {201}
    entries = log_of(shop)
    assert [entry["seq"] for entry in entries] == list(range(1, 251))
    assert {str(entry["event"]["id"]) for entry in entries} == {
        *map(str, range(200)),
        *(f"b{n}" for n in range(50)),
    }


CASES: dict[str, tuple[Any, dict[str, str]]] = {
    "nothing": ("", {}),
    "no JSON": ("{", {}),
    "no UTF-8": ("\xff", {"Content-Type": "text/plain"}),
    "wrong members": ({"event_type": "?", "event_payload": 5}, {}),
    "a NUL": ('{"event_type": "PRODUCT", "a": "\\u0000"}', {}),
    "half a character": ('{"event_type": "PRODUCT", "a": "\\ud800"}', {}),
    "a member twice": ('{"event_type": "PRODUCT", "a": 1, "a": 2}', {}),
    "no number": ('{"event_type": "PRODUCT", "a": NaN}', {}),
    "endless digits": (f'{{"event_type": "PRODUCT", "a": {"9" * 5000}}}', {}),
    "too deep": ("[" * 100_000, {}),
    "another type": ("{}", {"Content-Type": "text/plain"}),
    "another packing": ("{}", {"Content-Encoding": "br"}),
    "no gzip": ("{}", {"Content-Encoding": "gzip"}),
    "too long": (json.dumps({**PRODUCT, "a": "x" * 1024 * 1024}), {}),
    "too many": ("[" + "{}," * 10_000 + "{}]", {}),
    "one bad of three": ([PRODUCT, {}, PRODUCT], {}),
    "an empty batch": ([], {}),
    "lines": ('{"event_type": "PRODUCT"}\n\n{', {"Content-Type": "application/x-ndjson"}),
    "good": ({**PRODUCT, "id": 1}, {}),
    "not to be decoded": (
        {**PRODUCT, "id": 2, "event_payload": {"base64_encoded_payload_json": "string"}},
        {},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_it_answers_as_django_does(hub: Hub, case: str) -> None:
    """What bears an Idempotency-Key goes to Django."""
    body, headers = CASES[case]
    fast = hub.shop().post("/api/v1/events", body, **headers)
    slow = hub.shop().post("/api/v1/events", body, **headers, Idempotency_Key="k")

    assert fast.status == slow.status
    assert without_id(fast) == without_id(slow)
    for name in ("Content-Type", "Clarion-Seq", "Clarion-Warnings", "X-Content-Type-Options"):
        assert fast.headers[name] == slow.headers[name]
    assert fast.headers["X-Request-Id"].startswith("req_")


def without_id(answer: Answer) -> Any:
    shown = answer.json()
    assert shown.pop("request_id", answer.headers["X-Request-Id"]) == answer.headers["X-Request-Id"]
    return shown


def test_a_request_id_is_taken_over_and_logged(hub: Hub, shop: Shop) -> None:
    answer = shop.post("/api/v1/events", {}, X_Request_Id="mine-42")

    assert (answer.headers["X-Request-Id"], answer.json()["request_id"]) == ("mine-42", "mine-42")
    assert wait_until(lambda: hub.logged(event="request", request_id="mine-42", status=400))


def test_another_sites_page_and_a_strange_host_are_refused(shop: Shop) -> None:
    cross = shop.post("/api/v1/events", PRODUCT, Origin="https://example.com")
    strange = shop.post("/api/v1/events", PRODUCT, Host="example.com")

    assert (cross.status, cross.json()["code"]) == (403, "cross_site")
    assert (strange.status, strange.json()["code"]) == (400, "host_not_allowed")
    assert log_of(shop) == []


def test_a_page_of_this_machine_may_post_a_long_batch(shop: Shop) -> None:
    """More than a stranger may send: who sends it is looked up before its end."""
    batch = [{**PRODUCT, "id": n, "text": "x" * 400_000} for n in range(5)]

    local = shop.post("/api/v1/events", batch, Origin="http://localhost:8000")
    cross = shop.post("/api/v1/events", batch, Origin="https://example.com")

    assert (local.status, local.json()["accepted"]) == (201, 5)
    assert (cross.status, cross.json()["code"]) == (403, "cross_site")
    assert shop.post("/api/v1/events", PRODUCT, Origin="http://[::1]:5173").status == 201


def test_a_credential_that_is_not_good_is_refused(shop: Shop) -> None:
    answer = shop.post("/api/v1/events", PRODUCT, Authorization="Bearer ck_live_nobody")

    assert (answer.status, answer.json()["code"]) == (401, "not_identified")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.thorough
def test_a_key_needs_the_scope_and_a_revoked_one_is_none(hub: Hub, shop: Shop) -> None:
    tenant = shop.headers["X-TWC-Tenant"]
    shop.get("/api/v1/clients")
    scopes = ("events:write", "events:read")
    writes, reads = (
        hub.run("-m", "clarion", "keys", "add", tenant, "--scope", scope).stdout.strip() for scope in scopes
    )

    def post(key: str) -> Answer:
        return shop.post("/api/v1/events", PRODUCT, Authorization=f"Bearer {key}")

    assert post(writes).status == 201
    assert (post(reads).status, post(reads).json()["code"]) == (403, "scope_missing")
    listed = hub.run("-m", "clarion", "keys", "list", "--json").stdout.splitlines()
    (number,) = (row["id"] for row in map(json.loads, listed) if row["scopes"] == scopes[0])
    hub.run("-m", "clarion", "keys", "revoke", str(number))
    assert wait_until(lambda: post(writes).status == 401)


def test_a_tenant_that_cannot_be_one_is_refused(hub: Hub) -> None:
    assert hub.shop("*").post("/api/v1/events", PRODUCT).status == 403


def test_one_connection_brings_many_events(shop: Shop) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", shop.port, timeout=10)
    headers = {**shop.headers, "Content-Type": "application/json"}
    for n in range(3):
        # In chunks, whose end says how long it was.
        pieces = iter([b'{"event_type": ', b'"PRODUCT", "id": ', f"{n}}}".encode()])
        connection.request("POST", "/api/v1/events", pieces, headers, encode_chunked=True)
        response = connection.getresponse()
        assert (response.status, json.loads(response.read())["id"]) == (201, n)
    connection.close()


def test_a_bomb_and_a_body_that_is_too_long_are_refused(hub: Hub, shop: Shop) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", shop.port, timeout=10)
    bomb = gzip.compress(b" " * 50_000_000)
    connection.request("POST", "/api/v1/events", bomb, {**shop.headers, "Content-Encoding": "gzip"})
    assert connection.getresponse().status == 413
    connection.close()

    said = hub.say(b"POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n{")
    assert b" 413 " in said.partition(b"\r\n")[0]


@pytest.mark.thorough
def test_a_body_that_does_not_come_is_not_waited_for(hub: Hub) -> None:
    said = hub.say(b"POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{")

    assert b" 408 " in said.partition(b"\r\n")[0], BODY_SECONDS


def test_a_large_batch_comes_in_packed(shop: Shop) -> None:
    body = gzip.compress(json.dumps([{**PRODUCT, "id": n} for n in range(10_000)]).encode())
    connection = http.client.HTTPConnection("127.0.0.1", shop.port, timeout=15)
    headers = {**shop.headers, "Content-Type": "application/json", "Content-Encoding": "gzip"}
    connection.request("POST", "/api/v1/events", body, headers)

    answer = json.loads(connection.getresponse().read())
    connection.close()

    assert answer == {"accepted": 10_000, "duplicates": 0, "errors": []}
    assert shop.get("/api/v1/events?limit=1").json()["data"][0]["seq"] == 10_000


def test_a_lost_connection_to_the_database_is_opened_again(hub: Hub, shop: Shop) -> None:
    url = hub.environment["CLARION_DATABASE_URL"]
    if not url.startswith("postgres"):
        pytest.skip("there is a server that can end a connection on PostgreSQL only")
    assert shop.post("/api/v1/events", {**PRODUCT, "id": 1}).status == 201
    with psycopg.connect(url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    first = shop.post("/api/v1/events", {**PRODUCT, "id": 2})
    again = wait_until(
        lambda: (answer := shop.post("/api/v1/events", {**PRODUCT, "id": 2})).status < 300 and answer
    )

    assert first.status == 201 or (first.status, first.headers["Retry-After"]) == (503, "1")
    assert again.status in (200, 201)
    assert [entry["event"]["id"] for entry in log_of(shop)] == [1, 2]
