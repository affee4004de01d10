"""Events under an Idempotency-Key: their body is read before anything is locked, and answered as it was ever."""

import gzip
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from clarion.api import event_posts
from clarion.models import Event, IdempotencyRecord, Tenant
from tests.api.calls import ask, made, refusal
from tests.conftest import client_of

pytestmark = pytest.mark.django_db(transaction=True)

PRODUCT = {"event_type": "PRODUCT", "entity_id": "p-1"}
LONG = [{**PRODUCT, "text": "x" * 1_000}] * 40
PATH = "/api/v1/events"
BODIES = {"one": json.dumps(PRODUCT), "many": json.dumps(LONG)}


class Looks(list[bool]):
    """For each body that was read whether a transaction was open; `peak`: how many were read at once."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._meeting = threading.Barrier(2)
        self._honest = event_posts.read_events

    def read(self, *given: Any) -> Any:
        self.append(connection.in_atomic_block)
        return self._honest(*given)

    def wait_for_another(self, *given: Any) -> Any:
        try:
            self._meeting.wait(timeout=0.3)
            self.peak = 2
        except threading.BrokenBarrierError:
            self.peak = max(self.peak, 1)
        return self._honest(*given)


@pytest.fixture
def looks() -> Looks:
    return Looks()


@pytest.fixture
def turn_is_taken(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Somebody else reads a long body, and nobody has much patience."""
    monkeypatch.setattr(event_posts, "PATIENCE", 0.01)
    has_it, is_over = threading.Event(), threading.Event()

    def take() -> None:
        with event_posts._turn:
            has_it.set()
            is_over.wait()

    other = threading.Thread(target=take)
    other.start()
    has_it.wait()
    yield
    is_over.set()
    other.join()


@pytest.mark.parametrize("body", BODIES)
def test_no_transaction_is_open_while_a_body_is_read(
    api: Client, looks: Looks, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    monkeypatch.setattr(event_posts, "read_events", looks.read)

    first = ask(api, "POST", PATH, BODIES[body], Idempotency_Key="k")
    again = ask(api, "POST", f"{PATH}/", BODIES[body], Idempotency_Key="k")

    assert (first.status_code, again.status_code) == (201, 201)
    assert (again.content, again.headers["Idempotent-Replayed"]) == (first.content, "true")
    assert looks == [False, False]
    assert Event.objects.count() == len(LONG if body == "many" else [PRODUCT])


UNREADABLE: dict[str, tuple[int, Any, dict[str, str]]] = {
    "no JSON": (400, "{", {}),
    "bytes that are no text": (400, b"\xff", {}),
    "too deep": (400, "[" * 100_000, {}),
    "no gzip": (400, "{}", {"Content_Encoding": "gzip"}),
    "a bomb": (413, gzip.compress(b" " * 50_000_000), {"Content_Encoding": "gzip"}),
    "too long": (413, json.dumps({**PRODUCT, "a": "x" * 1024 * 1024}), {}),
    "too many": (413, "[" + "{}," * 10_000 + "{}]", {}),
    "another type": (415, "{}", {"kind": "text/plain"}),
    "another packing": (415, "{}", {"Content_Encoding": "br"}),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_cannot_be_read_is_answered_as_without_a_key_and_not_kept(api: Client, case: str) -> None:
    status, body, more = UNREADABLE[case]

    without = refusal(ask(api, "POST", PATH, body, **more), status)
    under = refusal(ask(api, "POST", PATH, body, Idempotency_Key="k", **more), status)

    assert {**under, "request_id": ""} == {**without, "request_id": ""}
    assert not IdempotencyRecord.objects.exists()
    assert made(api, PATH, PRODUCT, Idempotency_Key="k")


def test_what_cannot_be_read_under_a_key_that_was_used_is_another_body(api: Client) -> None:
    made(api, PATH, PRODUCT, Idempotency_Key="k")

    assert refusal(ask(api, "POST", PATH, "{", Idempotency_Key="k"), 422)["code"] == "idempotency_key_reused"


def test_of_somebody_who_may_not_send_events_nothing_is_read(
    tenant: Tenant, looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_posts, "read_events", looks.read)

    answer = ask(client_of(tenant, scopes=["events:read"]), "POST", PATH, LONG, Idempotency_Key="k")

    assert refusal(answer, 403)["code"] == "scope_missing"
    assert looks == []


def test_long_bodies_are_read_one_after_the_other(
    tenant: Tenant, looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_posts, "read_events", looks.wait_for_another)
    clients = [client_of(tenant) for _ in range(3)]
    statuses: list[int] = []

    def post(number: int) -> None:
        try:
            # Without a key it is the same.
            more = {"Idempotency_Key": f"k{number}"} if number else {}
            statuses.append(ask(clients[number], "POST", PATH, LONG, **more).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=post, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (statuses, looks.peak) == ([201] * 3, 1)


@pytest.mark.usefixtures("turn_is_taken")
@pytest.mark.parametrize("more", [{}, {"Idempotency_Key": "k"}], ids=["without a key", "with one"])
def test_who_waits_too_long_for_a_turn_is_told_to_come_again(api: Client, more: dict[str, str]) -> None:
    answer = ask(api, "POST", PATH, LONG, **more)

    assert (refusal(answer, 503)["code"], answer.headers["Retry-After"]) == ("intake_full", "1")
    assert not IdempotencyRecord.objects.exists()
    # What is read in a moment waits for nobody.
    assert ask(api, "POST", PATH, PRODUCT, **more).status_code == 201
