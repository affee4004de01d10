"""Events that come in: one, an array, lines, packed; ids that come twice; and whatever is wrong is named, alone."""

import gzip
import json
import zlib
from typing import Any

import pytest
from django.test import Client

from clarion.models import Event
from tests.api.calls import ask, made, refusal, wrong_members

pytestmark = pytest.mark.django_db

OPEN = {"customer_id": 7, "event_type": "email_open", "timestamp": "2023-10-24T11:30:00", "email_id": 100}
CLICK = {**OPEN, "event_type": "email_click", "clicked_link": "https://example.com/"}
PURCHASE = {**OPEN, "event_type": "purchase", "product_id": 357, "amount": 49.99}
PRODUCT = {"event_type": "PRODUCT", "entity_id": "p-1"}
PATHS = {"/receive_event": OPEN, "/api/v1/events": PRODUCT}
every_path = pytest.mark.parametrize("path", PATHS)


def without(event: dict[str, Any], name: str) -> dict[str, Any]:
    return {member: value for member, value in event.items() if member != name}


@every_path
def test_an_event_without_an_id_gets_one_of_its_kind(api: Client, path: str) -> None:
    first, second = made(api, path, PATHS[path]), made(api, path, PATHS[path])

    assert first["id"] != second["id"]
    assert type(first["id"]) is (int if path == "/receive_event" else str)
    assert without(first, "id").keys() == PATHS[path].keys()


@every_path
@pytest.mark.parametrize("event_id", [5, "5", "Ж" * 255])
def test_an_id_is_given_back_in_the_type_it_came_in(api: Client, path: str, event_id: Any) -> None:
    assert made(api, path, {**PATHS[path], "id": event_id})["id"] == event_id


@every_path
def test_the_same_event_again_is_the_stored_one_whatever_the_type_of_its_ids(api: Client, path: str) -> None:
    body = {**PATHS[path], "id": 5, "customer_id": 7}
    stored = made(api, path, body)

    for again in (body, {**body, "id": "5"}, dict(reversed(body.items())), {**body, "customer_id": "7"}):
        answer = ask(api, "POST", path, again)
        assert (answer.status_code, answer.json(), answer.headers["Clarion-Seq"]) == (200, stored, "1")
    assert Event.objects.count() == 1


def test_both_dialects_of_a_time_are_the_same_event(api: Client) -> None:
    made(api, "/receive_event", {**OPEN, "id": 5})

    again = ask(api, "POST", "/receive_event", {**OPEN, "id": 5, "timestamp": "24-10-2023T11:30:00"})

    assert again.status_code == 200


@every_path
def test_another_event_with_a_known_id_is_refused(api: Client, path: str) -> None:
    stored = made(api, path, {**PATHS[path], "id": 5})

    answer = ask(api, "POST", path, {**PATHS[path], "id": "5", "more": 1})

    assert refusal(answer, 409)["code"] == "id_taken"
    assert api.get("/api/v1/events/5").json() == stored


def test_members_that_nobody_knows_are_kept(api: Client) -> None:
    odd = {"more": {"a": [1, 2.5, None, True]}, "": "", "seq": 9}

    assert made(api, "/receive_event", {**OPEN, **odd}).items() >= odd.items()
    assert made(api, "/api/v1/events", {**PRODUCT, **odd}).items() >= odd.items()


def test_a_time_without_a_zone_is_the_tenants(api: Client, tenant: Any) -> None:
    tenant.timezone = "Europe/Berlin"
    tenant.save()

    assert made(api, "/receive_event", OPEN)["timestamp"] == "2023-10-24T09:30:00Z"


@pytest.mark.parametrize("customer", ["c-1", 0, 2**63 - 1, "1112"])
def test_a_customer_is_a_number_or_a_text(api: Client, customer: Any) -> None:
    event = made(api, "/receive_event", {**OPEN, "customer_id": customer})

    assert event["customer_id"] == customer
    assert api.get(f"/get_events/{customer}").json() == [event]


def test_a_purchase_needs_no_mail(api: Client) -> None:
    made(api, "/receive_event", {**without(PURCHASE, "email_id"), "amount": "49.90", "currency": "EUR"})


@pytest.mark.parametrize(
    "amount", ["1_000", "１２", " 5 ", "-0", "+5", "1e5000", "0x1", ".5", "5.", "9" * 21, ""]
)
def test_a_text_that_is_an_amount_has_digits_and_a_point(api: Client, amount: str) -> None:
    assert wrong_members(ask(api, "POST", "/receive_event", {**PURCHASE, "amount": amount})) == {"amount"}


@pytest.mark.parametrize("amount", ["0", "007", "12.50", 0, 0.1, 1e300, 2**63 - 1])
def test_an_amount_is_a_number_or_a_text(api: Client, amount: Any) -> None:
    assert made(api, "/receive_event", {**PURCHASE, "amount": amount})["amount"] == amount


