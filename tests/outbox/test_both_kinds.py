"""Messages and deliveries in the hands of one worker: each kind has its slots, and both die together."""

from collections.abc import Callable

from clarion.models import Delivery, Message, State, Tenant
from clarion.models.outgoing import SUSPECT, Reason
from clarion.outbox import claims
from clarion.outbox.cycle import Outbox
from tests.conftest import Clock
from tests.outbox.receivers import Receiver, counted, forward, happen, order, standing, subscribe
from tests.outbox.rounds import due_messages, settle


def test_what_a_dead_worker_held_of_both_kinds_goes_again(
    tenant: Tenant,
    clock: Clock,
    receiver: Receiver,
    outbox: Outbox,
    open_forwarder: Callable[..., Outbox],
) -> None:
    subscription = subscribe(tenant, receiver.url, clock(), is_ordered=True)
    happen(tenant, clock(), order(1), order(1), order(2))
    forward(clock)
    dying, heir = open_forwarder(), open_forwarder()
    # Written as sending, and then nothing more is heard of it.
    dying.dispatch.start = lambda departures: None  # type: ignore[method-assign]
    dying.cycle(now=clock())

    claims.rescue(claims.Worker.objects.filter(pk=dying.worker_id), now=clock())
    settle(heir, clock)

    assert standing(subscription) == [(State.ACCEPTED, "")] * 3
    assert counted(subscription) == {(State.ACCEPTED, ""): 3}
    assert len(receiver.arrived) == 3


def test_a_suspect_of_one_kind_goes_when_the_other_kind_has_nothing_under_way(
    tenant: Tenant, clock: Clock, receiver: Receiver, outbox: Outbox, forwarder: Outbox
) -> None:
    outbox.beside, forwarder.beside = [forwarder], [outbox]
    subscribe(tenant, receiver.url, clock())
    happen(tenant, clock(), order())
    forward(clock)
    Delivery.objects.of(tenant).update(priority=SUSPECT)
    due_messages(tenant, clock)
    outbox.cycle(now=clock())

    beside = forwarder.cycle(now=clock())
    settle(outbox, clock)
    alone = forwarder.cycle(now=clock())

    due_messages(tenant, clock)
    while_alone = outbox.cycle(now=clock())
    settle(forwarder, clock)
    settle(outbox, clock)

    assert (beside, alone, while_alone) == (0, 1, 0)
    assert {row.state for row in Delivery.objects.of(tenant)} == {State.ACCEPTED}
    assert {row.state for row in Message.objects.of(tenant)} == {State.ACCEPTED}


def test_a_delivery_that_kills_three_workers_is_poison_and_lets_the_next_in_line_go(
    tenant: Tenant, clock: Clock, receiver: Receiver, open_forwarder: Callable[..., Outbox]
) -> None:
    subscription = subscribe(tenant, receiver.url, clock(), is_ordered=True)
    happen(tenant, clock(), order(1), order(1))
    forward(clock)
    for _ in range(claims.POISON_DEATHS):
        dying = open_forwarder()
        dying.dispatch.start = lambda departures: None  # type: ignore[method-assign]
        dying.cycle(now=clock())
        claims.rescue(claims.Worker.objects.filter(pk=dying.worker_id), now=clock())

    settle(open_forwarder(), clock)

    assert standing(subscription) == [(State.DEAD, Reason.POISON), (State.ACCEPTED, "")]
