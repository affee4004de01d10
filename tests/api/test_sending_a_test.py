"""A mailing shown to one person: what is sent, when, to whom, and that no account of anything else says a word of it."""

from typing import Any

import pytest
from django.test import Client

from clarion import worker
from clarion.flows import audit, traces
from clarion.models import Customer, GatewayAccount, Mailing, Message, Tenant
from clarion.sandbox import RunningSender
from tests.api.calls import AHEAD, ask, made, open_window, refusal, wrong_members
from tests.conftest import Clock, client_of
from tests.factories import make_customer

pytestmark = pytest.mark.django_db

TEXT = "Hello {{ tag }}, {{ attributes.city | default: 'somewhere' }}"


@pytest.fixture
def ann(tenant: Tenant, probe: GatewayAccount) -> Customer:
    return make_customer(tenant, tag="Ann", phone="70000007001")


def mailing(api: Client, **fields: Any) -> dict[str, Any]:
    return made(api, "/api/v1/mailings", {**AHEAD, "text": TEXT, **fields})


def show(api: Client, shown: dict[str, Any], body: Any = None, **headers: str) -> Any:
    return ask(api, "POST", f"/api/v1/mailings/{shown['id']}/test", {} if body is None else body, **headers)


def shown(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 202, answer.content
    return dict(answer.json())


def work(clock: Clock) -> None:
    """Let the worker do what is due a few seconds later, by when every request of the test was made."""
    clock.pass_by(seconds=5)
    worker.tick(clock)


def statistics(api: Client, one: dict[str, Any]) -> list[Any]:
    """Everything that says how many messages or mailings there are."""
    own = f"/api/v1/mailings/{one['id']}"
    paths = ["/api/v1/mailings", "/api/v1/mailings/list", "/api/mailing", own, f"{own}/report"]
    paths += [f"{own}/messages", "/api/v1/messages", "/api/message", f"/api/v1/messages?mailing={one['id']}"]
    return [api.get(path).json() for path in paths]


def test_it_goes_at_once_although_the_mailing_is_far_ahead(
    api: Client, ann: Customer, sender: RunningSender, clock: Clock
) -> None:
    one = mailing(api, local_from="00:00", local_until="00:01", rate_per_second=0.1)

    message = shown(show(api, one))
    work(clock)

    assert (message["status"], message["address"], message["text"]) == (
        "PENDING",
        ann.phone,
        "Hello Ann, somewhere",
    )
    assert sender.counts()["accepted"] == 1
    found = api.get(f"/api/v1/messages/{message['id']}").json()
    assert (found["status"], found["test"], found["mailing"], found["client"]) == (
        "SENT",
        True,
        one["id"],
        ann.pk,
    )


def test_the_client_and_the_phone_can_be_named(api: Client, tenant: Tenant, ann: Customer) -> None:
    bob = make_customer(tenant, tag="Bob")
    Customer.objects.filter(pk=bob.pk).update(attributes={"city": "Kazan"})
    one = mailing(api, client_tag_filter="Ann")

    named = shown(show(api, one, {"client": str(bob.pk), "phone": "70000009999"}))
    first = shown(show(api, one, {"phone": "70000009998"}))

    assert (named["client"], named["address"], named["text"]) == (bob.pk, "70000009999", "Hello Bob, Kazan")
    assert (first["client"], first["address"], first["text"]) == (
        ann.pk,
        "70000009998",
        "Hello Ann, somewhere",
    )


def test_without_a_body_it_goes_to_the_first_of_the_audience(api: Client, ann: Customer) -> None:
    one = mailing(api)

    message = shown(ask(api, "POST", f"/api/v1/mailings/{one['id']}/test"))

    assert (message["client"], message["address"]) == (ann.pk, ann.phone)


def test_nothing_counts_it(
    api: Client, tenant: Tenant, ann: Customer, sender: RunningSender, clock: Clock
) -> None:
    one = mailing(api, **open_window())
    work(clock)
    before = statistics(api, one)

    for _ in range(3):
        shown(show(api, one))
    waiting = statistics(api, one)
    work(clock)

    assert sender.counts()["accepted"] == 4
    assert (waiting, statistics(api, one)) == (before, before)
    assert before[0] == {"message_data": [{"status": "SENT", "count": 1}], "total_mailings": 1}


def test_what_it_is_made_of_is_found_nowhere(api: Client, ann: Customer) -> None:
    one = mailing(api)
    message = shown(show(api, one))
    hidden = Mailing.objects.get(test_of=one["id"]).pk

    for path in (f"/api/v1/mailings/{hidden}", f"/api/mailing/{hidden}", f"/api/message/{message['id']}"):
        refusal(api.get(path), 404)
    for method, path in (("DELETE", ""), ("PATCH", ""), ("POST", "/cancel"), ("POST", "/test")):
        refusal(ask(api, method, f"/api/v1/mailings/{hidden}{path}", {}), 404)


@pytest.mark.parametrize("verb", ["pause", "cancel"])
def test_it_goes_whatever_state_the_mailing_is_in(
    api: Client, ann: Customer, sender: RunningSender, clock: Clock, verb: str
) -> None:
    one = mailing(api)
    ask(api, "POST", f"/api/v1/mailings/{one['id']}/{verb}")

    shown(show(api, one))
    work(clock)

    assert sender.counts()["accepted"] == 1


def test_deleting_the_mailing_leaves_it_alone(
    api: Client, ann: Customer, sender: RunningSender, clock: Clock
) -> None:
    one = mailing(api)
    message = shown(show(api, one))

    api.delete(f"/api/v1/mailings/{one['id']}")
    work(clock)

    assert api.get(f"/api/v1/messages/{message['id']}").json()["status"] == "SENT"
    refusal(show(api, one), 404)


def test_the_accounts_add_up_and_the_trace_says_what_it_was(
    api: Client, tenant: Tenant, ann: Customer, clock: Clock
) -> None:
    one = mailing(api)
    message = shown(show(api, one))
    waiting = audit.run(clock())
    work(clock)
    worker.run_flows(clock())

    assert (waiting, audit.run(clock())) == ([], [])
    assert Mailing.objects.get(test_of=one["id"]).finished_at is not None
    assert f"(test of mailing {one['id']})" in traces.of_message(message["id"])[0].what


def test_what_cannot_arrive_is_given_up_after_ten_minutes(
    api: Client, ann: Customer, sender: RunningSender, clock: Clock
) -> None:
    message = shown(show(api, mailing(api)))
    clock.pass_by(minutes=10)

    work(clock)

    found = api.get(f"/api/v1/messages/{message['id']}").json()
    assert (found["status"], found["reason"]) == ("TIMEOUT", "window_over")
    assert audit.run(clock()) == []


def test_a_repeated_request_sends_once(
    api: Client, ann: Customer, sender: RunningSender, clock: Clock
) -> None:
    one = mailing(api)

    first = show(api, one, Idempotency_Key="once")
    again = show(api, one, Idempotency_Key="once")
    work(clock)

    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json() == shown(first)
    assert sender.counts()["accepted"] == 1


def test_a_text_that_cannot_be_made_for_this_client_is_refused_with_its_place(
    api: Client, ann: Customer
) -> None:
    one = mailing(api, text="Hello\nfrom {{ attributes.city }}")

    problem = refusal(show(api, one, {"client": ann.pk}), 400)

    assert problem["code"] == "cannot_render"
    assert problem["detail"] == (
        f"The text cannot be made for client {ann.pk}: line 2, column 9: attributes.city is undefined"
    )
    assert Message.objects.count() == 0


def test_a_mailing_for_nobody_needs_a_client_named(api: Client, ann: Customer) -> None:
    one = mailing(api, client_tag_filter="nobody's")

    assert refusal(show(api, one), 409)["code"] == "empty_audience"
    shown(show(api, one, {"client": ann.pk}))


@pytest.mark.parametrize(
    ("body", "member"),
    [
        ({"client": 10**9}, "client"),
        ({"client": "ann"}, "client"),
        ({"phone": "123"}, "phone"),
        ({"phone": None}, "phone"),
        ({"phones": []}, "phones"),
    ],
)
def test_a_wrong_member_is_named(api: Client, ann: Customer, body: dict[str, Any], member: str) -> None:
    assert wrong_members(show(api, mailing(api), body)) == {member}


def test_another_tenants_client_and_mailing_are_unknown(
    api: Client, ann: Customer, other_tenant: Tenant
) -> None:
    theirs = client_of(other_tenant)
    stranger = make_customer(other_tenant)

    assert wrong_members(show(api, mailing(api), {"client": stranger.pk})) == {"client"}
    refusal(show(theirs, mailing(api)), 404)


def test_a_test_key_shows_only_what_a_test_key_made(
    api: Client, tenant: Tenant, ann: Customer, sender: RunningSender, clock: Clock
) -> None:
    tester = client_of(tenant, is_test=True)

    assert refusal(show(tester, mailing(api)), 403)["code"] == "live_mailing"
    message = shown(show(tester, mailing(tester)))
    work(clock)

    assert tester.get(f"/api/v1/messages/{message['id']}").json()["status"] == "SENT"
    assert sender.counts()["accepted"] == 0