@pytest.mark.parametrize(
    ("path", "body", "members"),
    [
        ("/receive_event", {}, {"customer_id", "event_type", "timestamp", "email_id"}),
        ("/receive_event", {**OPEN, "event_type": "ORDER"}, {"event_type"}),
        ("/receive_event", {**OPEN, "event_type": ["email_open"]}, {"event_type"}),
        ("/receive_event", {**OPEN, "customer_id": None}, {"customer_id"}),
        ("/receive_event", {**OPEN, "customer_id": 1.5, "email_id": True}, {"customer_id", "email_id"}),
        ("/receive_event", {**OPEN, "customer_id": " "}, {"customer_id"}),
        ("/receive_event", {**OPEN, "customer_id": "x" * 256, "id": {}}, {"customer_id", "id"}),
        ("/receive_event", {**OPEN, "timestamp": "soon"}, {"timestamp"}),
        ("/receive_event", {**OPEN, "timestamp": 1698147000}, {"timestamp"}),
        ("/receive_event", {**OPEN, "timestamp": "0001-01-01T00:00:00+14:00"}, {"timestamp"}),
        ("/receive_event", {**PURCHASE, "timestamp": "9999-12-31T23:59:59-12:00"}, {"timestamp"}),
        ("/receive_event", without(CLICK, "clicked_link"), {"clicked_link"}),
        ("/receive_event", {**CLICK, "clicked_link": "javascript:alert(1)"}, {"clicked_link"}),
        ("/receive_event", {**CLICK, "clicked_link": "https://"}, {"clicked_link"}),
        ("/receive_event", {**CLICK, "clicked_link": "https://[x"}, {"clicked_link"}),
        ("/receive_event", without(PURCHASE, "amount"), {"amount"}),
        ("/receive_event", {**without(PURCHASE, "product_id"), "amount": -1}, {"amount", "product_id"}),
        ("/receive_event", {**PURCHASE, "amount": "a lot", "currency": "euro"}, {"amount", "currency"}),
        ("/receive_event", {**PURCHASE, "amount": True}, {"amount"}),
        ("/receive_event", {**PURCHASE, "amount": "NaN"}, {"amount"}),
        ("/api/v1/events", {}, {"event_type"}),
        ("/api/v1/events", {"event_type": "order", "event_source": "?"}, {"event_type", "event_source"}),
        ("/api/v1/events", {**PRODUCT, "event_payload": []}, {"event_payload"}),
        ("/api/v1/events", {**PRODUCT, "event_payload": {"operation": "PUT"}}, {"event_payload.operation"}),
        ("/api/v1/events", {**PRODUCT, "entity_name": 5, "entity_id": []}, {"entity_name", "entity_id"}),
        (
            "/api/v1/events",
            {**PRODUCT, "event_payload": {"base64_encoded_payload_json": 1, "key_attributes": 2}},
            {"event_payload.base64_encoded_payload_json", "event_payload.key_attributes"},
        ),
        ("/api/v1/events", {**PRODUCT, "n": 2**63}, {"n"}),
        ("/api/v1/events", {**PRODUCT, "a": {"b": ["\x00"]}}, {"a.b.0"}),
        ("/api/v1/events", {**PRODUCT, "a": "\ud800"}, {"a"}),
    ],
)
def test_what_is_wrong_is_named_all_at_once(api: Client, path: str, body: Any, members: set[str]) -> None:
    assert wrong_members(ask(api, "POST", path, body)) == members
    assert not Event.objects.exists()


def nested(levels: int) -> str:
    return '{"event_type": "PRODUCT", "a": ' + "[" * levels + "1" + "]" * levels + "}"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("", 400, "not_json"),
        ("{", 400, "not_json"),
        ("[{}", 400, "not_json"),
        ("[{}] x", 400, "not_json"),
        (b"\xff", 400, "not_json"),
        ('{"event_type": "PRODUCT", "a": NaN}', 400, "not_json"),
        ('{"event_type": "PRODUCT", "event_type": "ORDER"}', 400, "not_json"),
        (f'{{"event_type": "PRODUCT", "a": {"9" * 5000}}}', 400, "not_json"),
        ('{"event_type": "PRODUCT", "a": 1e999}', 400, "invalid_request"),
        ('{"event_type": "PRODUCT", "\\u0000": 1}', 400, "invalid_request"),
        (nested(40), 400, "invalid_request"),
        (nested(200_000), 400, "too_deep"),
        (json.dumps({**PRODUCT, "a": list(range(20_000))}), 400, "invalid_request"),
        ('"text"', 400, "invalid_request"),
        ("null", 400, "invalid_request"),
        (json.dumps({**PRODUCT, "a": "x" * 1024 * 1024}), 413, "body_too_long"),
        ("[" + ",".join(["{}"] * 10_001) + "]", 413, "body_too_long"),
    ],
)
def test_what_no_program_should_read_is_refused(api: Client, body: Any, status: int, code: str) -> None:
    assert refusal(ask(api, "POST", "/api/v1/events", body), status)["code"] == code
    assert not Event.objects.exists()


def test_another_content_type_or_packing_is_refused(api: Client) -> None:
    plain = ask(api, "POST", "/api/v1/events", PRODUCT, kind="text/plain")
    packed = ask(api, "POST", "/api/v1/events", PRODUCT, Content_Encoding="br")

    assert refusal(plain, 415)["code"] == "not_json"
    assert refusal(packed, 415)["code"] == "unknown_encoding"


