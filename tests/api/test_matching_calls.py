"""Whether an event would be forwarded, asked before anything is: the call that says why not."""

from typing import Any

import pytest
from django.test import Client

from clarion.models import Delivery, Event, Tenant
from tests.api.calls import ask, made, refusal, wrong_members
from tests.conftest import Clock, client_of
from tests.subscribers import PATH, body, tell

pytestmark = pytest.mark.django_db

EVENT = {"event_type": "ORDER", "entity_id": 7, "event_payload": {"operation": "CREATE"}}
FILTER = {"path": "key.channel", "equals": "WEB"}


def matched(api: Client, sent: Any) -> tuple[bool, list[list[Any]]]:
    """Return whether it matches, and the members to blame."""
    answer = ask(api, "POST", f"{PATH}/orders/match", sent)
    assert answer.status_code == 200, answer.content
    assert all(each["msg"] for each in answer.json()["failures"])
    return answer.json()["matches"], [each["loc"] for each in answer.json()["failures"]]


def test_an_event_that_would_be_forwarded_matches_and_is_not_stored(api: Client) -> None:
    made(api, PATH, body())

    assert matched(api, EVENT) == (True, [])
    assert not Event.objects.exists()
    assert not Delivery.objects.exists()


def test_everything_for_which_it_would_not_is_named(api: Client) -> None:
    made(api, PATH, body(active=False, subscribeDelete=False, filter=FILTER))
    other = {**EVENT, "event_type": "PRICE", "event_payload": {"operation": "DELETE"}}

    assert matched(api, other) == (
        False,
        [["active"], ["entityType"], ["subscribeDelete"], ["filter"]],
    )


def test_an_event_of_the_log_is_asked_about_by_its_id(api: Client, tenant: Tenant, clock: Clock) -> None:
    made(api, PATH, body(filter=FILTER))
    tell(tenant, clock(), "7")

    assert matched(api, {"event_id": 7}) == (False, [["filter"]])
    assert ask(api, "POST", f"{PATH}/orders/match", {"event_id": "8"}).status_code == 404


def test_an_event_about_a_mail_is_one_too(api: Client) -> None:
    made(api, PATH, body(entityType="EMAIL_OPEN"))
    mail = {"event_type": "email_open", "customer_id": 1, "email_id": 2, "timestamp": "2026-01-01T00:00:00Z"}

    assert matched(api, mail) == (True, [])
    assert matched(api, {**mail, "event_payload": [1], "entity_name": []}) == (True, [])


def test_a_test_keys_event_is_not_for_a_live_subscription(api: Client, tenant: Tenant) -> None:
    made(api, PATH, body())

    assert matched(client_of(tenant, is_test=True), EVENT) == (False, [["id"]])


def test_what_is_no_event_is_refused_as_where_events_are_told(api: Client) -> None:
    made(api, PATH, body())
    path = f"{PATH}/orders/match"

    assert wrong_members(ask(api, "POST", path, {"event_type": "SHIP"})) == {"event_type"}
    assert wrong_members(ask(api, "POST", path, {"event_id": []})) == {"event_id"}
    assert refusal(ask(api, "POST", path, [EVENT, EVENT]), 400)
    assert refusal(ask(api, "POST", path, "{"), 400)["code"] == "not_json"
    assert refusal(ask(api, "POST", path, EVENT, kind="text/plain"), 415)["code"] == "not_json"
