"""Events that are read: the log by number, one by its id, those of a customer, and a customer's timeline."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from clarion import worker
from clarion.models import Event, EventHead, Tenant
from tests.api.calls import ask, made, open_window, refusal, wrong_members
from tests.conftest import Clock, client_of
from tests.factories import make_customer

pytestmark = pytest.mark.django_db

OPEN = {"customer_id": 7, "event_type": "email_open", "timestamp": "2023-10-24T11:30:00", "email_id": 100}
PRODUCT = {"event_type": "PRODUCT", "entity_id": "p-1", "entity_name": "Shoe", "event_source": "SYSTEM"}


def log(api: Client, query: str = "after_seq=0") -> list[Any]:
    answer = api.get(f"/api/v1/events?{query}")
    assert answer.status_code == 200, answer.content
    return list(answer.json()["data"])


def product(api: Client, **members: Any) -> dict[str, Any]:
    return made(api, "/api/v1/events", {**PRODUCT, **members})


def opened(api: Client, **members: Any) -> dict[str, Any]:
    return made(api, "/receive_event", {**OPEN, **members})


def test_the_log_is_read_by_number_page_by_page(api: Client) -> None:
    events = [product(api, n=n) for n in range(5)]

    seen: list[Any] = []
    after = 0
    while page := log(api, f"after_seq={after}&limit=2"):
        seen += page
        after = page[-1]["seq"]

    assert [entry["seq"] for entry in seen] == [1, 2, 3, 4, 5]
    assert [entry["event"] for entry in seen] == events


def test_without_a_number_the_latest_come_first_and_a_cursor_goes_on(api: Client) -> None:
    for n in range(3):
        product(api, n=n)

    first = api.get("/api/v1/events?limit=2").json()
    second = api.get(f"/api/v1/events?limit=2&cursor={first['next']}").json()

    assert [entry["seq"] for entry in first["data"] + second["data"]] == [3, 2, 1]
    assert second["next"] is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("event_type=product", [1]),
        ("event_type=EMAIL_OPEN", [3]),
        ("entity_name=SHOE", [1]),
        ("entity_id=p-2", [2]),
        ("event_source=application", [2]),
        ("operation=update", [2]),
        ("customer_id=7", [3]),
        ("entity_id=p-2&key.color=RED", [2]),
        ("entity_id=p-2&key.size=41", [2]),
        ("entity_id=p-2&key.color=blue", []),
        ("since=2000-01-01", [1, 2, 3]),
        ("until=2000-01-01", []),
        ("flawed=true", [2]),
        ("event_type=nothing", []),
    ],
)
def test_the_log_is_filtered(api: Client, query: str, found: list[int]) -> None:
    product(api)
    keys = {"color": "red", "size": 41, "odd": None}
    payload = {"operation": "UPDATE", "key_attributes": keys, "base64_encoded_payload_json": "string"}
    product(
        api,
        event_type="INVENTORY_ITEM",
        entity_id="p-2",
        entity_name="other",
        event_source="APPLICATION",
        event_payload=payload,
    )
    opened(api)

    assert [entry["seq"] for entry in log(api, f"after_seq=0&{query}")] == found


@pytest.mark.parametrize(
    ("query", "member"),
    [
        ("key.color=red", "key.color"),
        ("key.color=red&since=2026-01-01&until=2026-03-01", "key.color"),
        ("entity_id=1&key.=red", "key."),
        ("after_seq=-1", "after_seq"),
        ("limit=101", "limit"),
        ("since=yesterday", "since"),
        ("cursor=x", "cursor"),
        ("entity_id=%00", "entity_id"),
    ],
)
def test_a_filter_that_cannot_be_asked_is_named(api: Client, query: str, member: str) -> None:
    assert wrong_members(api.get(f"/api/v1/events?{query}")) == {member}


def test_a_month_beside_a_key_is_short_enough(api: Client) -> None:
    query = "key.color=red&since=2026-01-01&until=2026-02-01"

    assert api.get(f"/api/v1/events?{query}").json() == {"data": [], "next": None}


def test_what_was_pruned_is_gone_and_the_answer_says_where_the_log_begins(
    api: Client, tenant: Tenant
) -> None:
    for n in range(4):
        product(api, n=n)
    Event.objects.of(tenant).filter(seq__lt=3).delete()

    answer = api.get("/api/v1/events?after_seq=1")

    assert refusal(answer, 410)["code"] == "log_pruned"
    assert answer.headers["Clarion-First-Seq"] == "3"
    assert [entry["seq"] for entry in log(api, "after_seq=2")] == [3, 4]
    Event.objects.of(tenant).delete()
    assert api.get("/api/v1/events?after_seq=2").headers["Clarion-First-Seq"] == "5"
    assert log(api, "after_seq=4") == []


def test_one_event_has_its_number_in_a_header_and_any_id(api: Client) -> None:
    event = product(api, id="a/b c?ü")

    answer = api.get("/api/v1/events/a/b%20c%3F%C3%BC")

    assert (answer.json(), answer.headers["Clarion-Seq"]) == (event, "1")
    assert "Clarion-Received" in answer.headers


@pytest.mark.parametrize("event_id", ["nobody", "%00", "x" * 256, "1"])
def test_an_event_that_is_none_is_not_found(api: Client, event_id: str) -> None:
    product(api)

    assert refusal(api.get(f"/api/v1/events/{event_id}"), 404)["code"] == "not_found"


def test_a_customers_events_come_by_their_own_time_the_latest_first(api: Client) -> None:
    times = ["2023-10-24T11:30:00", "2023-10-26T11:30:00", "25-10-2023T15:33:00", "2023-10-24T11:30:00"]
    events = [
        opened(api, timestamp=time, customer_id=customer)
        for time, customer in zip(times, (7, "7", 7, 7), strict=True)
    ]
    opened(api, customer_id=8)

    assert api.get("/get_events/7").json() == [events[place] for place in (1, 2, 3, 0)]


def test_a_customers_events_are_filtered_and_paged(api: Client) -> None:
    for day in range(10, 15):
        opened(api, timestamp=f"2023-10-{day}", id=day)
    opened(api, timestamp="2023-10-12", event_type="email_bounce", id=99)

    def ids(query: str) -> list[int]:
        return [event["id"] for event in api.get(f"/get_events/7?{query}").json()]

    assert ids("event_type=EMAIL_BOUNCE") == [99]
    assert ids("since=2023-10-12&until=2023-10-14") == [13, 99, 12]
    first = api.get("/get_events/7?limit=4")
    following = first.headers["Link"].partition(">")[0].removeprefix("<")
    assert [event["id"] for event in first.json() + api.get(following).json()] == [14, 13, 99, 12, 11, 10]


@pytest.mark.parametrize("cursor", ["x", "1.2.3", "9" * 40, f"{'9' * 18}.1.{'9' * 19}", "1.1.1.1"])
def test_a_cursor_that_is_none_is_refused(api: Client, cursor: str) -> None:
    make_customer(Tenant.objects.get(), external_id="7")

    for path in ("/get_events/7", "/api/v1/customers/7/timeline"):
        assert wrong_members(api.get(path, {"cursor": cursor})) == {"cursor"}


def test_a_customer_is_meant_by_the_shops_word_first_and_by_our_id_second(
    api: Client, tenant: Tenant
) -> None:
    ours = make_customer(tenant, external_id="c-1")
    theirs = make_customer(tenant, external_id=str(ours.pk + 1000))
    by_word, by_id = opened(api, customer_id="c-1"), opened(api, customer_id=ours.pk)
    other = opened(api, customer_id=ours.pk + 1000)

    assert api.get("/get_events/c-1").json() == [by_id, by_word]
    assert api.get(f"/get_events/{ours.pk}").json() == [by_id, by_word]
    assert api.get(f"/get_events/{theirs.pk}").json() == [other]


def test_a_timeline_has_events_and_messages_in_one_list(api: Client, tenant: Tenant, clock: Clock) -> None:
    customer = make_customer(tenant, external_id="c-1")
    old = opened(api, customer_id="c-1")
    made(api, "/api/v1/mailings", {**open_window(), "text": "hello"})
    worker.tick(clock)
    new = opened(api, customer_id=customer.pk, timestamp="2100-01-01")
    path = "/api/v1/customers/c-1/timeline"

    lines = api.get(path).json()["data"]

    assert [line.get("event") for line in lines] == [new, None, old]
    assert lines[1]["message"] == api.get("/api/v1/messages").json()["data"][0]
    assert lines[2]["at"] == "2023-10-24T11:30:00Z"
    paged, cursor = [], ""
    while cursor is not None:
        page = api.get(path, {"limit": 1, **({"cursor": cursor} if cursor else {})}).json()
        paged, cursor = paged + page["data"], page["next"]
    assert paged == lines
    assert api.get(f"/api/v1/customers/{customer.pk}/timeline").json()["data"] == lines


def test_a_timeline_of_nobody_is_not_found(api: Client, tenant: Tenant) -> None:
    refusal(api.get("/api/v1/customers/c-1/timeline"), 404)
    opened(api, customer_id="c-1")
    assert len(api.get("/api/v1/customers/c-1/timeline").json()["data"]) == 1


@pytest.mark.parametrize("ref", ["a/b", "a//timeline", "/a/consents/b", "a/timeline/consents"])
def test_a_customer_whose_reference_holds_slashes_is_found(api: Client, ref: str) -> None:
    told = [opened(api, customer_id=ref, timestamp=f"2023-10-{day}") for day in (12, 11)]
    opened(api, customer_id="a")

    for written in (ref, quote(ref, safe="")):
        assert api.get(f"/get_events/{written}").json() == told
        lines = api.get(f"/api/v1/customers/{written}/timeline").json()["data"]
        assert [line["event"] for line in lines] == told
    first = api.get(f"/get_events/{quote(ref, safe='')}?limit=1")
    following = first.headers["Link"].partition(">")[0].removeprefix("<")
    assert first.json() + api.get(following).json() == told
    assert api.get("/get_events/a%2Fc").json() == []
    refusal(api.get("/api/v1/customers/a%2Fc/timeline"), 404)


def test_events_belong_to_one_tenant(api: Client, other_tenant: Tenant) -> None:
    rival = client_of(other_tenant)
    theirs = opened(rival, id="e-1")

    assert api.get("/get_events/7").json() == log(api) == []
    refusal(api.get("/api/v1/events/e-1"), 404)
    refusal(api.get("/api/v1/customers/7/timeline"), 404)
    mine = opened(api, id="e-1", email_id=200)
    assert mine != theirs
    assert [entry["seq"] for entry in log(api)] == [entry["seq"] for entry in log(rival)] == [1]
    assert rival.get("/get_events/7").json() == [theirs]


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/api/v1/events", "events:read"),
        ("GET", "/get_events/1", "events:read"),
        ("GET", "/api/v1/events/1", "events:read"),
        ("GET", "/api/v1/customers/1/timeline", "customers"),
        ("POST", "/api/v1/events", "events:write"),
        ("POST", "/receive_event", "events:write"),
    ],
)
def test_each_call_asks_for_its_scope(
    api: Client, tenant: Tenant, method: str, path: str, scope: str
) -> None:
    others = [each for each in ("events:read", "events:write", "customers", "admin") if each != scope]

    assert (
        refusal(ask(client_of(tenant, scopes=others), method, path, PRODUCT), 403)["code"] == "scope_missing"
    )
    assert ask(client_of(tenant, scopes=[scope]), method, path, PRODUCT).status_code != 403


def test_what_a_test_key_tells_is_marked(tenant: Tenant) -> None:
    product(client_of(tenant, is_test=True))

    assert Event.objects.of(tenant).get().is_test
    assert EventHead.objects.of(tenant).get().seq == 1
    assert Event.objects.of(tenant).get().received_at <= datetime.now(UTC)
