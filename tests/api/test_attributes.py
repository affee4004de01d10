"""What a shop says of its clients: attributes of its own choosing, and its own id for each."""

import threading
from typing import Any

import pytest
from django.test import Client

from clarion.models import Tenant
from tests.api.calls import CLIENT, ask, made, refusal, wrong_members
from tests.conftest import client_of
from tests.hub import Shop

PATH = "/api/v1/clients"
ATTRIBUTES = {
    "city": "Köln",
    "visits": 3,
    "share": 0.25,
    "least": -(2**53),
    "is.member": True,
    "left": None,
    "1": "a digit",
    "two words": 'it\'s "so" \\ 100 % {{ tag }}',
    "имя": "Ёлка 👩‍👩‍👧 ",
}


@pytest.mark.parametrize("verb", ["PUT", "PATCH"])
def test_what_a_shop_says_of_a_client_is_given_back(api: Client, verb: str) -> None:
    ours = {"external_id": "A-1", "attributes": ATTRIBUTES}

    client = made(api, PATH, {**CLIENT, **ours})

    assert client == {"id": client["id"], **CLIENT, **ours}
    assert api.get(f"{PATH}/{client['id']}").json() == client
    assert ask(api, verb, f"{PATH}/{client['id']}", client).json() == client


def test_a_client_of_whom_nothing_is_said_is_shown_as_ever(api: Client) -> None:
    client = made(api, PATH, {**CLIENT, "external_id": None, "attributes": {}})

    assert client == {"id": client["id"], **CLIENT}


def test_a_patch_changes_what_it_names_and_a_put_forgets_what_it_does_not(api: Client) -> None:
    client = made(api, PATH, {**CLIENT, "external_id": "A-1", "attributes": {"a": 1, "b": 2}})
    path = f"{PATH}/{client['id']}"

    assert ask(api, "PATCH", path, {"tag": "x"}).json() == {**client, "tag": "x"}
    assert ask(api, "PATCH", path, {"attributes": {"a": 5}}).json()["attributes"] == {"a": 5}
    assert ask(api, "PATCH", path, {"external_id": None}).json().keys() == {*client} - {"external_id"}
    assert ask(api, "PUT", path, CLIENT).json() == {"id": client["id"], **CLIENT}


def test_the_other_face_leaves_alone_what_it_does_not_know(api: Client) -> None:
    client = made(api, PATH, {**CLIENT, "external_id": "A-1", "attributes": {"a": 1}})
    short = api.get(f"/api/client/{client['id']}").json()

    assert ask(api, "PUT", f"/api/client/{client['id']}", short).json() == short
    assert api.get(f"{PATH}/{client['id']}").json() == client


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("external_id", {"external_id": ""}),
    ("external_id", {"external_id": 5}),
    ("external_id", {"external_id": "x" * 256}),
    ("external_id", {"external_id": "a\x00"}),
    ("attributes", {"attributes": None}),
    ("attributes", {"attributes": ["a"]}),
    ("attributes", {"attributes": {f"a{number}": 1 for number in range(51)}}),
    ("attributes.", {"attributes": {"": 1}}),
    ("attributes.a", {"attributes": {"a": []}}),
    ("attributes.a", {"attributes": {"a": {"b": 1}}}),
    ("attributes.a", {"attributes": {"a": "x" * 256}}),
    ("attributes.a", {"attributes": {"a": "\x00"}}),
    ("attributes.a", {"attributes": {"a": "\ud800"}}),
    ("attributes.a", {"attributes": {"a": 2**53 + 1}}),
    ("attributes.a", {"attributes": {"a": -1e300}}),
    ("attributes.a\x00", {"attributes": {"a\x00": 1}}),
    ("attributes." + "n" * 65, {"attributes": {"n" * 65: 1}}),
]


@pytest.mark.parametrize(("member", "change"), WRONG)
def test_what_cannot_be_said_of_a_client_is_refused(api: Client, member: str, change: dict[str, Any]) -> None:
    assert wrong_members(ask(api, "POST", PATH, {**CLIENT, **change})) == {member}


def test_a_number_beyond_all_numbers_is_refused(api: Client) -> None:
    body = '{"phone": "70000000001", "operator_code": "1", "timezone": "", "attributes": {"a": 1e999}}'

    assert wrong_members(ask(api, "POST", PATH, body)) == {"attributes.a"}


def test_every_wrong_attribute_is_named_at_once_and_in_plain_words(api: Client) -> None:
    problem = refusal(ask(api, "POST", PATH, {**CLIENT, "attributes": {"a": [], "b": {}, "c": 1}}), 400)

    sentence = "must be a text, a number, true, false or null"
    assert problem["errors"] == [
        {"loc": ["attributes", "a"], "msg": sentence},
        {"loc": ["attributes", "b"], "msg": sentence},
    ]


def test_one_external_id_is_one_client(api: Client) -> None:
    first = made(api, PATH, {**CLIENT, "external_id": "A-1"})
    second = made(api, PATH, {**CLIENT, "external_id": "a-1"})

    for verb, path in (
        ("POST", PATH),
        ("PUT", f"{PATH}/{second['id']}"),
        ("PATCH", f"{PATH}/{second['id']}"),
    ):
        problem = refusal(ask(api, verb, path, {**CLIENT, "external_id": "A-1"}), 409)
        assert (problem["code"], problem["errors"][0]["loc"]) == ("external_id_taken", ["external_id"])

    assert [api.get(PATH, {"external_id": name}).json()["data"] for name in ("A-1", "a-1", "A-2")] == [
        [first],
        [second],
        [],
    ]


def test_an_external_id_is_taken_for_one_tenant_only(api: Client, other_tenant: Tenant) -> None:
    made(api, PATH, {**CLIENT, "external_id": "A-1"})

    assert made(client_of(other_tenant), PATH, {**CLIENT, "external_id": "A-1"})


def test_an_external_id_is_free_again_when_its_client_is_gone(api: Client) -> None:
    client = made(api, PATH, {**CLIENT, "external_id": "A-1"})
    ask(api, "DELETE", f"{PATH}/{client['id']}")

    assert made(api, PATH, {**CLIENT, "external_id": "A-1"})


def test_of_many_who_take_one_external_id_at_once_one_gets_it(shop: Shop) -> None:
    statuses: list[int] = []

    def take() -> None:
        statuses.append(shop.post(PATH, {**CLIENT, "external_id": "A-1"}).status)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(statuses) == [201] + [409] * 7
    assert len(shop.get(f"{PATH}?external_id=A-1").json()["data"]) == 1
