"""A mailing for those who meet a filter: taken in bodies, shown where it was used, and kept by everybody's PUT and PATCH."""

from typing import Any

import pytest
from django.test import Client

from clarion.flows import mailings
from clarion.models import Mailing, Message, Tenant
from tests.api.calls import CLIENT, MAILING, ask, made, open_window, refusal, wrong_members
from tests.conftest import Clock

pytestmark = pytest.mark.django_db

PATH = "/api/v1/mailings"
FILTER = {
    "all": [
        {"field": "tag", "eq": "VIP"},
        {
            "any": [
                {"field": "attributes.visits", "gt": 2.5},
                {"field": "attributes.city", "in": ["Köln", 5, True]},
            ]
        },
        {"not": {"field": "external_id", "exists": False}},
    ]
}


def test_a_filter_is_shown_as_it_was_sent(api: Client) -> None:
    mailing = made(api, PATH, {**MAILING, "filter": FILTER})

    assert mailing["filter"] == FILTER
    assert api.get(f"{PATH}/list").json()["data"][0]["filter"] == FILTER


def test_a_mailing_without_a_filter_is_shown_as_ever(api: Client) -> None:
    mailing = made(api, PATH, {**MAILING, "filter": None})

    assert "filter" not in mailing
    assert api.get(f"{PATH}/list").json()["data"][0]["filter"] is None


def test_a_mailing_with_a_filter_that_was_got_can_be_put(api: Client) -> None:
    mailing = made(api, PATH, {**MAILING, "filter": FILTER})
    got = api.get(f"{PATH}/list").json()["data"][0]

    assert ask(api, "PUT", f"{PATH}/{mailing['id']}", got).json()["filter"] == FILTER
    assert ask(api, "PATCH", f"{PATH}/{mailing['id']}", {"text": "x"}).json()["filter"] == FILTER
    assert "filter" not in ask(api, "PATCH", f"{PATH}/{mailing['id']}", {"filter": None}).json()


def test_a_put_without_the_filter_forgets_it(api: Client) -> None:
    mailing = made(api, PATH, {**MAILING, "filter": FILTER})

    assert "filter" not in ask(api, "PUT", f"{PATH}/{mailing['id']}", MAILING).json()


def test_the_other_face_does_not_know_it_and_leaves_it_alone(api: Client) -> None:
    mailing = made(api, PATH, {**MAILING, "filter": FILTER})
    short = api.get(f"/api/mailing/{mailing['id']}").json()

    ask(api, "PUT", f"/api/mailing/{mailing['id']}", short)

    assert "filter" not in short
    assert Mailing.objects.get().filter == FILTER


WRONG: list[tuple[Any, str]] = [
    ([], "filter"),
    ("vip", "filter"),
    ({}, "filter.field"),
    ({"field": "colour", "eq": 1}, "filter.field"),
    ({"field": "attributes", "eq": 1}, "filter.field"),
    ({"all": []}, "filter.all"),
    ({"all": [{"field": "tag", "eq": "x"}, {"field": "id", "gt": None}]}, "filter.all.1.gt"),
    ({"not": {"field": "tag", "in": ["a", {}]}}, "filter.not.in.1"),
]


@pytest.mark.parametrize(("raw", "member"), WRONG)
def test_a_wrong_filter_is_refused_by_its_place(api: Client, raw: Any, member: str) -> None:
    for path in (PATH, f"{PATH}/preview"):
        assert member in wrong_members(ask(api, "POST", path, {**MAILING, "filter": raw}))
    assert Mailing.objects.count() == 0


def test_what_is_wrong_beside_a_filter_is_named_as_well(api: Client) -> None:
    body = {**MAILING, "text": "{{ tag", "filter": {"any": [{"field": "tag"}, {"field": "x", "eq": 1}]}}

    problem = refusal(ask(api, "POST", PATH, body), 400)

    assert [error["loc"] for error in problem["errors"]] == [
        ["text"],
        ["filter", "any", 0],
        ["filter", "any", 1, "field"],
    ]
    assert (
        problem["errors"][1]["msg"] == "must have exactly one of eq, in, prefix, exists, gt, lt, and a field"
    )


def test_it_reaches_whoever_meets_labels_and_filter_alike(api: Client, tenant: Tenant, clock: Clock) -> None:
    def client(number: int, **more: Any) -> int:
        return int(made(api, "/api/v1/clients", {**CLIENT, "phone": f"7000000000{number}", **more})["id"])

    meant = client(1, external_id="a", attributes={"visits": 3})
    also = client(2, external_id="b", attributes={"city": "KÖLN"}, tag="vip")
    client(3, external_id="c", attributes={"visits": 3}, operator_code="901")
    client(4, external_id="d", attributes={"visits": 2, "city": "Bonn"})
    client(5, attributes={"visits": 3})
    client(6, external_id="e", attributes={"visits": "3"})

    body = {**MAILING, **open_window(), "client_operator_code_filter": "900", "filter": FILTER}
    made(api, PATH, body)
    mailings.start_due(clock())
    mailings.materialise_due(clock())

    assert set(Message.objects.values_list("customer_id", flat=True)) == {meant, also}
