"""Files of clients over HTTP: sent, watched, refused rows fetched, exports asked for; wrong requests named."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from django.test import Client

from clarion.api import imports as door
from clarion.flows import exports, imports
from clarion.models import Customer, Import, StoredFile, Tenant
from tests.api.calls import refusal
from tests.conftest import Clock, client_of
from tests.factories import make_customer

pytestmark = pytest.mark.django_db

PATH = "/api/v1/clients/import"
TABLE = "phone;city\n70000000001;Köln\n8000;Köln\n"


def send(
    api: Client, data: str | bytes, media_type: str = "text/csv", query: str = "", **headers: str
) -> Any:
    return api.post(f"{PATH}{query}", data, content_type=media_type, headers=headers)


def work(clock: Clock) -> None:
    while imports.run_due(clock()) + exports.run_due(clock()):
        pass


def body_of(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


def test_a_file_is_taken_and_read_by_the_worker(api: Client, clock: Clock) -> None:
    taken = send(api, TABLE, query="?name=clients.csv")

    assert taken.status_code == 202
    assert taken.headers["Location"] == f"/api/v1/imports/{taken.json()['id']}"
    assert (taken.json()["status"], taken.json()["progress"], taken.json()["bytes"]) == (
        "WAITING",
        0,
        len(TABLE) + 2,
    )
    work(clock)
    shown = api.get(taken.headers["Location"]).json()
    expected: Mapping[str, Any] = {
        "name": "clients.csv",
        "status": "DONE",
        "why": None,
        "format": "csv",
        "encoding": "utf-8",
        "delimiter": ";",
        "columns": {"phone": "phone", "city": "attributes.city"},
        "progress": 1,
        "read": 2,
        "created": 1,
        "updated": 0,
        "unchanged": 0,
        "refused": 1,
        "refusals": [{"line": 3, "reason": "phone: must be 7 and ten more digits"}],
    }
    assert expected.items() <= shown.items()


@pytest.mark.parametrize(
    "media_type",
    [
        "application/x-ndjson",
        "application/jsonl",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "",
    ],
)
def test_lines_of_json_are_known_by_their_type_or_their_look(api: Client, media_type: str) -> None:
    assert send(api, '{"phone": "70000000001"}\n', media_type).json()["format"] == "ndjson"


@pytest.mark.parametrize(
    ("data", "media_type", "headers", "status", "code"),
    [
        ("", "text/csv", {}, 400, "empty_file"),
        (TABLE, "multipart/form-data; boundary=x", {}, 415, "not_a_table"),
        (TABLE, "text/csv", {"Content-Encoding": "gzip"}, 415, "not_a_table"),
        (b"PK\x03\x04", "", {}, 415, "not_a_table"),
        ('[{"phone": "70000000001"}]', "application/json", {}, 415, "not_a_table"),
    ],
)
def test_what_cannot_be_read_is_refused_at_once(
    api: Client, data: str, media_type: str, headers: dict[str, str], status: int, code: str
) -> None:
    answer = send(api, data, media_type, **headers)

    assert refusal(answer, status)["code"] == code
    assert not StoredFile.objects.exists()


@pytest.mark.parametrize("query", ["?encoding=utf-99", "?delimiter=ab", "?format=xls", f"?name={'x' * 256}"])
def test_a_hint_that_cannot_be_is_named(api: Client, query: str) -> None:
    problem = refusal(send(api, TABLE, query=query), 400)

    assert problem["code"] == "invalid_request"
    assert problem["errors"][0]["loc"] == [query[1:].partition("=")[0]]


def test_hints_outweigh_guesses(api: Client) -> None:
    taken = send(api, TABLE, query="?delimiter=tab&encoding=windows-1251").json()

    assert (taken["delimiter"], taken["encoding"]) == ("\t", "cp1251")


def test_a_key_for_repeated_requests_is_no_matter_here(api: Client) -> None:
    """The body is a stream that nobody has read when the key is looked at; twice does no harm."""
    ids = {send(api, TABLE, **{"Idempotency-Key": "once"}).json()["id"] for _ in range(2)}

    assert len(ids) == 2


def test_a_test_key_may_look_and_not_send(tenant: Tenant, api: Client) -> None:
    taken = send(api, TABLE).json()
    test_api = client_of(tenant, is_test=True)

    assert refusal(send(test_api, TABLE), 403)["code"] == "live_client"
    assert refusal(test_api.post(f"/api/v1/imports/{taken['id']}/cancel"), 403)["code"] == "live_client"
    assert test_api.get(f"/api/v1/imports/{taken['id']}").status_code == 200


def test_files_of_another_tenant_do_not_exist(api: Client, other_tenant: Tenant, clock: Clock) -> None:
    ids = {"imports": send(api, TABLE).json()["id"], "exports": ask(api).json()["id"]}
    work(clock)
    other = client_of(other_tenant)

    for path in (f"imports/{ids['imports']}", f"exports/{ids['exports']}"):
        assert api.get(f"/api/v1/{path}").status_code == 200
        assert other.get(f"/api/v1/{path}").status_code == 404
    assert other.get(f"/api/v1/imports/{ids['imports']}/refused").status_code == 404
    assert other.get(f"/api/v1/exports/{ids['exports']}/file").status_code == 404
    assert other.post(f"/api/v1/imports/{ids['imports']}/cancel").status_code == 404
    assert other.get("/api/v1/imports").json()["data"] == other.get("/api/v1/exports").json()["data"] == []


def test_imports_are_listed_page_by_page(api: Client) -> None:
    ids = [send(api, TABLE).json()["id"] for _ in range(3)]

    first = api.get("/api/v1/imports?limit=2").json()
    second = api.get(f"/api/v1/imports?limit=2&cursor={first['next']}").json()

    assert [row["id"] for row in first["data"] + second["data"]] == ids
    assert (second["next"], "refusals" in first["data"][0]) == (None, False)


def test_the_first_refusals_are_shown_and_all_are_in_the_file(
    api: Client, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "SHOWN", 2)
    taken = send(api, "phone\n" + "8000\n" * 5, query="?name=a%22b.csv").json()
    work(clock)

    file = api.get(f"/api/v1/imports/{taken['id']}/refused")

    assert len(api.get(f"/api/v1/imports/{taken['id']}").json()["refusals"]) == 2
    assert len(body_of(file).splitlines()) == 6
    assert file.headers["Content-Type"] == "text/csv"
    assert file.headers["Content-Disposition"] == 'attachment; filename="a\\"b.refused.csv"'


def test_an_import_can_be_cancelled_until_it_is_over(api: Client, clock: Clock) -> None:
    first, second = (send(api, TABLE).json()["id"] for _ in range(2))

    cancelled = api.post(f"/api/v1/imports/{second}/cancel")
    work(clock)

    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "CANCELLED")
    assert refusal(api.post(f"/api/v1/imports/{first}/cancel"), 409)["code"] == "already_over"


def test_a_file_that_has_served_its_time_is_gone(api: Client, clock: Clock) -> None:
    ids = {"imports": send(api, TABLE).json()["id"], "exports": ask(api).json()["id"]}
    work(clock)
    StoredFile.objects.all().delete()

    for path in (f"imports/{ids['imports']}/refused", f"exports/{ids['exports']}/file"):
        assert refusal(api.get(f"/api/v1/{path}"), 410)["code"] == "file_gone"
    assert Import.objects.get().refused == 1


def ask(api: Client, body: Any = None) -> Any:
    return api.post("/api/v1/clients/export", json.dumps(body or {}), content_type="application/json")


def test_an_export_is_asked_for_and_fetched_when_it_is_done(
    api: Client, tenant: Tenant, clock: Clock
) -> None:
    make_customer(tenant, phone="70000000001", tag="vip")
    make_customer(tenant, phone="70000000002")

    asked = ask(api, {"format": "ndjson", "tag": "VIP"})
    early = api.get(f"{asked.headers['Location']}/file")
    work(clock)
    shown = api.get(asked.headers["Location"]).json()
    file = api.get(f"{asked.headers['Location']}/file")

    assert (asked.status_code, asked.json()["status"], asked.json()["progress"]) == (202, "WAITING", 0)
    assert refusal(early, 409)["code"] == "not_ready"
    assert (shown["status"], shown["progress"], shown["rows"], shown["tag"]) == ("DONE", 1, 1, "VIP")
    body = body_of(file)
    assert json.loads(body)["phone"] == "70000000001"
    assert file.headers["Content-Length"] == str(len(body)) == str(shown["bytes"])
    assert file.headers["Content-Type"] == "application/x-ndjson"
    assert "clients-" in file.headers["Content-Disposition"]


@pytest.mark.parametrize(
    ("body", "loc"),
    [({"format": "xls"}, ["format"]), ({"filter": {"field": "x"}}, ["filter"]), ({"colour": 1}, ["colour"])],
)
def test_a_wrong_wish_for_an_export_is_named(api: Client, body: Any, loc: list[str]) -> None:
    errors = refusal(ask(api, body), 400)["errors"]

    assert errors[0]["loc"][: len(loc)] == loc


def test_what_comes_out_goes_in(api: Client, tenant: Tenant, other_tenant: Tenant, clock: Clock) -> None:
    make_customer(tenant, phone="70000000001", tag="=vip", timezone="+03:00")
    asked = ask(api).headers["Location"]
    work(clock)

    send(client_of(other_tenant), body_of(api.get(f"{asked}/file")))
    work(clock)

    one, other = Customer.objects.order_by("id").values(
        "phone", "tag", "tag_key", "timezone", "zone", "operator_code"
    )
    assert one == other
