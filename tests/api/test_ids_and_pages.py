"""Ids, limits and cursors in paths and queries: whatever is sent, the answer is 200, 400 or 404."""

import itertools
from typing import Any

import pytest
from django.test import Client

from clarion import worker
from clarion.models import Tenant
from tests.api.calls import CLIENT, MAILING, OVER, SHORT_CLIENT, made, refusal, wrong_members
from tests.conftest import Clock
from tests.factories import make_customer, make_mailing

pytestmark = pytest.mark.django_db

ROWS = (
    "/api/v1/clients",
    "/api/client",
    "/api/v1/mailings",
    "/api/mailing",
    "/api/v1/messages",
    "/api/message",
)
BARE = ("/api/client", "/api/mailing", "/api/message")
WRAPPED = ("/api/v1/clients", "/api/v1/mailings/list", "/api/v1/messages")
NO_IDS = ["0", "-1", "1.5", "x", "%00", "null", "1e3", "٣", "9" * 19, str(2**63), "9" * 40, "9" * 5_000]


@pytest.mark.parametrize("row_id", NO_IDS)
def test_what_is_no_id_names_nothing(api: Client, row_id: str) -> None:
    for path, slash in itertools.product(ROWS, ("", "/")):
        assert refusal(api.get(f"{path}/{row_id}{slash}"), 404)["code"] == "not_found"


@pytest.mark.parametrize("member", ["mailing", "client"])
@pytest.mark.parametrize("value", ["0", "-1", "x", "", "1.5", str(2**63), "9" * 5_000, "%00", "true"])
def test_an_id_in_a_query_that_can_be_none_is_refused(api: Client, member: str, value: str) -> None:
    for path in ("/api/v1/messages", "/api/message"):
        assert wrong_members(api.get(f"{path}?{member}={value}")) == {member}


@pytest.mark.parametrize(
    ("query", "members"),
    [
        ("limit=0", {"limit"}),
        ("limit=101", {"limit"}),
        ("limit=x&cursor=y", {"limit", "cursor"}),
        ("limit=", {"limit"}),
        ("limit=%00", {"limit"}),
        (f"cursor={2**63}", {"cursor"}),
        ("cursor=-1", {"cursor"}),
        ("limit=" + "9" * 5_000, {"limit"}),
    ],
)
def test_a_wrong_limit_or_cursor_is_refused(api: Client, query: str, members: set[str]) -> None:
    for path in (*BARE, *WRAPPED):
        assert wrong_members(api.get(f"{path}?{query}")) == members


@pytest.mark.parametrize("query", ["q=%00", "tag=%00", "q=" + "x" * 256, "q=" + "x" * 60_000])
def test_a_filter_that_nothing_can_match_is_refused(api: Client, query: str) -> None:
    for path in ("/api/client", "/api/v1/clients"):
        assert wrong_members(api.get(f"{path}?{query}")) == {query.partition("=")[0]}


@pytest.mark.parametrize(
    "query", ["%ff=%ff", "tag=%ff%fe", "tag=%zz", "&&&=", "tag", "unknown=1", "tag=a&tag=b"]
)
def test_an_odd_query_finds_nothing_and_breaks_nothing(api: Client, query: str) -> None:
    for path in (*BARE, *WRAPPED, "/api/v1/mailings"):
        assert api.get(f"{path}?{query}").status_code == 200


def test_a_query_of_too_many_parts_is_refused(api: Client) -> None:
    assert refusal(api.get("/api/client?" + "a=1&" * 1_500), 400)["code"] == "refused"


def follow(api: Client, path: str, key: str) -> list[list[Any]]:
    """Read a list page by page; `path` names the limit."""
    pages, following = [], path
    while following:
        answer = api.get(following)
        assert answer.status_code == 200, answer.content
        if isinstance(answer.json(), list):
            pages.append([row[key] for row in answer.json()])
            following = answer.headers.get("Link", "").partition(">; rel=")[0].lstrip("<")
        else:
            pages.append([row[key] for row in answer.json()["data"]])
            cursor = answer.json()["next"]
            following = f"{path}&cursor={cursor}" if cursor else ""
    return pages


@pytest.mark.parametrize("path", ["/api/v1/clients", "/api/client", "/api/client/"])
def test_pages_of_clients_follow_each_other_without_a_gap(api: Client, tenant: Tenant, path: str) -> None:
    ids = [make_customer(tenant).pk for _ in range(5)]

    assert follow(api, f"{path}?limit=2", "id") == [ids[:2], ids[2:4], ids[4:]]


@pytest.mark.parametrize("path", ["/api/v1/mailings/list", "/api/mailing"])
def test_pages_of_mailings_follow_each_other_without_a_gap(api: Client, path: str) -> None:
    ids = [made(api, "/api/v1/mailings", MAILING)["id"] for _ in range(3)]

    assert follow(api, f"{path}?limit=1", "id") == [[row_id] for row_id in ids]


def test_pages_of_messages_follow_each_other_without_a_gap(api: Client, tenant: Tenant, clock: Clock) -> None:
    customers = [make_customer(tenant).pk for _ in range(3)]
    mailing = make_mailing(tenant, now=clock())
    worker.tick(clock)

    for path in ("/api/v1/messages", "/api/message", f"/api/v1/mailings/{mailing.pk}/messages"):
        assert follow(api, f"{path}?limit=2", "client") == [customers[:2], customers[2:]]


