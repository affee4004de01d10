"""`POST /api/v1/mailings/preview`: what a mailing would come to, for whoever may make one. It stores nothing."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from clarion.models import Customer, Mailing, Message, Tenant
from tests.api.calls import CLIENT, MAILING, OVER, ask, made, refusal, wrong_members
from tests.conftest import client_of
from tests.factories import make_customer

pytestmark = pytest.mark.django_db

PATH = "/api/v1/mailings/preview"


def preview(api: Client, body: dict[str, Any]) -> dict[str, Any]:
    answer = ask(api, "POST", PATH, body)
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def test_it_shows_whom_it_would_reach_with_what_and_until_when(api: Client) -> None:
    first = made(api, "/api/v1/clients", {**CLIENT, "attributes": {"city": "Köln"}})
    second = made(
        api, "/api/v1/clients", {**CLIENT, "phone": "70000000002", "tag": None, "operator_code": "901"}
    )
    made(api, "/api/v1/clients", CLIENT)

    shown = preview(api, {**MAILING, "text": "Привет, {{ attributes.city }}", "rate_per_second": 0.5})

    problem = shown["samples"][1].pop("problem")
    assert problem.startswith("line 1, column 12: ")
    assert shown == {
        "audience": 3,
        "operators": [{"operator_code": "900", "count": 2}, {"operator_code": "901", "count": 1}],
        "other_operators": 0,
        "tags": [{"tag": "VIP", "count": 2}, {"tag": None, "count": 1}],
        "other_tags": 0,
        "statuses": [
            {"status": "PENDING", "count": 2, "reasons": []},
            {"status": "SKIPPED", "count": 1, "reasons": [{"reason": "same_address_twice", "count": 1}]},
        ],
        "closed_timezones": [],
        "rate_per_second": 0.5,
        "seconds": 2.0,
        "starts": MAILING["start_time"],
        "done": "9000-01-01T00:00:02Z",
        "samples": [
            {
                "client": first["id"],
                "text": "Привет, Köln",
                "encoding": "UCS-2",
                "units": 12,
                "segments": 1,
            },
            {"client": second["id"], "text": None},
            {"client": first["id"] + 2, "text": None, "problem": problem},
        ],
    }


def test_zones_whose_hours_never_open_are_named_with_those_who_live_there(
    api: Client, tenant: Tenant
) -> None:
    for zone in ("Asia/Tokyo", "UTC", "nowhere"):
        make_customer(tenant, timezone=zone)
    hours = {"local_from": "12:00", "local_until": "13:00"}
    window = {"start_time": "9000-01-01T02:00:00Z", "end_time": "9000-01-01T04:00:00Z"}

    shown = preview(api, {**MAILING, **window, **hours})

    assert sorted(map(str, shown["closed_timezones"])) == [
        "{'timezone': 'UTC', 'count': 1}",
        "{'timezone': None, 'count': 1}",
    ]
    assert shown["statuses"][1]["reasons"] == [{"reason": "no_local_hours", "count": 2}]


def test_it_stores_nothing(api: Client, tenant: Tenant) -> None:
    make_customer(tenant)

    preview(api, MAILING)

    assert (Mailing.objects.count(), Message.objects.count(), Customer.objects.count()) == (0, 0, 1)


def test_a_window_that_is_over_is_previewed_with_a_warning(api: Client, tenant: Tenant) -> None:
    make_customer(tenant)

    answer = ask(api, "POST", PATH, {**MAILING, **OVER})

    assert answer.headers["Clarion-Warnings"] == "end_time: the window is over; every message becomes TIMEOUT"
    assert answer.json()["statuses"] == [
        {"status": "TIMEOUT", "count": 1, "reasons": [{"reason": "window_over", "count": 1}]}
    ]


def test_what_was_got_can_be_previewed(api: Client) -> None:
    made(api, "/api/v1/mailings", {**MAILING, "name": "Spring", "filter": {"field": "tag", "eq": "x"}})
    got = api.get("/api/v1/mailings/list").json()["data"][0]

    assert preview(api, got)["audience"] == 0


def test_a_window_that_is_open_begins_now(api: Client, tenant: Tenant) -> None:
    make_customer(tenant)
    now = datetime.now(UTC)
    window = {"start_time": "2022-12-02", "end_time": (now + timedelta(hours=1)).isoformat()}

    shown = preview(api, {**MAILING, **window})

    assert abs(datetime.fromisoformat(shown["starts"]) - now) < timedelta(minutes=1)


def test_a_body_that_makes_no_mailing_makes_no_preview(api: Client) -> None:
    body = {"text": "{{ tag", "end_time": "x", "rate_per_second": 0, "colour": 1}

    assert wrong_members(ask(api, "POST", PATH, body)) == {*body, "start_time"}


def test_a_test_key_may_look(tenant: Tenant) -> None:
    make_customer(tenant)

    assert preview(client_of(tenant, is_test=True), MAILING)["audience"] == 1


def test_it_takes_the_scope_of_mailings(tenant: Tenant) -> None:
    answer = ask(client_of(tenant, scopes=["customers"]), "POST", PATH, MAILING)

    assert refusal(answer, 403)["code"] == "scope_missing"


def test_nobody_of_another_tenant_is_in_it(api: Client, other_tenant: Tenant) -> None:
    make_customer(other_tenant)

    assert preview(api, MAILING)["audience"] == 0
