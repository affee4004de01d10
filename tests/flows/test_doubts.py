"""An operator settles what is in doubt: it arrived, or it goes again; everything else is left alone."""

import pytest

from clarion.flows import audit, doubts, mailings, traces
from clarion.models import GatewayAccount, Mailing, State, Tenant
from clarion.models.outgoing import Reason
from clarion.outbox import claims
from clarion.outbox.cycle import Outbox
from clarion.sandbox import RunningSender
from tests.conftest import Clock
from tests.factories import statuses
from tests.outbox.rounds import due_messages, enlist, in_flight, settle

pytestmark = pytest.mark.django_db


def in_doubt(tenant: Tenant, clock: Clock, count: int = 1) -> tuple[Mailing, list[int]]:
    """A mailing all of whose messages are in doubt, and their ids."""
    mailing, worker = due_messages(tenant, clock, count), enlist(clock)
    GatewayAccount.objects.filter(pk=mailing.account_id).update(doubt="hold")
    rows = in_flight(mailing, worker, clock)
    claims.retire(worker, now=clock())
    return mailing, [row.pk for row in rows]


def test_what_arrived_after_all_is_sent(tenant: Tenant, clock: Clock) -> None:
    mailing, ids = in_doubt(tenant, clock, 3)

    settled = doubts.settle(ids[:2], arrived=True, now=clock())

    rows = mailing.message_set.order_by("pk").values_list("state", "reason", "finished_at")
    assert settled == 2
    assert list(rows) == [
        (State.ACCEPTED, "", clock()),
        (State.ACCEPTED, "", clock()),
        (State.UNKNOWN, Reason.IN_DOUBT, None),
    ]
    assert audit.run(clock()) == []


def test_what_shall_go_again_goes_again(
    tenant: Tenant,
    probe: GatewayAccount,
    sender: RunningSender,
    clock: Clock,
    outbox: Outbox,
) -> None:
    mailing, ids = in_doubt(tenant, clock)

    settled = doubts.settle(ids, arrived=False, now=clock())
    before = mailing.message_set.get()
    settle(outbox, clock)

    assert settled == 1
    assert (before.state, before.reason, before.due_at) == (State.WAITING, Reason.RETRY, clock())
    assert (statuses(mailing), sender.accepted()) == ({State.ACCEPTED: 1}, {ids[0]: 1})
    assert audit.run(clock()) == []


@pytest.mark.parametrize(
    ("too_late", "state"), [(True, State.EXPIRED), (False, State.CANCELLED)], ids=["too late", "cancelled"]
)
def test_what_shall_go_again_still_passes_the_gate(
    tenant: Tenant,
    probe: GatewayAccount,
    sender: RunningSender,
    clock: Clock,
    outbox: Outbox,
    too_late: bool,
    state: str,
) -> None:
    mailing, ids = in_doubt(tenant, clock)
    if too_late:
        clock.now = mailing.ends_at
    else:
        mailings.cancel(mailing, now=clock())

    doubts.settle(ids, arrived=False, now=clock())
    settle(outbox, clock)

    assert statuses(mailing) == {state: 1}
    assert sender.counts()["requests"] == 0


@pytest.mark.parametrize("arrived", [True, False])
@pytest.mark.parametrize("state", sorted(set(State.values) - {State.UNKNOWN}))
def test_what_is_not_in_doubt_is_left_as_it_is(
    tenant: Tenant, clock: Clock, state: str, arrived: bool
) -> None:
    row = due_messages(tenant, clock).message_set.get()
    type(row).objects.filter(pk=row.pk).update(state=state)
    before = type(row).objects.values().get()

    settled = doubts.settle([row.pk, 2_147_483_647], arrived=arrived, now=clock())

    assert (settled, type(row).objects.values().get()) == (0, before)


def test_a_doubt_is_settled_once(tenant: Tenant, clock: Clock) -> None:
    _, ids = in_doubt(tenant, clock)

    assert [doubts.settle(ids, arrived=True, now=clock()) for _ in range(2)] == [1, 0]


@pytest.mark.parametrize(("arrived", "words"), [(True, "It arrived."), (False, "It shall go again.")])
def test_what_an_operator_decided_stands_in_the_trace(
    tenant: Tenant, clock: Clock, arrived: bool, words: str
) -> None:
    _, ids = in_doubt(tenant, clock)
    clock.pass_by(minutes=1)

    doubts.settle(ids, arrived=arrived, now=clock())

    decided = traces.Moment(clock(), f"try 1 by an operator: settled. {words}", 1)
    assert decided in traces.of_message(ids[0])