def test_a_full_last_page_is_the_last(api: Client, tenant: Tenant) -> None:
    for _ in range(2):
        make_customer(tenant)

    assert api.get("/api/v1/clients?limit=2").json()["next"] is None
    assert "Link" not in api.get("/api/client?limit=2").headers


def test_rows_that_come_or_go_meanwhile_move_no_page(api: Client, tenant: Tenant) -> None:
    ids = [make_customer(tenant).pk for _ in range(4)]
    first = api.get("/api/v1/clients?limit=2").json()

    api.delete(f"/api/v1/clients/{ids[1]}")
    late = make_customer(tenant).pk
    second = api.get(f"/api/v1/clients?limit=5&cursor={first['next']}").json()

    assert [row["id"] for row in first["data"] + second["data"]] == [*ids, late]


def test_the_next_page_keeps_the_filters(api: Client) -> None:
    for number in range(4):
        made(api, "/api/client", {**SHORT_CLIENT, "tag": "тёща & co" if number % 2 else "x"})

    pages = follow(api, "/api/client/?tag=%D1%82%D1%91%D1%89%D0%B0%20%26%20co&limit=1", "tag")

    assert pages == [["тёща & co"]] * 2


def test_a_list_shows_fifty_unless_asked(api: Client, tenant: Tenant) -> None:
    for _ in range(51):
        make_customer(tenant)

    assert len(api.get("/api/client/").json()) == 50
    assert len(api.get("/api/client/?limit=100").json()) == 51


@pytest.mark.parametrize(("spelt", "found"), [("VIP", 1), ("vip", 1), ("ViP", 1), ("VI", 0), ("VIP ", 0)])
def test_a_tag_is_found_whatever_its_case(api: Client, spelt: str, found: int) -> None:
    made(api, "/api/v1/clients", CLIENT)

    for path in ("/api/v1/clients", "/api/client"):
        rows = api.get(path, {"tag": spelt}).json()
        assert len(rows if path in BARE else rows["data"]) == found


@pytest.mark.parametrize(
    ("stored", "spelt"), [("Тёща", "ТЁЩА"), ("ТЕЩА", "теща"), ("STRASSE", "straße"), ("ΣΊΣΥΦΟΣ", "σίσυφος")]
)
def test_a_tag_is_found_whatever_its_case_in_any_script(api: Client, stored: str, spelt: str) -> None:
    made(api, "/api/v1/clients", {**CLIENT, "tag": stored, "operator_code": stored})
    made(api, "/api/v1/clients", {**CLIENT, "tag": "other"})

    assert [row["tag"] for row in api.get("/api/client", {"tag": spelt}).json()] == [stored]
    assert [row["tag"] for row in api.get("/api/client", {"operator": spelt}).json()] == [stored]
    assert [row["tag"] for row in api.get("/api/client", {"q": spelt[1:4]}).json()] == [stored]


def test_a_search_takes_signs_as_they_are(api: Client) -> None:
    for tag in ("100%", "1000", "a_b", "aXb", "a\\b"):
        made(api, "/api/v1/clients", {**CLIENT, "tag": tag})

    found = {
        sign: [row["tag"] for row in api.get("/api/client", {"q": sign}).json()]
        for sign in ("0%", "a_", "\\")
    }

    assert found == {"0%": ["100%"], "a_": ["a_b"], "\\": ["a\\b"]}


def test_clients_are_found_by_phone(api: Client) -> None:
    made(api, "/api/v1/clients", CLIENT)
    other = made(api, "/api/v1/clients", {**CLIENT, "phone": "70000000002"})

    assert [row["id"] for row in api.get("/api/v1/clients?phone=70000000002").json()["data"]] == [other["id"]]
    assert [row["id"] for row in api.get("/api/client?phone_number=70000000002").json()] == [other["id"]]


@pytest.mark.parametrize(
    ("spelt", "found"), [("TIMEOUT", 1), ("timeout", 1), ("TimeOut", 1), ("SENT", 0), ("x", 0)]
)
def test_a_status_is_found_whatever_its_case(
    api: Client, tenant: Tenant, clock: Clock, spelt: str, found: int
) -> None:
    make_customer(tenant)
    mailing = made(api, "/api/v1/mailings", {**OVER, "text": "hello"})
    worker.tick(clock)

    assert len(api.get(f"/api/message?status={spelt}").json()) == found
    assert len(api.get(f"/api/v1/messages?status={spelt}").json()["data"]) == found
    assert len(api.get(f"/api/v1/mailings/{mailing['id']}/messages?status={spelt}").json()["data"]) == found


def test_a_filter_of_a_mailing_ignores_case_too(api: Client, clock: Clock) -> None:
    made(api, "/api/v1/clients", {**CLIENT, "tag": "Тёща", "operator_code": "Abc"})
    filters = {"client_tag_filter": "ТЁЩА", "client_operator_code_filter": "aBC"}
    mailing = made(api, "/api/v1/mailings", {**OVER, "text": "hello", **filters})

    worker.tick(clock)

    counts = api.get(f"/api/v1/mailings/{mailing['id']}").json()["message_data"]
    assert counts == [{"status": "TIMEOUT", "count": 1}]
