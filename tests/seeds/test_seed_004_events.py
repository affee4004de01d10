"""The events of the event collector (seed 004), as its document prints them, against real processes."""

import json

import pytest

from tests.hub import Hub

EVENT = """{
"entity_id": "string",
"entity_name": "string",
"event_payload": {
"base64_encoded_fault_json": "string",
"base64_encoded_payload_json": "string",
"entity_id": "string",
"key_attributes": {
"additionalProp1": "string",
"additionalProp2": "string",
"additionalProp3": "string"
},
"operation": "BULK_CREATE"
},
"event_source": "APPLICATION",
"event_type": "ENTITY_EVENT",
"id": "string"
}"""
BOTH_SPELLINGS = pytest.mark.parametrize("slash", ["/", ""], ids=["with a slash", "without a slash"])


@BOTH_SPELLINGS
def test_the_printed_event_is_stored_and_found(hub: Hub, slash: str) -> None:
    shop = hub.shop()

    made = shop.post(f"/api/v1/events{slash}", EVENT)
    found = shop.get(f"/api/v1/events/string{slash}")

    assert (made.status, made.json()) == (201, json.loads(EVENT))
    assert (found.status, found.json()) == (200, json.loads(EVENT))


def test_the_printed_event_again_is_the_one_that_is_stored(hub: Hub) -> None:
    shop = hub.shop()
    shop.post("/api/v1/events", EVENT)

    again = shop.post("/api/v1/events", EVENT)

    assert (again.status, again.json()) == (200, json.loads(EVENT))


def test_a_payload_that_cannot_be_decoded_is_named(hub: Hub) -> None:
    answer = hub.shop().post("/api/v1/events", EVENT)

    assert "base64_encoded_payload_json" in answer.headers["Clarion-Warnings"]
