"""The e-mail events of seed 000, as its document prints them, against real processes."""

import json
from typing import Any

import pytest

from tests.hub import Hub, Shop

OPEN = """{
    "customer_id":  1112, 
    "event_type":  "email_open", 
    "timestamp":  "2023-10-24T11:30:00", 
    "email_id":  100
}"""  # noqa: W291 - as printed
CLICK = """{
    "customer_id": 2223,
    "event_type": "email_click",
    "timestamp": "2023-10-23T14:30:00",
    "email_id": 1234,
    "clicked_link": "https://example.com/some-link"
}"""
UNSUBSCRIBE = """{
    "customer_id": 999,
    "event_type": "email_unsubscribe",
    "timestamp": "2023-10-24T11:30:25",
    "email_id": 998
}"""
PURCHASE = """{
    "customer_id": 443,
    "event_type": "purchase",
    "timestamp": "25-10-2023T15:33:00",
    "email_id": 1234,
    "product_id": 357,
    "amount": 49.99
}"""
PRINTED = {"an open": OPEN, "a click": CLICK, "an unsubscribe": UNSUBSCRIBE, "a purchase": PURCHASE}
TIMES = {
    "an open": "2023-10-24T11:30:00Z",
    "a click": "2023-10-23T14:30:00Z",
    "an unsubscribe": "2023-10-24T11:30:25Z",
    "a purchase": "2023-10-25T15:33:00Z",
}
every_example = pytest.mark.parametrize("example", PRINTED)
BOTH_SPELLINGS = pytest.mark.parametrize("slash", ["/", ""], ids=["with a slash", "without a slash"])


def expected(example: str) -> dict[str, Any]:
    """The members as posted, the time in UTC."""
    return {**json.loads(PRINTED[example]), "timestamp": TIMES[example]}


@every_example
@BOTH_SPELLINGS
def test_a_printed_event_is_stored_and_given_back_with_an_id(shop: Shop, example: str, slash: str) -> None:
    answer = shop.post(f"/receive_event{slash}", PRINTED[example])

    assert answer.status == 201
    event = answer.json()
    assert type(event["id"]) is int
    assert event == {**expected(example), "id": event["id"]}
    customer = event["customer_id"]
    for spelling in ("", "/"):
        assert shop.get(f"/get_events/{customer}{spelling}").json() == [event]


@every_example
def test_a_printed_event_needs_no_header_at_all(hub: Hub, example: str) -> None:
    assert hub.anybody().post("/receive_event/", PRINTED[example]).status == 201


@every_example
def test_a_printed_event_is_in_the_log_under_its_id(shop: Shop, example: str) -> None:
    event = shop.post("/receive_event/", PRINTED[example]).json()

    assert shop.get(f"/api/v1/events/{event['id']}").json() == event
    (entry,) = shop.get("/api/v1/events?after_seq=0").json()["data"]
    assert (entry["seq"], entry["event"]) == (1, event)


def test_of_a_customer_nobody_knows_nothing_is_known(shop: Shop) -> None:
    answer = shop.get("/get_events/1112")

    assert (answer.status, answer.json()) == (200, [])
