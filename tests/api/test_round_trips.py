"""What was got can be put; PATCH changes the members it names and no others; both faces are one row."""

from typing import Any

import pytest
from django.test import Client

from clarion.flows import accounts
from clarion.models import GatewayAccount, Mailing, Tenant
from tests.api.calls import (
    AHEAD,
    BODIES,
    CLIENT,
    MAILING,
    SHORT_CLIENT,
    SHORT_MAILING,
    ask,
    made,
    refusal,
    wrong_members,
)
from tests.conftest import Clock, client_of

pytestmark = pytest.mark.django_db

ODD_CLIENTS = [
    CLIENT,
    {**CLIENT, "tag": None},
    {**CLIENT, "tag": ""},
    {**CLIENT, "operator_code": "007"},
    {**CLIENT, "operator_code": "Beeline"},
    {**CLIENT, "operator_code": "0"},
    {**CLIENT, "operator_code": "9" * 64},
    {**CLIENT, "operator_code": "1000000000"},
    {**CLIENT, "operator_code": "٣"},
    {**CLIENT, "timezone": ""},
    {**CLIENT, "timezone": "timezone", "tag": "тёща 👵"},
]


@pytest.mark.parametrize("face", ["/api/v1/clients", "/api/client"])
@pytest.mark.parametrize("body", ODD_CLIENTS)
def test_a_client_that_was_got_can_be_put(api: Client, face: str, body: dict[str, Any]) -> None:
    path = f"{face}/{made(api, '/api/v1/clients', body)['id']}"
    got = api.get(path).json()

    put, patched = ask(api, "PUT", path, got), ask(api, "PATCH", path, got)

    assert (put.status_code, put.json()) == (200, got)
    assert (patched.status_code, patched.json()) == (200, got)
    assert api.get(f"/api/v1/clients/{got['id']}").json() == {"id": got["id"], **body}


ODD_MAILINGS = [
    MAILING,
    {**MAILING, "name": "Spring"},
    {**MAILING, "client_tag_filter": "VIP", "client_operator_code_filter": "007"},
    {**MAILING, "client_operator_code_filter": "9" * 64},
    {**MAILING, "gateway_account": "log"},
    {**MAILING, "gateway_account": "test"},
]


@pytest.mark.parametrize("body", ODD_MAILINGS)
def test_a_mailing_from_the_list_can_be_put(api: Client, probe: GatewayAccount, body: dict[str, Any]) -> None:
    made(api, "/api/v1/mailings", body)
    got = api.get("/api/v1/mailings/list").json()["data"][0]

    answer = ask(api, "PUT", f"/api/v1/mailings/{got['id']}", got)

    assert answer.status_code == 200, answer.content
    assert api.get("/api/v1/mailings/list").json()["data"] == [got]


@pytest.mark.parametrize("body", ODD_MAILINGS)
def test_a_short_mailing_that_was_got_can_be_put(api: Client, body: dict[str, Any]) -> None:
    path = f"/api/mailing/{made(api, '/api/v1/mailings', body)['id']}"
    got = api.get(path).json()

    answer = ask(api, "PUT", path, got)

    assert (answer.status_code, answer.json()) == (200, got)


@pytest.mark.parametrize("verb", ["POST", "PUT"])
def test_an_answer_of_a_mailing_can_be_sent_again(api: Client, verb: str) -> None:
    answer = made(api, "/api/v1/mailings", {**MAILING, "name": "Spring", "gateway_account": "log"})
    path = "/api/v1/mailings" if verb == "POST" else f"/api/v1/mailings/{answer['id']}"

    again = ask(api, verb, path, answer)

    assert again.status_code in (200, 201)
    assert {**again.json(), "id": answer["id"]} == answer


