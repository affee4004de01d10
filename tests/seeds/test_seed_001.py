"""The mailing service of seed 001, as its document prints it, against real processes.

One change was made to a printed text: the sample mailing lacks a comma after its tag filter, so it is no JSON.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clarion.sandbox import RunningSender
from tests.hub import Answer, Hub, Shop, wait_until

# Messages travel through processes and threads; seconds of waiting are part of what is proven.
CLIENT = """{
    "phone":"78218173218",
    "operator_code":"123",
    "timezone":"timezone"
}"""
CLIENT_ANSWER = """{
    "id": 4,
    "phone": "78218173218",
    "operator_code": "123",
    "tag": null,
    "timezone": "timezone"
}"""
MAILING = """{
    "start_time":"2022-12-02T16:50:00Z",
    "text":"hello",
    "client_tag_filter":"VIP",
    "end_time":"2028-11-20"
}"""
MAILING_ANSWER = """{
    "id": 35,
    "start_time": "2022-12-02T16:50:00Z",
    "text": "hello",
    "client_operator_code_filter": null,
    "client_tag_filter":"VIP",
    "end_time": "2028-11-20T00:00:00Z"
}"""
BOTH_SPELLINGS = pytest.mark.parametrize("slash", ["/", ""], ids=["with a slash", "without a slash"])


def at(**distance: float) -> str:
    """A moment near now, as the document writes moments."""
    return (datetime.now(UTC) + timedelta(**distance)).isoformat().replace("+00:00", "Z")


def add_client(shop: Shop, phone: str = "70000000001", **members: Any) -> dict[str, Any]:
    answer = shop.post("/api/v1/clients/", {**json.loads(CLIENT), "phone": phone, **members})
    assert answer.status == 201, answer.body
    return dict(answer.json())


def add_mailing(shop: Shop, **members: Any) -> dict[str, Any]:
    window = {"start_time": at(minutes=-1), "end_time": at(minutes=10), "text": "hello"}
    answer = shop.post("/api/v1/mailings/", {**window, **members})
    assert answer.status == 201, answer.body
    return dict(answer.json())


def counts(shop: Shop, mailing: dict[str, Any]) -> dict[str, int]:
    lines = shop.get(f"/api/v1/mailings/{mailing['id']}").json()["message_data"]
    return {line["status"]: line["count"] for line in lines}


def with_printed_id(answer: Answer, printed: str) -> dict[str, Any]:
    """The answer, with the one member that nobody can foretell as the document prints it."""
    members = answer.json()
    assert type(members["id"]) is int
    return {**members, "id": json.loads(printed)["id"]}


@BOTH_SPELLINGS
def test_the_printed_client_gets_the_printed_answer(hub: Hub, slash: str) -> None:
    answer = hub.anybody().post(f"/api/v1/clients{slash}", CLIENT)

    assert answer.status == 201
    assert with_printed_id(answer, CLIENT_ANSWER) == json.loads(CLIENT_ANSWER)


def test_the_printed_time_zone_is_taken_and_named_as_odd(shop: Shop) -> None:
    answer = shop.post("/api/v1/clients/", CLIENT)

    assert "timezone" in answer.headers["Clarion-Warnings"]


@BOTH_SPELLINGS
def test_a_client_is_edited_and_deleted_by_the_id_of_the_answer(shop: Shop, slash: str) -> None:
    client = shop.post("/api/v1/clients/", CLIENT).json()
    path = f"/api/v1/clients/{client['id']}{slash}"

    edited = shop.put(path, {"phone": "78218173219", "operator_code": "124", "tag": "x", "timezone": "UTC"})
    deleted = shop.delete(path)

    assert (edited.status, edited.json()) == (
        200,
        {
            "id": client["id"],
            "phone": "78218173219",
            "operator_code": "124",
            "tag": "x",
            "timezone": "UTC",
        },
    )
    assert (deleted.status, deleted.body) == (204, b"")
    assert shop.get(path).status == 404


@BOTH_SPELLINGS
def test_the_printed_mailing_gets_the_printed_answer(hub: Hub, slash: str) -> None:
    answer = hub.anybody().post(f"/api/v1/mailings{slash}", MAILING)

    assert answer.status == 201
    assert with_printed_id(answer, MAILING_ANSWER) == json.loads(MAILING_ANSWER)


def test_statistics_have_the_printed_shape(shop: Shop) -> None:
    for number in range(3):
        add_client(shop, f"7000000000{number}", tag="VIP")
    mailing = add_mailing(shop, client_tag_filter="vip")
    add_mailing(shop, start_time=at(hours=1), end_time=at(hours=2))

    wait_until(lambda: counts(shop, mailing) == {"SENT": 3})

    sent = [{"status": "SENT", "count": 3}]
    for slash in ("/", ""):
        assert shop.get(f"/api/v1/mailings{slash}").json() == {"message_data": sent, "total_mailings": 2}
        assert shop.get(f"/api/v1/mailings/{mailing['id']}{slash}").json() == {"message_data": sent}


def test_a_shop_without_mailings_has_the_same_shape_of_statistics(shop: Shop) -> None:
    assert shop.get("/api/v1/mailings/").json() == {"message_data": [], "total_mailings": 0}


def test_a_mailing_that_has_started_cannot_be_edited(shop: Shop) -> None:
    mailing = add_mailing(shop)

    answer = shop.put(f"/api/v1/mailings/{mailing['id']}", MAILING)

    assert (answer.status, answer.json()["code"]) == (409, "already_started")


def test_a_mailing_can_be_edited_before_it_starts(shop: Shop) -> None:
    add_client(shop, operator_code="900")
    add_client(shop, "70000000002", operator_code="901")
    mailing = add_mailing(shop, start_time=at(hours=1), end_time=at(hours=2))
    new = {
        "start_time": at(minutes=-1),
        "end_time": "2028-11-20T10:00:00Z",
        "text": "other",
        "client_operator_code_filter": "901",
    }

    with_slash = shop.put(f"/api/v1/mailings/{mailing['id']}/", {**new, "start_time": at(hours=1)})
    without = shop.put(f"/api/v1/mailings/{mailing['id']}", new)

    assert (with_slash.status, without.status) == (200, 200)
    assert without.json() == {"id": mailing["id"], "client_tag_filter": None, **new}
    assert wait_until(lambda: counts(shop, mailing) == {"SENT": 1})
    assert [row["text"] for row in shop.get("/api/v1/messages").json()["data"]] == ["other"]


@pytest.mark.slow
def test_a_mailing_whose_time_comes_starts_by_itself(shop: Shop) -> None:
    add_client(shop)
    mailing = add_mailing(shop, start_time=at(seconds=1.5))

    before = counts(shop, mailing)
    wait_until(lambda: counts(shop, mailing).get("SENT"))

    row = shop.get("/api/v1/messages").json()["data"][0]
    assert before == {}
    assert row["status"] == "SENT"
    assert datetime.fromisoformat(row["last_try"]) >= datetime.fromisoformat(mailing["start_time"])


@pytest.mark.thorough
def test_nothing_is_sent_after_the_end(hub: Hub, shop: Shop, sender: RunningSender) -> None:
    """The sender refuses until the window is over; then it would take everything."""
    add_client(shop)
    settings = json.dumps({"base_url": sender.base_url, "token": "not-a-secret"})
    tenant = shop.headers["X-TWC-Tenant"]
    added = hub.run("-m", "clarion", "accounts", "add", tenant, "outside", "probe", "--settings", settings)
    assert added.returncode == 0, added.stderr
    sender.switch("refuses")
    end = datetime.now(UTC) + timedelta(seconds=3.5)
    mailing = add_mailing(shop, end_time=end.isoformat())

    wait_until(lambda: sender.arrivals())
    wait_until(lambda: datetime.now(UTC) > end)
    sender.switch("fine")
    wait_until(lambda: counts(shop, mailing) == {"TIMEOUT": 1})

    assert counts(shop, mailing) == {"TIMEOUT": 1}
    assert sender.counts()["accepted"] == 0
    assert [last for _, last in sender.arrivals().values() if last > end.timestamp()] == []
    assert sender.arrivals(), "it was tried while the window was open"


def test_a_window_that_is_over_sends_nothing_and_says_so(shop: Shop) -> None:
    add_client(shop)

    answer = shop.post("/api/v1/mailings/", {**json.loads(MAILING), "end_time": "2022-12-03"})

    mailing = {**answer.json(), "client_tag_filter": None}
    assert (answer.status, "TIMEOUT" in answer.headers["Clarion-Warnings"]) == (201, True)
    unfiltered = add_mailing(shop, start_time=mailing["start_time"], end_time=mailing["end_time"])
    assert wait_until(lambda: counts(shop, unfiltered) == {"TIMEOUT": 1})


def test_a_deleted_mailing_is_gone_and_its_messages_still_count(shop: Shop) -> None:
    add_client(shop)
    mailing = add_mailing(shop)
    wait_until(lambda: counts(shop, mailing) == {"SENT": 1})
    path = f"/api/v1/mailings/{mailing['id']}"

    deleted = shop.delete(f"{path}/")

    assert (deleted.status, deleted.body) == (204, b"")
    assert (shop.get(path).status, shop.get(f"{path}/").status) == (404, 404)
    assert shop.delete(path).status == 404
    assert shop.get("/api/v1/mailings/").json() == {
        "message_data": [{"status": "SENT", "count": 1}],
        "total_mailings": 0,
    }


def test_a_mailing_is_deleted_before_it_starts_and_never_does(shop: Shop) -> None:
    add_client(shop)
    mailing = add_mailing(shop, start_time=at(seconds=1))
    other = add_mailing(shop, start_time=at(seconds=1))

    assert shop.delete(f"/api/v1/mailings/{mailing['id']}").status == 204
    wait_until(lambda: counts(shop, other) == {"SENT": 1})

    assert [row["mailing"] for row in shop.get("/api/v1/messages").json()["data"]] == [other["id"]]
