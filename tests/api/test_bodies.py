"""What a body may be: strict JSON of known members. Whatever else it is, it is refused, named, and nothing is stored."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from clarion.models import Customer, Mailing
from tests.api.calls import BODIES, CLIENT, MAILING, ask, made, refusal, wrong_members

pytestmark = pytest.mark.django_db

EVERY_PATH = pytest.mark.parametrize("path", BODIES)


@pytest.fixture(autouse=True)
def nothing_is_stored(request: pytest.FixtureRequest, db: None) -> Iterator[None]:
    """Nothing of a refused request stays; every test here only sends such."""
    yield
    assert (Customer.objects.count(), Mailing.objects.count()) == (0, 0)


NO_JSON = {
    "text": "hello",
    "half an object": '{"phone":',
    "two objects": "{}{}",
    "a comment": "{} // ",
    "NaN": '{"phone": NaN}',
    "infinity": '{"phone": -Infinity}',
    "single quotes": "{'phone': 1}",
    "a member twice": '{"tag": "a", "tag": "b"}',
    "a member twice, deep down": '{"a": [{"b": 1, "b": 1}]}',
    "bytes that are no UTF-8": b'{"tag": "\xff"}',
    "UTF-16": '{"tag": "a"}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a name with half a surrogate pair": '{"\\ud800": 1}',
    "a number of 5,000 digits": '{"phone": ' + "9" * 5_000 + "}",
    "blanks": "  ",
}


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON)
def test_what_is_no_strict_json_is_refused(api: Client, body: str | bytes) -> None:
    for path in BODIES:
        assert refusal(ask(api, "POST", path, body), 400)["code"] == "not_json"


def test_a_member_that_stands_twice_is_named(api: Client) -> None:
    problem = refusal(ask(api, "POST", "/api/v1/clients", '{"tag": "a", "tag": "b"}'), 400)

    assert "'tag'" in problem["detail"]


@pytest.mark.parametrize("depth", [1_000, 100_000])
@pytest.mark.parametrize("opening", ["[", '{"a":'], ids=["arrays", "objects"])
def test_a_bottomless_body_is_refused(api: Client, depth: int, opening: str) -> None:
    for path in BODIES:
        assert refusal(ask(api, "POST", path, opening * depth), 400)["code"] in ("too_deep", "not_json")


@EVERY_PATH
def test_a_deep_value_in_a_member_is_refused(api: Client, path: str) -> None:
    answer = ask(api, "POST", path, '{"id": ' + "[" * 400 + "]" * 400 + "}")

    assert "id" in wrong_members(answer)


@pytest.mark.parametrize("body", ["[]", "null", "5", '"x"', "true", "[{}]"])
def test_a_body_that_is_no_object_is_refused(api: Client, body: str) -> None:
    for path in BODIES:
        problem = refusal(ask(api, "POST", path, body), 400)

        assert problem["errors"] == [{"loc": [], "msg": "This must be an object."}]


@EVERY_PATH
def test_an_empty_body_is_refused(api: Client, path: str) -> None:
    assert refusal(ask(api, "POST", path, ""), 400)["code"] == "invalid_request"


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json"],
)
def test_a_body_of_another_kind_is_refused(api: Client, kind: str) -> None:
    for path, body in BODIES.items():
        assert refusal(ask(api, "POST", path, body, kind=kind), 415)["code"] == "not_json"


@EVERY_PATH
def test_every_missing_member_is_named_at_once(api: Client, path: str) -> None:
    needed = set(BODIES[path]) - {"tag", "clients"}

    assert wrong_members(ask(api, "POST", path, {})) == needed


@EVERY_PATH
def test_every_wrong_member_is_named_at_once(api: Client, path: str) -> None:
    body = {**{name: [] for name in BODIES[path]}, "colour": 1, "id": "x"}

    assert wrong_members(ask(api, "POST", path, body)) >= {*BODIES[path], "colour", "id"}


@pytest.mark.parametrize(
    "name", ["colour", "payload", "body", "query", "page", "filters", "", "é", "__proto__"]
)
def test_an_unknown_member_is_refused_by_its_name(api: Client, name: str) -> None:
    for path, body in BODIES.items():
        problem = refusal(ask(api, "POST", path, {**body, name: 1}), 400)

        assert problem["errors"] == [{"loc": [name], "msg": "There is no such member."}]


def test_an_unknown_member_inside_another_is_refused_by_its_way(api: Client) -> None:
    body = {**BODIES["/api/mailing"], "clients": {"tag": "a", "colour": "red"}}

    assert wrong_members(ask(api, "POST", "/api/mailing", body)) == {"clients.colour"}


WRONG_VALUES: list[tuple[str, dict[str, Any]]] = [
    ("phone", {"phone": "68000000000"}),
    ("phone", {"phone": "7000000000"}),
    ("phone", {"phone": "70000000001\n"}),
    ("phone", {"phone": "7٠٠٠٠٠٠٠٠٠٠"}),
    ("phone", {"phone": 70000000001}),
    ("operator_code", {"operator_code": ""}),
    ("operator_code", {"operator_code": 900}),
    ("operator_code", {"operator_code": "9" * 65}),
    ("operator_code", {"operator_code": "ß" * 33}),
    ("tag", {"tag": "a" * 256}),
    ("tag", {"tag": "ΐ" * 86}),
    ("tag", {"tag": "a\x00b"}),
    ("tag", {"tag": "\ud800"}),
    ("tag", {"tag": True}),
    ("timezone", {"timezone": None}),
    ("timezone", {"timezone": "x" * 65}),
    ("id", {"id": 0}),
    ("id", {"id": -1}),
    ("id", {"id": 2**63}),
    ("id", {"id": 10**400}),
    ("id", {"id": 1.5}),
    ("id", {"id": True}),
    ("id", {"id": "9" * 5_000}),
]


@pytest.mark.parametrize(("member", "change"), WRONG_VALUES)
def test_a_client_with_a_wrong_value_is_refused(api: Client, member: str, change: dict[str, Any]) -> None:
    assert wrong_members(ask(api, "POST", "/api/v1/clients", {**CLIENT, **change})) == {member}


WRONG_OPERATORS = [-1, 10**9 + 1, 1.5, True, None, "", [], "9" * 65]


@pytest.mark.parametrize("operator", WRONG_OPERATORS)
def test_an_operator_is_a_number_or_a_text(api: Client, operator: Any) -> None:
    body = {**BODIES["/api/client"], "operator": operator}

    assert wrong_members(ask(api, "POST", "/api/client", body)) == {"operator"}


WRONG_MAILINGS: list[tuple[set[str], dict[str, Any]]] = [
    ({"end_time"}, {"end_time": MAILING["start_time"]}),
    ({"end_time"}, {"end_time": "2022-12-03"}),
    ({"text"}, {"text": ""}),
    ({"text"}, {"text": "{{ tag"}),
    ({"text"}, {"text": "x" * 10_001}),
    ({"gateway_account"}, {"gateway_account": "nobody's"}),
    ({"client_operator_code_filter"}, {"client_operator_code_filter": 900}),
    ({"name"}, {"name": None}),
    ({"channel", "local_from", "holdout_percent"}, {"channel": "SMS", "local_from": 1, "holdout_percent": 1}),
    ({"local_from"}, {"local_from": "24:00", "local_until": "10:00"}),
    ({"local_until"}, {"local_from": "09:00"}),
    ({"local_until"}, {"local_from": "09:00", "local_until": "09:00"}),
    ({"rate_per_second"}, {"rate_per_second": 0}),
    ({"filter"}, {"filter": "vip"}),
    ({"filter.tag"}, {"filter": {"field": "tag", "eq": "x", "tag": "y"}}),
    # All of them at once, whoever finds them out.
    (
        {"end_time", "text", "gateway_account", "name", "colour"},
        {"end_time": "2022", "text": "{{ tag", "gateway_account": "x", "name": 1, "colour": 1},
    ),
    (
        {"end_time", "text", "gateway_account"},
        {"end_time": "2022-12-03", "text": "{% if", "gateway_account": "x"},
    ),
]


@pytest.mark.parametrize(("members", "change"), WRONG_MAILINGS)
def test_a_mailing_with_wrong_values_is_refused(
    api: Client, members: set[str], change: dict[str, Any]
) -> None:
    assert wrong_members(ask(api, "POST", "/api/v1/mailings", {**MAILING, **change})) == members


def test_a_refusal_speaks_of_members_and_not_of_the_program(api: Client) -> None:
    text = ask(api, "POST", "/api/v1/clients", {"phone": 1, "tag": [], "id": {}}).content.decode()

    assert not [word for word in ("Body", "pydantic", "dict", "str_", "payload") if word in text]


def test_a_charset_beside_the_kind_is_no_matter(api: Client) -> None:
    answer = ask(api, "POST", "/api/v1/clients", CLIENT, kind="Application/JSON; charset=utf-8")

    assert answer.status_code == 201
    Customer.objects.all().delete()


def test_a_put_that_is_refused_changes_nothing(api: Client) -> None:
    client = made(api, "/api/v1/clients", CLIENT)
    path = f"/api/v1/clients/{client['id']}"

    ask(api, "PUT", path, {**CLIENT, "tag": "other", "phone": "1"})

    assert api.get(path).json() == client
    Customer.objects.all().delete()
