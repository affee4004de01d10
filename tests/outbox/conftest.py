"""An outbox of a test's own: a worker in the table, a sending thread, and an end to both."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clarion.outbox.cycle import Outbox
from clarion.outbox.deliveries import Deliveries
from clarion.outbox.dispatch import Dispatch
from tests.conftest import Clock
from tests.outbox.receivers import Receiver, running_receiver
from tests.outbox.rounds import enlist


@pytest.fixture
def open_outbox(db: None, clock: Clock) -> Iterator[Callable[..., Outbox]]:
    """Return a function that opens one more worker's outbox, with so many slots."""
    opened: list[Outbox] = []

    def opening(slots: int = 64) -> Outbox:
        dispatch = Dispatch(slots=slots, clock=clock)
        outbox = Outbox(worker_id=enlist(clock).pk, dispatch=dispatch, rng=random.Random(1))
        opened.append(outbox)
        return outbox

    yield opening
    for outbox in opened:
        outbox.dispatch.close()


@pytest.fixture
def outbox(open_outbox: Callable[..., Outbox]) -> Outbox:
    return open_outbox()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as receiver:
        yield receiver


@pytest.fixture
def open_forwarder(db: None, clock: Clock, settings: Any) -> Iterator[Callable[..., Outbox]]:
    """Return a function that opens one more worker's outbox for deliveries; those on loopback may be reached."""
    opened: list[Outbox] = []

    def opening(slots: int = 64, egress_allow: tuple[str, ...] = ("127.0.0.1",)) -> Outbox:
        reachable = {"egress_allow": list(egress_allow), "egress_http": True}
        settings.CLARION = settings.CLARION.model_copy(update=reachable)
        dispatch = Dispatch(slots=slots, clock=clock, traffic=Deliveries())
        outbox = Outbox(worker_id=enlist(clock).pk, dispatch=dispatch, rng=random.Random(1))
        opened.append(outbox)
        return outbox

    yield opening
    for outbox in opened:
        outbox.dispatch.close()


@pytest.fixture
def forwarder(open_forwarder: Callable[..., Outbox]) -> Outbox:
    return open_forwarder()
