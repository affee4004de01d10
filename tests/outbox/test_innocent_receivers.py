"""Nobody suffers for another: not for a broken adapter, not for settings, not for what was said before a change."""

import threading
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clarion.flows import forwarding, subscriptions
from clarion.flows import test_deliveries as examples
from clarion.flows.destination_settings import Chosen
from clarion.lib.sending import NotSent
from clarion.models import State, Tenant
from clarion.outbox.cycle import Outbox
from clarion.outbox.deliveries import Deliveries
from tests.conftest import Clock
from tests.outbox.receivers import Arrived, Receiver, forward, happen, order, standing, subscribe
from tests.outbox.rounds import settle, until_landed

ACCEPTED = (State.ACCEPTED, "")
PATIENCE = 5  # seconds a receiver holds an answer back at most


class Silent:
    """An adapter that gives nothing."""

    async def send(self, parcel: Any) -> Any:
        return None


class Numbered:
    """One whose code is no text, and whose wait is no number."""

    async def send(self, parcel: Any) -> Any:
        raise NotSent("no", code=500, retry_after="soon")  # type: ignore[arg-type]


@pytest.mark.parametrize("adapter", [Silent, Numbered])
def test_an_adapter_that_breaks_its_promise_stops_nobody_else(
    tenant: Tenant,
    clock: Clock,
    receiver: Receiver,
    forwarder: Outbox,
    monkeypatch: pytest.MonkeyPatch,
    adapter: type[Any],
) -> None:
    broken, sound = subscribe(tenant, receiver.url, clock()), subscribe(tenant, receiver.url, clock())
    honest = Deliveries.exit
    monkeypatch.setattr(
        Deliveries,
        "exit",
        lambda self, account, http: adapter() if account.pk == broken.pk else honest(self, account, http),
    )
    happen(tenant, clock(), order())
    forward(clock)

    settle(forwarder, clock)

    assert standing(sound) == [ACCEPTED]
    assert [state for state, _ in standing(broken)] == [State.WAITING]


def test_settings_that_can_hardly_work_stand_in_nobodys_way(
    tenant: Tenant, clock: Clock, receiver: Receiver, forwarder: Outbox
) -> None:
    printed = {"accessKey": "string", "accessSecret": "string", "queueUrl": "string", "region": "string"}
    subscribe(tenant, "", clock(), entity="CUSTOMER", destination="sqs", settings=printed)
    sound = subscribe(tenant, receiver.url, clock())
    happen(tenant, clock(), {"event_type": "CUSTOMER", "entity_id": "c"})
    forward(clock)
    forwarder.cycle(now=clock())
    until_landed(forwarder, 1)
    happen(tenant, clock(), order())
    forward(clock)

    settle(forwarder, clock)

    assert standing(sound) == [ACCEPTED]


def test_a_filter_that_cannot_be_read_any_more_stops_only_its_own_subscription(
    tenant: Tenant, clock: Clock, receiver: Receiver, forwarder: Outbox
) -> None:
    broken = subscribe(tenant, receiver.url, clock(), filter={"path": "x", "matches": "no longer known"})
    sound = subscribe(tenant, receiver.url, clock())
    happen(tenant, clock(), order())
    forward(clock)

    settle(forwarder, clock)

    assert (standing(sound), standing(broken)) == ([ACCEPTED], [])


def test_an_example_reaches_whoever_ended_although_their_deliveries_are_cancelled(
    tenant: Tenant, clock: Clock, receiver: Receiver, forwarder: Outbox
) -> None:
    subscription = subscribe(tenant, receiver.url, clock())
    subscription.end(clock())
    subscription.save()
    examples.show(subscription, now=clock())
    while forwarding.sweep_due(clock()):
        pass

    settle(forwarder, clock)

    assert standing(subscription) == [ACCEPTED]


def test_what_the_old_address_says_does_not_end_what_was_put_meanwhile(
    tenant: Tenant, clock: Clock, receiver: Receiver, forwarder: Outbox
) -> None:
    subscription = subscribe(tenant, receiver.url + "/old", clock())
    happen(tenant, clock(), order())
    forward(clock)
    arrived, go = threading.Event(), threading.Event()

    def answer(_: Arrived) -> int:
        arrived.set()
        go.wait(PATIENCE)
        return 410

    receiver.answer = answer
    forwarder.cycle(now=clock())
    assert arrived.wait(PATIENCE)
    draft = subscriptions.Draft(
        ref=subscription.ref,
        ref_is_number=False,
        destination=Chosen("webhook", "webhook", {"url": receiver.url + "/new"}),
        entity_type="ORDER",
        creates=True,
        changes=True,
        deletes=True,
    )
    subscriptions.replace(subscription, draft, now=clock())
    go.set()
    settle(forwarder, clock)

    subscription.refresh_from_db()
    assert subscription.is_active


def test_a_success_is_remembered_although_it_left_beside_a_failure(
    tenant: Tenant, clock: Clock, receiver: Receiver, forwarder: Outbox
) -> None:
    subscription = subscribe(tenant, receiver.url, clock())
    happen(tenant, clock(), order(1, id="a"), order(2, id="b"))
    forward(clock)
    go = threading.Event()

    def answer(arrived: Arrived) -> int:
        if arrived.headers["clarion-event-id"] == "a":
            return 500
        go.wait(PATIENCE)
        return 200

    receiver.answer = answer
    forwarder.cycle(now=clock())
    until_landed(forwarder, 1)
    forwarder.cycle(now=clock())
    go.set()
    settle(forwarder, clock)

    subscription.refresh_from_db()
    assert subscription.failing_since is None


def test_a_round_asks_only_lanes_in_which_something_is_due(
    tenant: Tenant, clock: Clock, receiver: Receiver, forwarder: Outbox
) -> None:
    for _ in range(200):
        subscribe(tenant, receiver.url, clock())
    happen(tenant, clock(), order())
    forward(clock)

    with CaptureQueriesContext(connection) as asked:
        forwarder.cycle(now=clock())

    # One for each lane that has a slot, 64 of them, and what a round asks anyway.
    assert len(asked) < 64 + 40
    settle(forwarder, clock)
    assert len(receiver.arrived) == 200
