"""Deliveries: what leaves, where to, and what the answers make of it and of its subscription."""

import json
from collections.abc import Callable

from clarion.flows import forwarding
from clarion.models import Delivery, DeliveryAttempt, Event, State, Subscription, Tenant
from clarion.models.outgoing import Reason
from clarion.outbox.breaker import LONGEST_BREAK
from clarion.outbox.cycle import Outbox
from tests.conftest import Clock
from tests.outbox.receivers import Receiver, counted, forward, happen, order, standing, subscribe
from tests.outbox.rounds import settle

ACCEPTED, WAITING = (State.ACCEPTED, ""), (State.WAITING, Reason.RETRY)


def test_an_event_arrives_as_it_was_told_with_what_it_is_beside_it(
    tenant: Tenant, clock: Clock, receiver: Receiver, forwarder: Outbox
) -> None:
    subscription = subscribe(tenant, f"{receiver.url}/orders?a=1", clock())
    (event,) = happen(tenant, clock(), order(7))

    forward(clock)
    settle(forwarder, clock)

    (arrived,) = receiver.arrived
    assert (arrived.path, arrived.body) == ("/orders?a=1", event.body)
    told = {name: value for name, value in arrived.headers.items() if name.startswith("clarion-")}
    assert told.pop("clarion-time")
    assert told == {
        "clarion-event-id": event.event_id,
        "clarion-entity": "ORDER",
        "clarion-operation": "UPDATE",
        "clarion-tenant": "shop",
    }
    assert standing(subscription) == [ACCEPTED]
    assert counted(subscription) == {ACCEPTED: 1}


def test_what_failed_goes_again_under_the_same_id(
    tenant: Tenant, clock: Clock, receiver: Receiver, forwarder: Outbox
) -> None:
    subscription = subscribe(tenant, receiver.url + "/", clock())
    happen(tenant, clock(), order())
    forward(clock)
    answers = iter([500, 404, 200])
    receiver.answer = lambda arrived: next(answers)

    settle(forwarder, clock)
    assert standing(subscription) == [WAITING]
    for _ in range(2):
        clock.pass_by(hours=1)
        settle(forwarder, clock)

    assert standing(subscription) == [ACCEPTED]
    assert len({arrived.headers["webhook-id"] for arrived in receiver.arrived}) == 1
    tries = DeliveryAttempt.objects.of(tenant).order_by("number").values_list("outcome", "code")
    assert list(tries) == [("in_doubt", "500"), ("not_sent", "404")]


def test_ten_tries_are_all_and_then_the_delivery_is_dead(
    tenant: Tenant, clock: Clock, receiver: Receiver, forwarder: Outbox
) -> None:
    subscription = subscribe(tenant, receiver.url, clock())
    happen(tenant, clock(), order())
    forward(clock)
    receiver.answer = lambda arrived: 400

    for _ in range(10):
        settle(forwarder, clock)
        due = Delivery.objects.of(tenant).get()
        # Behind its breaker it waits five minutes at most.
        clock.now = max(clock.now, due.due_at) + LONGEST_BREAK

    assert standing(subscription) == [(State.DEAD, Reason.TRIES_USED_UP)]
    assert len(receiver.arrived) == 10
    assert due.finished_at is not None
    assert due.finished_at <= due.created_at + forwarding.LONGEST


def test_a_receiver_that_is_gone_ends_its_subscription_and_the_tenant_is_told(
    tenant: Tenant, clock: Clock, receiver: Receiver, forwarder: Outbox
) -> None:
    subscription = subscribe(tenant, receiver.url, clock())
    watching = subscribe(tenant, receiver.url + "/told", clock(), entity="SUBSCRIPTION_DISABLED")
    receiver.answer = lambda arrived: 410 if arrived.path == "/" else 200
    happen(tenant, clock(), order(1))
    forward(clock)
    settle(forwarder, clock)
    subscription.refresh_from_db()
    assert (subscription.is_active, subscription.disabled_because) == (False, "gone")

    happen(tenant, clock(), order(2))
    forward(clock)
    while forwarding.sweep_due(clock()):
        forward(clock)
    settle(forwarder, clock)

    assert standing(subscription) == [(State.FAILED, Reason.REFUSED)]
    (told,) = receiver.bodies("/told")
    facts = {"subscription": subscription.ref, "reason": "gone"}
    assert json.loads(told)["event_payload"]["key_attributes"] == facts
    assert standing(watching) == [ACCEPTED]


