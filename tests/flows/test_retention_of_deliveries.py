"""Deliveries are dropped when their time is over, out of the counts, and never made again."""

import pytest

from clarion.flows import audit, retention
from clarion.flows.outdated_deliveries import prune_deliveries
from clarion.flows.readers import find
from clarion.flows.replays import rewind
from clarion.flows.retention import keep, prune_attempts, prune_events
from clarion.models import Delivery, DeliveryAttempt, Event, State, Subscription, Tenant
from clarion.outbox.cycle import Outbox
from tests.conftest import Clock
from tests.outbox.conftest import forwarder, open_forwarder, receiver
from tests.outbox.receivers import Receiver, counted, forward, happen, order, standing, subscribe
from tests.outbox.rounds import settle
from tests.subscribers import end_as

__all__ = ["forwarder", "open_forwarder", "receiver"]


def test_deliveries_that_ended_long_ago_are_dropped_and_not_made_again(
    tenant: Tenant, clock: Clock, receiver: Receiver, forwarder: Outbox
) -> None:
    subscription = subscribe(tenant, receiver.url, clock())
    receiver.answer = lambda arrived: 200 if len(receiver.arrived) > 1 else 500
    happen(tenant, clock(), *(order(number) for number in range(5)))
    forward(clock)
    for _ in range(2):
        settle(forwarder, clock)
        clock.pass_by(days=1)
    keep(tenant, {"keep_deliveries_days": 30})
    clock.pass_by(days=30)
    happen(tenant, clock(), order(5))
    forward(clock)

    while prune_deliveries(clock()):
        pass
    rewind(find("forwarding"), tenant, 0, clock())
    forward(clock)

    assert standing(subscription) == [(State.WAITING, "")]
    assert counted(subscription) == {(State.WAITING, ""): 1}
    assert not DeliveryAttempt.objects.of(tenant).exists()
    assert audit.run(clock()) == []


def test_what_is_still_on_its_way_is_kept(tenant: Tenant, clock: Clock) -> None:
    subscribe(tenant, "https://receiver.example.com/", clock())
    happen(tenant, clock(), order())
    forward(clock)
    clock.pass_by(days=1_000)

    while prune_deliveries(clock()):
        pass
    assert Delivery.objects.of(tenant).count() == 1


def test_events_stay_as_long_as_deliveries_wait_for_them(
    tenant: Tenant, other_tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the logs of others are cut meanwhile."""
    monkeypatch.setattr(retention, "LOGS", 1)
    subscribe(tenant, "https://receiver.example.com/", clock())
    happen(tenant, clock(), *(order(number) for number in range(4)))
    happen(other_tenant, clock(), order())
    for each in (tenant, other_tenant):
        keep(each, {"keep_events_days": 1})
    forward(clock)
    end_as(tenant, State.DEAD, clock(), reason="tries_used_up", seq__in=[1, 2, 4])
    clock.pass_by(days=2)

    while prune_events(clock()):
        pass
    left = [list(Event.objects.of(each).values_list("seq", flat=True)) for each in (tenant, other_tenant)]
    end_as(tenant, State.EXPIRED, clock())
    while prune_events(clock()):
        pass

    assert left == [[3, 4], []]
    assert not Event.objects.exists()


def test_tries_of_deliveries_are_dropped_as_those_of_messages_are(
    tenant: Tenant, clock: Clock, receiver: Receiver, forwarder: Outbox
) -> None:
    subscribe(tenant, receiver.url, clock())
    receiver.answer = lambda arrived: 500
    happen(tenant, clock(), order())
    forward(clock)
    settle(forwarder, clock)
    clock.pass_by(days=91)

    assert prune_attempts(clock()) == 1
    assert Subscription.objects.of(tenant).get().is_active
