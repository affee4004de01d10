"""Where a subscriber wants its events in order: of one entity one is under way, whatever becomes of it."""

from clarion.flows import forwarding
from clarion.models import Delivery, State, Tenant
from clarion.models.outgoing import Reason
from clarion.outbox.cycle import Outbox
from tests.conftest import Clock
from tests.outbox.receivers import Receiver, counted, forward, happen, order, standing, subscribe
from tests.outbox.rounds import settle

ACCEPTED, IN_LINE, RETRY = (
    (State.ACCEPTED, ""),
    (State.WAITING, Reason.IN_LINE),
    (State.WAITING, Reason.RETRY),
)


def numbers(receiver: Receiver) -> list[str]:
    return [each.headers["clarion-event-id"] for each in receiver.arrived]


def test_events_of_one_entity_arrive_one_after_the_other(
    tenant: Tenant, clock: Clock, receiver: Receiver, forwarder: Outbox
) -> None:
    subscription = subscribe(tenant, receiver.url, clock(), is_ordered=True)
    told = [order(number % 3, id=f"e{number:02}") for number in range(30)]
    happen(tenant, clock(), *told)

    forward(clock)
    settle(forwarder, clock)

    assert standing(subscription) == [ACCEPTED] * 30
    for entity in range(3):
        of_one = [each for each in numbers(receiver) if int(each[1:]) % 3 == entity]
        assert of_one == sorted(of_one)
    assert counted(subscription) == {ACCEPTED: 30}
    assert not Delivery.objects.of(tenant).exclude(order_key=None).exists()


def test_while_one_is_retried_those_behind_it_wait_and_other_entities_do_not(
    tenant: Tenant, clock: Clock, receiver: Receiver, forwarder: Outbox
) -> None:
    subscription = subscribe(tenant, receiver.url, clock(), is_ordered=True)
    happen(tenant, clock(), order(1, id="a"), order(1, id="b"), order(2, id="c"))
    receiver.answer = lambda arrived: 500 if arrived.headers["clarion-event-id"] == "a" else 200
    forward(clock)

    settle(forwarder, clock)
    assert standing(subscription) == [RETRY, IN_LINE, ACCEPTED]

    # One that comes later stands behind both.
    happen(tenant, clock(), order(1, id="d"))
    forward(clock)
    receiver.answer = lambda arrived: 200
    clock.pass_by(hours=1)
    settle(forwarder, clock)

    assert standing(subscription) == [ACCEPTED] * 4
    # Where in between the other entity's came is its own affair: it left beside the first.
    assert [each for each in numbers(receiver) if each != "c"] == ["a", "a", "b", "d"]


def test_one_that_can_never_arrive_does_not_stop_the_others(
    tenant: Tenant, clock: Clock, receiver: Receiver, forwarder: Outbox
) -> None:
    subscription = subscribe(tenant, receiver.url, clock(), is_ordered=True)
    happen(tenant, clock(), order(1, id="a"), order(1, id="b"))
    receiver.answer = lambda arrived: 500 if arrived.headers["clarion-event-id"] == "a" else 200
    forward(clock)

    for _ in range(11):
        settle(forwarder, clock)
        clock.now = max(clock.now, Delivery.objects.of(tenant).order_by("pk")[0].due_at)
    settle(forwarder, clock)

    assert standing(subscription) == [(State.DEAD, Reason.TRIES_USED_UP), ACCEPTED]


def test_a_subscription_that_ends_leaves_nobody_standing_in_line(
    tenant: Tenant, clock: Clock, receiver: Receiver
) -> None:
    subscription = subscribe(tenant, receiver.url, clock(), is_ordered=True)
    happen(tenant, clock(), *(order(1) for _ in range(5)))
    forward(clock)
    subscription.end(clock())
    subscription.save()

    while forwarding.sweep_due(clock()):
        pass

    assert standing(subscription) == [(State.CANCELLED, Reason.SUBSCRIPTION_ENDED)] * 5
    assert not Delivery.objects.of(tenant).exclude(order_key=None).exists()
