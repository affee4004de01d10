"""Receivers that hang cost those that do not as little as can be: no turn of the database, and few seconds alone."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clarion.models import Delivery, State, Tenant
from clarion.models.outgoing import SUSPECT, Reason
from clarion.outbox import claims, deliveries
from clarion.outbox.cycle import Outbox
from clarion.outbox.gate import LEAST_TIME
from tests.conftest import Clock
from tests.outbox.receivers import Receiver, forward, happen, order, standing, subscribe
from tests.outbox.rounds import settle

pytestmark = pytest.mark.database


def test_what_waits_for_a_receiver_that_holds_all_it_may_costs_one_look_in_each_round(
    tenant: Tenant, clock: Clock, receiver: Receiver, open_forwarder: Callable[..., Outbox]
) -> None:
    answers = threading.Event()
    receiver.answer = lambda arrived: 200 if answers.wait(60) else 500
    forwarder = open_forwarder(slots=4)
    subscription = subscribe(tenant, receiver.url, clock())
    happen(tenant, clock(), order(1), order(2), order(3))
    forward(clock)
    # A quarter of the slots is for who has not answered yet.
    assert forwarder.cycle(now=clock()) == 1

    with CaptureQueriesContext(connection) as asked:
        moved = forwarder.cycle(now=clock())
    answers.set()
    settle(forwarder, clock)

    assert (moved, len(asked)) == (0, 1)
    assert standing(subscription) == [(State.ACCEPTED, "")] * 3


@pytest.mark.slow
def test_a_suspect_whose_receiver_hangs_does_not_hold_up_the_others_for_as_long(
    tenant: Tenant,
    clock: Clock,
    receiver: Receiver,
    forwarder: Outbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As little as a send is begun for.
    monkeypatch.setattr(deliveries, "LONGEST_ALONE", LEAST_TIME + timedelta(seconds=0.1))
    hangs = threading.Event()
    hung = subscribe(tenant, f"{receiver.url}/hung", clock())
    happen(tenant, clock(), order(1))
    forward(clock)
    deaths = claims.POISON_DEATHS - 1
    Delivery.objects.of(tenant).update(priority=SUSPECT, worker_deaths=deaths)
    receiver.answer = lambda arrived: 200 if arrived.path == "/well" or hangs.wait(60) else 500
    assert forwarder.cycle(now=clock()) == 1
    other = subscribe(tenant, f"{receiver.url}/well", clock(), entity="PRODUCT")
    happen(tenant, clock(), {"event_type": "PRODUCT"})
    forward(clock)

    alone = forwarder.cycle(now=clock())
    settle(forwarder, clock)
    well = standing(other)
    hangs.set()

    assert alone == 0
    assert well == [(State.ACCEPTED, "")]
    assert standing(hung) == [(State.WAITING, Reason.RETRY)]
