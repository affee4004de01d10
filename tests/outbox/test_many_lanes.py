"""Thousands of subscriptions: the lanes in which something is due are found without a look at all of them."""

from datetime import timedelta

from clarion.models import Delivery, Lane, Tenant
from clarion.outbox import lanes
from tests.conftest import Clock
from tests.outbox.receivers import forward, happen, order, subscribe


def test_lanes_are_found_by_what_waits_in_them_in_their_order(tenant: Tenant, clock: Clock) -> None:
    subscriptions = [subscribe(tenant, "https://receiver.example.com/", clock()) for _ in range(6)]
    happen(tenant, clock(), order(), order())
    forward(clock)
    rows = Delivery.objects.of(tenant)
    # One has nothing left, one is not due yet, one is closed.
    rows.filter(subscription=subscriptions[0]).delete()
    rows.filter(subscription=subscriptions[2]).update(due_at=clock() + timedelta(hours=1))
    Lane.objects.filter(pk=subscriptions[4].lane_id).update(
        closed_at=clock(), closed_until=clock() + timedelta(minutes=1)
    )

    found = [lane.id for lane in lanes.with_work(Delivery, clock())]

    assert found == [subscriptions[n].lane_id for n in (1, 3, 5)]


def test_where_nothing_waits_no_lane_is_found(tenant: Tenant, clock: Clock) -> None:
    subscribe(tenant, "https://receiver.example.com/", clock())

    assert lanes.with_work(Delivery, clock()) == []