def test_five_days_of_nothing_but_failure_end_a_subscription(
    tenant: Tenant, clock: Clock, receiver: Receiver, forwarder: Outbox
) -> None:
    subscription = subscribe(tenant, receiver.url, clock())
    receiver.answer = lambda arrived: 500

    for _ in range(6):
        happen(tenant, clock(), order())
        forward(clock)
        settle(forwarder, clock)
        subscription.refresh_from_db()
        assert subscription.is_active
        clock.pass_by(days=1)
    happen(tenant, clock(), order())
    forward(clock)
    settle(forwarder, clock)

    subscription.refresh_from_db()
    assert (subscription.is_active, subscription.disabled_because) == (False, "failing")
    while forwarding.sweep_due(clock()):
        pass
    assert {state for state, _ in standing(subscription)} <= {State.CANCELLED, State.DEAD}
    # What was cancelled is there, and can be asked for again.
    assert (State.CANCELLED, Reason.SUBSCRIPTION_ENDED) in standing(subscription)


def test_one_success_in_between_begins_the_five_days_anew(
    tenant: Tenant, clock: Clock, receiver: Receiver, forwarder: Outbox
) -> None:
    subscription = subscribe(tenant, receiver.url, clock())

    for day in range(8):
        receiver.answer = lambda arrived, works=day == 4: 200 if works else 500  # type: ignore[misc]
        happen(tenant, clock(), order())
        forward(clock)
        settle(forwarder, clock)
        clock.pass_by(days=1)

    subscription.refresh_from_db()
    assert subscription.is_active


def test_whoever_said_stop_gets_nothing_more(
    tenant: Tenant, clock: Clock, receiver: Receiver, forwarder: Outbox
) -> None:
    subscription = subscribe(tenant, receiver.url, clock())
    happen(tenant, clock(), order())
    forward(clock)
    subscription.end(clock())
    subscription.save()

    settle(forwarder, clock)

    assert (standing(subscription), receiver.arrived) == ([(State.CANCELLED, Reason.SUBSCRIPTION_ENDED)], [])


def test_an_event_that_the_log_no_longer_has_fails(
    tenant: Tenant, clock: Clock, receiver: Receiver, forwarder: Outbox
) -> None:
    subscription = subscribe(tenant, receiver.url, clock())
    happen(tenant, clock(), order())
    forward(clock)
    Event.objects.of(tenant).delete()

    settle(forwarder, clock)

    assert standing(subscription) == [(State.FAILED, Reason.EVENT_GONE)]


def test_settings_that_do_not_open_are_our_fault_and_use_up_no_try(
    tenant: Tenant, clock: Clock, receiver: Receiver, forwarder: Outbox
) -> None:
    subscription = subscribe(tenant, receiver.url, clock())
    Subscription.objects.of(tenant).update(sealed_settings="changed")
    happen(tenant, clock(), order())
    forward(clock)

    settle(forwarder, clock)

    assert standing(subscription) == [(State.WAITING, Reason.LANE_CLOSED)]
    assert Delivery.objects.of(tenant).get().counted_tries == 0


def test_one_whose_settings_do_not_open_stands_in_nobodys_way(
    tenant: Tenant, clock: Clock, receiver: Receiver, forwarder: Outbox
) -> None:
    broken, sound = (subscribe(tenant, receiver.url, clock()) for _ in range(2))
    Subscription.objects.of(tenant).filter(pk=broken.pk).update(sealed_settings="changed")
    for number in range(4):
        happen(tenant, clock(), order(number))
        forward(clock)
        forwarder.cycle(now=clock())

    settle(forwarder, clock)

    assert standing(sound) == [ACCEPTED] * 4
    assert {state for state, _ in standing(broken)} == {State.WAITING}


def test_addresses_that_strangers_must_not_reach_are_refused(
    tenant: Tenant, clock: Clock, receiver: Receiver, open_forwarder: Callable[..., Outbox]
) -> None:
    subscription = subscribe(tenant, receiver.url, clock())
    happen(tenant, clock(), order())
    forward(clock)

    settle(open_forwarder(egress_allow=[]), clock)

    assert (standing(subscription), receiver.arrived) == ([(State.FAILED, Reason.REFUSED)], [])
    assert DeliveryAttempt.objects.of(tenant).get().code == "egress"
