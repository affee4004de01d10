"""Event subscriptions over the API: ids of either type, what is wrong and how it is named, who may touch which."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from clarion.models import Lane, Subscription, Tenant
from clarion.models.readers import ReaderPosition
from tests.api.calls import ask, made, refusal, wrong_members
from tests.conftest import Clock, client_of
from tests.subscribers import PATH, SQS, URL, body, tell, webhook

pytestmark = pytest.mark.django_db

HIDDEN = "********"


def test_a_type_is_shown_in_capitals_however_it_is_sent(api: Client) -> None:
    first = made(api, PATH, body(destination={**SQS, "type": "sqs"}, entityType="order"))

    assert (first["destination"]["type"], first["entityType"]) == ("SQS", "ORDER")


def test_what_is_usual_is_not_shown_and_what_is_not_is(api: Client) -> None:
    usual = made(api, PATH, body(filter=None, format="event", ordered=False))
    others = {"filter": {"path": "key.a", "equals": 1}, "format": "interaction", "ordered": True}
    unusual = made(api, PATH, body(id="2", **others))

    assert set(usual) == set(body())
    assert {name: unusual[name] for name in others} == others
    assert api.get(f"{PATH}/2").json() == {**unusual, "destination": webhook(secret=HIDDEN)}


@pytest.mark.parametrize("first", [1112, "1112"])
@pytest.mark.parametrize("second", [1112, "1112"])
def test_an_id_is_one_in_either_type_and_echoed_as_it_was_sent(
    api: Client, first: int | str, second: int | str
) -> None:
    assert made(api, PATH, body(id=first))["id"] == first
    again = ask(api, "POST", PATH, body(id=second))
    assert (again.status_code, again.json()["id"]) == (200, second)
    assert api.get(f"{PATH}/1112").json()["id"] == first
    assert ask(api, "PUT", PATH, body(id=second)).json()["id"] == second
    assert api.get(f"{PATH}/1112").json()["id"] == second


def test_an_id_may_have_slashes_but_none_of_our_words_behind_one(api: Client) -> None:
    made(api, PATH, body(id="shop/7/orders"))

    assert api.get(f"{PATH}/shop/7/orders").json()["id"] == "shop/7/orders"
    assert ask(api, "PUT", f"{PATH}/shop/7/orders/deactivate").status_code == 200
    for odd in ("a/deactivate", "a/redeliveries/1", "/a", "a/", "a//b", "a\nb", "", " "):
        assert wrong_members(ask(api, "POST", PATH, body(id=odd))) == {"id"}


def test_a_subscription_is_replaced_by_its_path_as_well(api: Client) -> None:
    made(api, PATH, body())
    unnamed = {name: value for name, value in body(entityType="PRICE").items() if name != "id"}

    assert ask(api, "PUT", f"{PATH}/orders", unnamed).json()["entityType"] == "PRICE"
    assert refusal(ask(api, "PUT", f"{PATH}/orders", body(id="other")), 400)["code"] == "id_differs"
    assert ask(api, "PUT", f"{PATH}/nobody", unnamed).status_code == 404


@pytest.mark.parametrize(
    ("destination", "member"),
    [
        (webhook(url="http://169.254.169.254/secret-path"), "destination.webhook.url"),
        (webhook(url="https://localhost/secret-path"), "destination.webhook.url"),
        (webhook(url="secret-path"), "destination.webhook.url"),
        (webhook(secret="secret-path"), "destination.webhook.secret"),
        (webhook(timeout=100), "destination.webhook.timeout"),
        (webhook(colour="secret-path"), "destination.webhook.colour"),
        ({"type": "WEBHOOK", "webhook": {}}, "destination.webhook.url"),
        ({"type": "WEBHOOK", "webhook": []}, "destination.webhook"),
        ({"type": "WEBHOOK", "sqs": {}, "webhook": {"url": URL}}, "destination.sqs"),
        ({"type": "SNS", "sqs": SQS["sqs"], "sns": SQS["sqs"]}, "destination.sqs"),
        ({"type": "SNS", "sqs": {**SQS["sqs"], "queueUrl": ""}}, "destination.sqs.queueUrl"),
        ({"type": 7}, "destination.type"),
        ({}, "destination.type"),
    ],
)
def test_what_is_wrong_with_a_destination_is_named_without_its_value(
    api: Client, destination: dict[str, Any], member: str
) -> None:
    answer = ask(api, "POST", PATH, body(destination=destination))

    assert wrong_members(answer) == {member}
    assert b"secret-path" not in answer.content
    assert not Lane.objects.filter(subscription__isnull=False).exists()


def test_everything_that_is_wrong_is_named_at_once(api: Client) -> None:
    wrong = body(
        active="yes", entityType="SHIP", filter={"nothing": 1}, format="xml", destination=webhook(url="x")
    )

    assert wrong_members(ask(api, "POST", PATH, wrong)) == {
        *("active", "destination.webhook.url", "entityType", "format"),
        *("filter", "filter.nothing", "filter.path"),
    }


def test_a_subscription_that_is_told_nothing_says_so(api: Client) -> None:
    nothing = {"subscribeCreate": False, "subscribeChange": False, "subscribeDelete": False}

    assert "nothing is forwarded" in ask(api, "POST", PATH, body(**nothing)).headers["Clarion-Warnings"]


def test_one_that_we_ended_says_why_until_it_is_put_again(api: Client, tenant: Tenant, clock: Clock) -> None:
    made(api, PATH, body())
    row = Subscription.objects.get()
    row.end(clock(), because="gone")
    row.save()
    Lane.objects.filter(pk=row.lane_id).update(closed_until=clock() + timedelta(hours=1), breaks=3)

    shown = api.get(f"{PATH}/orders")
    put = ask(api, "PUT", PATH, body(destination=webhook(secret=HIDDEN)))

    assert (shown.json()["active"], "410" in shown.headers["Clarion-Warnings"]) == (False, True)
    assert (put.json()["active"], "Clarion-Warnings" in put.headers) == (True, False)
    row.refresh_from_db()
    assert (row.disabled_because, row.lane.closed_until, row.lane.breaks) == ("", None, 0)


def test_a_subscription_hears_of_events_after_it_was_made_or_made_active_again(
    api: Client, tenant: Tenant, clock: Clock
) -> None:
    tell(tenant, clock(), "1", "2")
    made(api, PATH, body())
    began = Subscription.objects.get().from_seq
    tell(tenant, clock(), "3")
    ask(api, "PUT", PATH, body(entityType="ALL"))
    replaced = Subscription.objects.get().from_seq
    ask(api, "PUT", f"{PATH}/orders/deactivate")
    ask(api, "PUT", PATH, body())

    assert (began, replaced, Subscription.objects.get().from_seq) == (2, 2, 3)
    assert not ReaderPosition.objects.exists()


def test_what_a_test_key_makes_is_a_test_and_it_touches_nothing_else(api: Client, tenant: Tenant) -> None:
    tester = client_of(tenant, is_test=True)
    made(api, PATH, body())
    made(tester, PATH, body(id="mine"))

    assert dict(Subscription.objects.values_list("ref", "is_test")) == {"orders": False, "mine": True}
    for method, path, sent in (
        ("PUT", PATH, body(entityType="PRICE")),
        ("PUT", f"{PATH}/orders/deactivate", None),
        ("POST", f"{PATH}/orders/rotate-secret", {}),
        ("POST", f"{PATH}/orders/test", {}),
        ("POST", f"{PATH}/orders/replay", {"after_seq": 0}),
        ("POST", f"{PATH}/orders/recover", {"since": "2026-01-01"}),
    ):
        assert refusal(ask(tester, method, path, sent), 403)["code"] == "live_subscription"
    assert refusal(ask(tester, "POST", PATH, body()), 409)["code"] == "id_taken"
    assert ask(tester, "GET", f"{PATH}/orders").status_code == 200
    assert ask(tester, "PUT", f"{PATH}/mine/deactivate").status_code == 200


def test_the_list_has_pages(api: Client) -> None:
    for number in range(3):
        made(api, PATH, body(id=number))

    first = api.get(f"{PATH}?limit=2")
    second = api.get(first.headers["Link"].partition(">")[0][1:])

    assert [each["id"] for each in first.json() + second.json()] == [0, 1, 2]
    assert "Link" not in second.headers
    assert api.get(f"{PATH}?active=some").status_code == 400


def test_a_key_needs_the_scope(tenant: Tenant) -> None:
    reader = client_of(tenant, scopes=["events:read"])

    assert refusal(reader.get(PATH), 403)["code"] == "scope_missing"


def test_another_tenants_subscription_is_as_if_it_were_not_there(api: Client, other_tenant: Tenant) -> None:
    made(api, PATH, body())
    stranger = client_of(other_tenant)

    for method, path, sent in (
        ("GET", "orders", None),
        ("PUT", "orders", body()),
        ("PUT", "orders/deactivate", None),
        ("POST", "orders/rotate-secret", {}),
        ("POST", "orders/test", {}),
        ("POST", "orders/match", {"event_id": "1"}),
        ("POST", "orders/replay", {"after_seq": 0}),
        ("POST", "orders/recover", {"since": "2026-01-01"}),
        ("GET", "orders/deliveries", None),
        ("GET", "orders/failures", None),
        ("GET", "orders/health", None),
        ("GET", "orders/redeliveries", None),
    ):
        assert ask(stranger, method, f"{PATH}/{path}", sent).status_code == 404
    assert made(stranger, PATH, body())["id"] == "orders"


def test_the_url_of_a_webhook_is_shown_as_it_is(api: Client) -> None:
    assert made(api, PATH, body())["destination"]["webhook"]["url"] == URL