@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson"])
@pytest.mark.parametrize("packing", ["", "gzip"])
def test_many_come_at_once_in_their_order(api: Client, kind: str, packing: str) -> None:
    events = [{**PRODUCT, "id": n} for n in range(1, 1001)]
    body = json.dumps(events) if kind == "application/json" else "\r\n\n".join(map(json.dumps, events))
    sent = gzip.compress(body.encode()) if packing else body

    answer = ask(api, "POST", "/api/v1/events", sent, kind=kind, Content_Encoding=packing)

    assert (answer.status_code, answer.json()) == (201, {"accepted": 1000, "duplicates": 0, "errors": []})
    assert list(Event.objects.order_by("seq").values_list("seq", "event_id")) == [
        (n, str(n)) for n in range(1, 1001)
    ]


POISON = {
    "half a character": '{"event_type": "PRODUCT", "a": "\\ud800"}',
    "a NUL": '{"event_type": "PRODUCT", "a": "\\u0000"}',
    "no number": '{"event_type": "PRODUCT", "a": NaN}',
    "too large": '{"event_type": "PRODUCT", "a": 1e999}',
    "endless digits": f'{{"event_type": "PRODUCT", "a": {"9" * 5000}}}',
    "a member twice": '{"event_type": "PRODUCT", "a": "]}, {\\"", "a": 2}',
    "too deep": nested(100_000),
    "too large as a whole": json.dumps({**PRODUCT, "a": "x" * 1024 * 1024}),
    "no object": "[]",
    "no kind": "{}",
    "no JSON": "{'a': 1}",
}


@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson"])
@pytest.mark.parametrize("poison", POISON)
def test_one_poisoned_event_is_refused_alone(api: Client, kind: str, poison: str) -> None:
    events = [json.dumps({**PRODUCT, "id": n}) for n in range(20)]
    events[7] = POISON[poison]
    body = f"[{','.join(events)}]" if kind == "application/json" else "\n".join(events)

    answer = ask(api, "POST", "/api/v1/events", body, kind=kind)

    assert answer.status_code == 207
    tally = answer.json()
    assert (tally["accepted"], tally["duplicates"]) == (19, 0)
    (error,) = tally["errors"]
    assert (error["index"], error["status"], error["code"]) == (7, 400, "invalid_request")
    assert error["errors"]


def test_an_id_twice_in_a_batch_is_one_event(api: Client) -> None:
    batch = [{**PRODUCT, "id": 1}, {**PRODUCT, "id": "1"}, {**PRODUCT, "id": 1, "more": 2}, PRODUCT]

    answer = ask(api, "POST", "/api/v1/events", batch)

    assert answer.status_code == 207
    tally = answer.json()
    assert (tally["accepted"], tally["duplicates"]) == (2, 1)
    assert [(error["index"], error["status"], error["code"]) for error in tally["errors"]] == [
        (2, 409, "id_taken")
    ]
    assert list(Event.objects.order_by("seq").values_list("seq", flat=True)) == [1, 2]


def test_a_batch_sent_again_is_all_duplicates(api: Client) -> None:
    batch = [{**PRODUCT, "id": n} for n in range(3)]
    ask(api, "POST", "/api/v1/events", batch)

    again = ask(api, "POST", "/api/v1/events", [*batch, {**PRODUCT, "id": 3}])

    assert (again.status_code, again.json()) == (201, {"accepted": 1, "duplicates": 3, "errors": []})
    assert list(Event.objects.order_by("seq").values_list("seq", flat=True)) == [1, 2, 3, 4]


def test_a_bomb_is_not_unpacked(api: Client) -> None:
    bomb = gzip.compress(b" " * 100_000_000, 9)

    assert refusal(ask(api, "POST", "/api/v1/events", bomb, Content_Encoding="gzip"), 413)


def test_an_event_is_measured_unpacked(api: Client) -> None:
    large = gzip.compress(json.dumps({**PRODUCT, "a": "x" * 1024 * 1024}).encode())

    answer = ask(api, "POST", "/api/v1/events", large, Content_Encoding="gzip")

    assert refusal(answer, 413)["code"] == "body_too_long"


@pytest.mark.parametrize(
    "body",
    [b"no gzip", gzip.compress(b"{}")[:-4], gzip.compress(b"{}") + b"x", zlib.compress(b"{}")],
    ids=["no gzip", "without its end", "with something behind it", "another format"],
)
def test_damaged_gzip_is_refused(api: Client, body: bytes) -> None:
    answer = ask(api, "POST", "/api/v1/events", body, Content_Encoding="gzip")

    assert refusal(answer, 400)["code"] == "not_json"


def test_an_idempotency_key_holds_for_events_without_an_id(api: Client) -> None:
    first = ask(api, "POST", "/receive_event", OPEN, Idempotency_Key="k")
    again = ask(api, "POST", "/receive_event", OPEN, Idempotency_Key="k")

    assert (first.status_code, again.json()) == (201, first.json())
    assert again.headers["Idempotent-Replayed"] == "true"
    assert Event.objects.count() == 1