def test_a_put_forgets_what_it_does_not_name(api: Client) -> None:
    client = made(api, "/api/v1/clients", CLIENT)
    mailing = made(api, "/api/v1/mailings", {**MAILING, "name": "Spring", "client_tag_filter": "VIP"})

    untagged = {name: value for name, value in CLIENT.items() if name != "tag"}
    put_client = ask(api, "PUT", f"/api/v1/clients/{client['id']}", untagged).json()
    put_mailing = ask(api, "PUT", f"/api/v1/mailings/{mailing['id']}", MAILING).json()

    assert put_client == {**client, "tag": None}
    assert put_mailing == {**MAILING, "client_tag_filter": None, "client_operator_code_filter": None} | {
        "id": mailing["id"]
    }


CLIENT_CHANGES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("/api/v1/clients", CLIENT, change)
    for change in (
        {"tag": None},
        {"tag": "x"},
        {"phone": "70000000002"},
        {"timezone": "x"},
        {"operator_code": "1"},
        {},
    )
] + [
    ("/api/client", SHORT_CLIENT, change)
    for change in ({"tag": None}, {"phone_number": "70000000002"}, {"timezone": "x"}, {"operator": 0}, {})
]


@pytest.mark.parametrize(("face", "body", "change"), CLIENT_CHANGES)
def test_a_patch_of_a_client_changes_what_it_names(
    api: Client, face: str, body: dict[str, Any], change: dict[str, Any]
) -> None:
    client = made(api, face, body)

    answer = ask(api, "PATCH", f"{face}/{client['id']}", change)

    assert (answer.status_code, answer.json()) == (200, {**client, **change})
    assert api.get(f"{face}/{client['id']}").json() == {**client, **change}


@pytest.mark.parametrize(
    "change",
    [
        {"text": "other"},
        {"start_time": "8999-01-01T00:00:00Z"},
        {"end_time": "9001-01-01T00:00:00Z"},
        {"client_tag_filter": None},
        {"client_operator_code_filter": "901"},
        {"name": "Autumn"},
        {"gateway_account": "log"},
        {},
    ],
)
def test_a_patch_of_a_mailing_changes_what_it_names(
    api: Client, probe: GatewayAccount, change: dict[str, Any]
) -> None:
    full = {**MAILING, "client_tag_filter": "VIP", "client_operator_code_filter": "900", "name": "Spring"}
    mailing = made(api, "/api/v1/mailings", full)
    before = api.get("/api/v1/mailings/list").json()["data"][0]

    answer = ask(api, "PATCH", f"/api/v1/mailings/{mailing['id']}", change)

    assert (answer.status_code, answer.json()) == (200, {**mailing, **change})
    assert api.get("/api/v1/mailings/list").json()["data"] == [{**before, **change}]


@pytest.mark.parametrize(
    ("change", "clients"),
    [
        ({"clients": {"tag": "x"}}, {"tag": "x", "operator": 900}),
        ({"clients": {"operator": None}}, {"tag": "VIP"}),
        ({"clients": {}}, {"tag": "VIP", "operator": 900}),
        ({"text": "other"}, {"tag": "VIP", "operator": 900}),
    ],
)
def test_a_patch_of_an_audience_never_widens_it_unasked(
    api: Client, change: dict[str, Any], clients: dict[str, Any]
) -> None:
    mailing = made(api, "/api/mailing", SHORT_MAILING)

    answer = ask(api, "PATCH", f"/api/mailing/{mailing['id']}", change)

    assert (answer.status_code, answer.json()) == (200, {**mailing, **change, "clients": clients})


@pytest.mark.parametrize(
    ("face", "members"),
    [
        ("/api/v1/clients", ["phone", "operator_code", "timezone"]),
        ("/api/client", ["phone_number", "operator", "timezone"]),
        ("/api/v1/mailings", ["start_time", "end_time", "text", "name", "gateway_account"]),
        ("/api/mailing", ["start_time", "end_time", "text", "clients"]),
    ],
)
def test_a_null_in_a_patch_is_refused_where_there_can_be_none(
    api: Client, face: str, members: list[str]
) -> None:
    row = made(api, face, BODIES[face])

    answer = ask(api, "PATCH", f"{face}/{row['id']}", dict.fromkeys(members))

    assert wrong_members(answer) == set(members)


