"""What became of a subscription's events, over the API: lists, one delivery, failures by kind, and one more try."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from clarion.flows import test_deliveries
from clarion.models import Delivery, DeliveryAttempt, Event, State, Subscription, Tenant
from clarion.models.outgoing import Reason
from tests.api.calls import ask, refusal
from tests.conftest import Clock, client_of
from tests.subscribers import PATH, end_as, forward, make_subscription, tell

pytestmark = pytest.mark.django_db

DELIVERIES = f"{PATH}/orders/deliveries"


@pytest.fixture
def orders(tenant: Tenant, clock: Clock) -> Subscription:
    """A subscription that was told of four orders: sent, dead, waiting, and one that came an hour later."""
    subscription = make_subscription(tenant, clock())
    tell(tenant, clock(), "1", "2", "3")
    forward(clock())
    end_as(tenant, State.ACCEPTED, clock(), code="204", seq=1)
    (dead,) = end_as(tenant, State.DEAD, clock(), reason=Reason.TRIES_USED_UP, code="500", seq=2)
    DeliveryAttempt.objects.create(
        tenant=tenant,
        delivery_id=dead,
        number=1,
        worker_id=3,
        started_at=clock(),
        ended_at=clock(),
        outcome="in_doubt",
        code="500",
        detail="HTTP 500",
        excerpt="out of paper",
    )
    clock.pass_by(hours=1)
    tell(tenant, clock(), "4")
    forward(clock())
    return subscription


def listed(api: Client, **query: Any) -> list[str]:
    return [each["event_id"] for each in api.get(DELIVERIES, query).json()["data"]]


def test_the_latest_deliveries_come_first(api: Client, orders: Subscription) -> None:
    assert listed(api) == ["4", "3", "2", "1"]


def test_deliveries_are_found_by_status_and_time(api: Client, orders: Subscription, clock: Clock) -> None:
    before = (clock() - timedelta(minutes=30)).isoformat()

    assert listed(api, status="sent") == ["1"]
    assert listed(api, status="PENDING") == ["4", "3"]
    assert listed(api, status="nothing") == []
    assert listed(api, since=before) == ["4"]
    assert listed(api, until=before) == ["3", "2", "1"]
    assert listed(api, until=before, status="FAILED") == ["2"]
    assert listed(api, since=(clock() + timedelta(hours=1)).isoformat()) == []


def test_the_list_goes_on_where_it_ended(api: Client, orders: Subscription) -> None:
    found, cursor = [], ""
    while cursor is not None:
        page = api.get(DELIVERIES, {"limit": 1, **({"cursor": cursor} if cursor else {})}).json()
        found += [each["event_id"] for each in page["data"]]
        cursor = page["next"]

    assert found == ["4", "3", "2", "1"]


def test_a_delivery_is_shown_with_its_tries(api: Client, orders: Subscription) -> None:
    row = Delivery.objects.get(seq=2)

    shown = api.get(f"/api/v1/deliveries/{row.pk}").json()

    assert (shown["status"], shown["reason"], shown["code"]) == ("FAILED", "tries_used_up", "500")
    assert (shown["subscription"], shown["event_id"], shown["seq"], shown["test"]) == (
        "orders",
        "2",
        2,
        False,
    )
    (tried,) = shown["attempts"]
    assert (tried["number"], tried["outcome"], tried["excerpt"]) == (1, "in_doubt", "out of paper")
    assert shown["message_id"] == f"dlv_{orders.uid.hex[:12]}_{row.pk}"


def test_failures_are_told_by_kind_with_what_was_said_last(api: Client, orders: Subscription) -> None:
    (group,) = api.get(f"{PATH}/orders/failures").json()["data"]

    assert (group["reason"], group["code"], group["count"]) == ("tries_used_up", "500", 1)
    assert (group["excerpt"], group["newest"]) == ("out of paper", Delivery.objects.get(seq=2).pk)
    assert group["first"] == group["last"]


def test_the_health_of_a_subscription_is_its_counts_and_its_lane(
    api: Client, orders: Subscription, clock: Clock
) -> None:
    orders.lane.closed_until, orders.lane.closed_because = clock() + timedelta(hours=1), "HTTP 500"
    orders.lane.save()

    shown = api.get(f"{PATH}/orders/health").json()

    assert {each["status"]: each["count"] for each in shown["statuses"]} == {
        **{"PENDING": 2, "SENT": 1, "FAILED": 1}
    }
    assert (shown["active"], shown["closed_because"]) == (True, "HTTP 500")


def test_what_did_not_arrive_goes_again(api: Client, orders: Subscription) -> None:
    row = Delivery.objects.get(seq=2)

    answer = ask(api, "POST", f"/api/v1/deliveries/{row.pk}/retry")

    assert (answer.status_code, answer.json()["status"], answer.json()["finished"]) == (202, "PENDING", None)
    row.refresh_from_db()
    assert (row.state, row.reason, row.counted_tries, row.finished_at) == (State.WAITING, "", 0, None)
    assert row.deadline_at > row.due_at + timedelta(days=6)
    counts = dict(orders.counts.exclude(count=0).values_list("state", "count"))
    assert counts == {State.WAITING: 3, State.ACCEPTED: 1}


def test_what_is_on_its_way_or_was_taken_does_not_go_again(api: Client, orders: Subscription) -> None:
    ids = dict(Delivery.objects.values_list("seq", "pk"))
    problems = [refusal(ask(api, "POST", f"/api/v1/deliveries/{ids[seq]}/retry"), 409) for seq in (3, 1)]

    assert [each["code"] for each in problems] == ["delivery_open", "already_sent"]
    assert "replay" in problems[1]["detail"]


def test_nothing_goes_again_for_whoever_ended_or_of_what_the_log_dropped(
    api: Client, orders: Subscription
) -> None:
    path = f"/api/v1/deliveries/{Delivery.objects.get(seq=2).pk}/retry"
    Event.objects.filter(seq=2).delete()
    gone = refusal(ask(api, "POST", path), 409)
    ask(api, "PUT", f"{PATH}/orders/deactivate")
    inactive = refusal(ask(api, "POST", path), 409)

    assert (gone["code"], inactive["code"]) == ("event_gone", "subscription_inactive")


def test_a_page_of_deliveries_is_read_at_once(api: Client, orders: Subscription) -> None:
    with CaptureQueriesContext(connection) as of_one:
        api.get(DELIVERIES, {"limit": 1})
    with CaptureQueriesContext(connection) as of_all:
        assert len(listed(api)) == 4

    assert len(of_all) == len(of_one)


def test_an_example_is_tried_once_also_for_whoever_asks_for_it_again(
    api: Client, orders: Subscription, tenant: Tenant, clock: Clock
) -> None:
    row = test_deliveries.show(orders, now=clock())
    end_as(tenant, State.DEAD, clock(), reason=Reason.TRIES_USED_UP, pk=row.pk)

    problem = refusal(ask(api, "POST", f"/api/v1/deliveries/{row.pk}/retry"), 409)

    assert (problem["code"], Delivery.objects.get(pk=row.pk).state) == ("tried_once", State.DEAD)


def test_another_tenants_delivery_is_as_if_it_were_not_there(
    orders: Subscription, other_tenant: Tenant, tenant: Tenant
) -> None:
    stranger = client_of(other_tenant)
    path = f"/api/v1/deliveries/{Delivery.objects.get(seq=2).pk}"

    assert stranger.get(path).status_code == 404
    assert ask(stranger, "POST", f"{path}/retry").status_code == 404
    tester = client_of(tenant, is_test=True)
    assert refusal(ask(tester, "POST", f"{path}/retry"), 403)["code"] == "live_subscription"


def test_an_example_that_nobody_waits_for_is_on_its_way(api: Client, orders: Subscription) -> None:
    """Under an Idempotency-Key nothing leaves before the answer is stored, so nobody waits."""
    first = ask(api, "POST", f"{PATH}/orders/test", {}, Idempotency_Key="k")
    again = ask(api, "POST", f"{PATH}/orders/test", {}, Idempotency_Key="k")

    assert (first.status_code, again.json()) == (202, first.json())
    row = Delivery.objects.get(seq=None)
    assert (row.pk, row.state) == (first.json()["delivery"], State.WAITING)
    shown = api.get(f"/api/v1/deliveries/{row.pk}").json()
    assert (shown["test"], shown["event_id"]) == (True, None)
