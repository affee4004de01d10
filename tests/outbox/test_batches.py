"""What goes out several at a time: one outcome for each, and a whole batch is never blamed for one of it."""

from collections.abc import Callable, Iterator, Sequence

import pytest

from clarion import destinations
from clarion.destinations import Destination, Parcel
from clarion.lib.sending import InDoubt, NotSent, Receipt, Refused, SendError, Throttled
from clarion.models import DeliveryAttempt, State, Subscription, Tenant
from clarion.models.outgoing import Reason
from clarion.outbox.cycle import Outbox
from tests.conftest import Clock
from tests.outbox.receivers import forward, happen, order, standing, subscribe
from tests.outbox.rounds import settle

ACCEPTED = (State.ACCEPTED, "")
Plan = Callable[[Sequence[str]], list[Receipt | SendError]]


class Crate(Destination):
    """Takes ten at a time, as the test has planned it; remembers in which batches."""

    kind = "crate"
    batch_size = 10
    batches: list[list[str]] = []
    plan: Plan

    async def send(self, parcel: Parcel) -> Receipt:
        (outcome,) = await self.send_batch([parcel])
        if isinstance(outcome, SendError):
            raise outcome
        return outcome

    async def send_batch(self, parcels: Sequence[Parcel]) -> list[Receipt | SendError]:
        entities = [parcel.group.removeprefix("order:order-") for parcel in parcels]
        Crate.batches.append(entities)
        return Crate.plan(entities)


@pytest.fixture
def crate() -> Iterator[type[Crate]]:
    registry = destinations._registry()
    registry["crate"] = Crate
    Crate.batches.clear()
    Crate.plan = staticmethod(lambda entities: [Receipt()] * len(entities))
    yield Crate
    del registry["crate"]


@pytest.fixture
def crated(tenant: Tenant, clock: Clock, crate: type[Crate]) -> Subscription:
    """A subscription with 25 events that are due."""
    subscription = subscribe(tenant, "", clock(), destination="crate", settings={})
    happen(tenant, clock(), *(order(number) for number in range(25)))
    forward(clock)
    return subscription


def test_they_go_ten_at_a_time(crated: Subscription, clock: Clock, forwarder: Outbox) -> None:
    settle(forwarder, clock)

    assert standing(crated) == [ACCEPTED] * 25
    assert sorted(map(len, Crate.batches), reverse=True)[0] == 10
    assert sum(map(len, Crate.batches)) == 25


def test_each_has_an_outcome_of_its_own(crated: Subscription, clock: Clock, forwarder: Outbox) -> None:
    def plan(entities: Sequence[str]) -> list[Receipt | SendError]:
        ends: dict[str, SendError] = {"3": Refused("no"), "4": NotSent("not now")}
        return [ends.get(entity, Receipt()) for entity in entities]

    Crate.plan = staticmethod(plan)

    settle(forwarder, clock)

    found = standing(crated)
    assert (found[3], found[4]) == ((State.FAILED, Reason.REFUSED), (State.WAITING, Reason.RETRY))
    assert found.count(ACCEPTED) == 23


def test_a_batch_that_is_refused_as_a_whole_is_halved_until_the_culprit_is_found(
    crated: Subscription, clock: Clock, forwarder: Outbox
) -> None:
    def plan(entities: Sequence[str]) -> list[Receipt | SendError]:
        if "13" in entities:
            raise Refused("something in it")
        return [Receipt()] * len(entities)

    Crate.plan = staticmethod(plan)

    settle(forwarder, clock)

    found = standing(crated)
    assert found[13] == (State.FAILED, Reason.REFUSED)
    assert found.count(ACCEPTED) == 24
    assert DeliveryAttempt.objects.of(crated.tenant).count() == 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [(InDoubt("lost"), Reason.RETRY), (Throttled("slower"), Reason.LANE_CLOSED)],
    ids=["in doubt", "throttled"],
)
def test_what_holds_for_the_call_holds_for_all_of_it(
    crated: Subscription, clock: Clock, forwarder: Outbox, error: SendError, reason: str
) -> None:
    def plan(entities: Sequence[str]) -> list[Receipt | SendError]:
        raise error

    Crate.plan = staticmethod(plan)

    settle(forwarder, clock)

    assert {each for each in standing(crated) if each[1]} <= {(State.WAITING, reason)}
    assert DeliveryAttempt.objects.of(crated.tenant).count() >= 10


def test_an_exit_that_answers_for_fewer_leaves_all_in_doubt(
    crated: Subscription, clock: Clock, forwarder: Outbox
) -> None:
    Crate.plan = staticmethod(
        lambda entities: [Receipt()] * (len(entities) - 1) if len(entities) > 1 else [Receipt()]
    )

    settle(forwarder, clock)

    codes = DeliveryAttempt.objects.of(crated.tenant).values_list("code", flat=True)
    assert set(codes) == {"adapter_failed"}