@pytest.mark.parametrize("face", BODIES)
@pytest.mark.parametrize("verb", ["PUT", "PATCH"])
def test_an_id_that_is_sent_back_must_agree(api: Client, face: str, verb: str) -> None:
    row = made(api, face, BODIES[face])
    path = f"{face}/{row['id']}"

    same = [
        ask(api, verb, path, {**BODIES[face], "id": row_id}) for row_id in (row["id"], str(row["id"]), None)
    ]
    other = ask(api, verb, path, {**BODIES[face], "id": row["id"] + 1})

    assert [(answer.status_code, answer.json()["id"]) for answer in same] == [(200, row["id"])] * 3
    assert wrong_members(other) == {"id"}


def test_a_patch_cannot_turn_a_window_around(api: Client) -> None:
    mailing = made(api, "/api/v1/mailings", MAILING)
    path = f"/api/v1/mailings/{mailing['id']}"

    assert wrong_members(ask(api, "PATCH", path, {"end_time": AHEAD["start_time"]})) == {"end_time"}
    assert wrong_members(ask(api, "PATCH", path, {"start_time": AHEAD["end_time"]})) == {"end_time"}


def test_both_faces_show_one_client(api: Client) -> None:
    client = made(api, "/api/v1/clients", CLIENT)

    short = api.get(f"/api/client/{client['id']}").json()

    assert short == {
        "id": client["id"],
        "phone_number": "70000000001",
        "operator": 900,
        "tag": "VIP",
        "timezone": "Europe/Berlin",
    }


def test_both_faces_show_one_mailing(api: Client) -> None:
    mailing = made(api, "/api/mailing", SHORT_MAILING)

    listed = api.get("/api/v1/mailings/list").json()["data"]

    assert [(row["id"], row["client_tag_filter"], row["client_operator_code_filter"]) for row in listed] == [
        (mailing["id"], "VIP", "900")
    ]


def test_a_mailing_leaves_by_the_account_that_it_names(api: Client, probe: GatewayAccount) -> None:
    named = made(api, "/api/v1/mailings", {**MAILING, "gateway_account": "log"})
    unnamed = made(api, "/api/v1/mailings", MAILING)

    accounts = {row.pk: row.account.name for row in Mailing.objects.select_related("account")}
    assert accounts == {named["id"]: "log", unnamed["id"]: "outside sender"}
    assert (named["gateway_account"], "gateway_account" in unnamed) == ("log", False)


def test_an_account_of_another_tenant_cannot_be_named(
    api: Client, other_tenant: Tenant, clock: Clock
) -> None:
    settings = {"base_url": "http://127.0.0.1:9", "token": "not-a-secret"}
    accounts.add(other_tenant, name="theirs", gateway="probe", settings=settings, now=clock())

    answer = ask(api, "POST", "/api/v1/mailings", {**MAILING, "gateway_account": "theirs"})

    assert wrong_members(answer) == {"gateway_account"}
    assert made(client_of(other_tenant), "/api/v1/mailings", {**MAILING, "gateway_account": "theirs"})


def test_a_mailing_that_has_started_cannot_be_changed_in_either_face(api: Client) -> None:
    mailing = made(api, "/api/v1/mailings", {**MAILING, "start_time": "2022-12-02"})

    for verb, path, body in (
        ("PUT", "/api/v1/mailings", MAILING),
        ("PATCH", "/api/v1/mailings", {"text": "x"}),
        ("PUT", "/api/mailing", SHORT_MAILING),
        ("PATCH", "/api/mailing", {"text": "x"}),
    ):
        problem = refusal(ask(api, verb, f"{path}/{mailing['id']}", body), 409)
        assert problem["code"] == "already_started"
