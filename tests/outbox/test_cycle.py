"""One round of the outbox: what it takes and what it leaves, and that a round that fails loses nothing."""

from collections.abc import Callable

import pytest

from clarion.flows import accounts, audit, mailings
from clarion.models import Attempt, Customer, GatewayAccount, Lane, Message, State, Tenant
from clarion.models.outgoing import RETRY, Reason
from clarion.outbox.cycle import Outbox
from clarion.sandbox import RunningSender, running_sender
from tests.conftest import Clock
from tests.factories import statuses
from tests.outbox.rounds import due_messages, settle, until_landed

pytestmark = pytest.mark.django_db


def point_to(account: GatewayAccount, sender: RunningSender, token: str) -> None:
    account.seal({"base_url": sender.base_url, "token": token})
    account.save()


def account_at(tenant: Tenant, sender: RunningSender, name: str, clock: Clock) -> GatewayAccount:
    settings = {"base_url": sender.base_url, "token": "not-a-secret"}
    return accounts.add(tenant, name=name, gateway="probe", settings=settings, now=clock())


def test_a_message_that_goes_right_at_once_has_its_facts_on_its_row(
    tenant: Tenant, probe: GatewayAccount, sender: RunningSender, clock: Clock, outbox: Outbox
) -> None:
    mailing = due_messages(tenant, clock, text="Hello {{ operator_code }}")

    settle(outbox, clock)

    row = mailing.message_set.get()
    assert (row.state, row.reason, row.tries, row.counted_tries) == (State.ACCEPTED, "", 1, 0)
    assert (row.text, row.provider_id, row.code) == ("Hello 000", str(row.pk), "0")
    assert (row.worker_id, row.sending_at, row.finished_at) == (outbox.worker_id, clock(), clock())
    assert (sender.accepted(), Attempt.objects.count()) == ({row.pk: 1}, 0)
    assert audit.run(clock()) == []


def test_never_more_is_taken_than_an_account_may_hold(
    tenant: Tenant,
    probe: GatewayAccount,
    sender: RunningSender,
    clock: Clock,
    open_outbox: Callable[..., Outbox],
) -> None:
    sender.switch("hangs")
    mailing, outbox = due_messages(tenant, clock, 10), open_outbox(slots=12)

    moved = [outbox.cycle(now=clock()) for _ in range(3)]

    assert moved == [3, 0, 0]
    assert statuses(mailing) == {State.SENDING: 3, State.WAITING: 7}
    assert outbox.dispatch.free == 9


def test_two_workers_never_take_the_same_row(
    tenant: Tenant,
    probe: GatewayAccount,
    sender: RunningSender,
    clock: Clock,
    open_outbox: Callable[..., Outbox],
) -> None:
    mailing = due_messages(tenant, clock, 30)
    for outbox in (first := open_outbox(slots=8), second := open_outbox(slots=8), first, second):
        outbox.cycle(now=clock())

    settle(first, clock)
    settle(second, clock)

    assert statuses(mailing) == {State.ACCEPTED: 30}
    assert set(sender.accepted().values()) == {1}


def test_whoever_was_not_tried_yet_goes_before_whoever_failed(
    tenant: Tenant,
    probe: GatewayAccount,
    sender: RunningSender,
    clock: Clock,
    open_outbox: Callable[..., Outbox],
) -> None:
    sender.switch("hangs")
    mailing = due_messages(tenant, clock, 4)
    failed = list(mailing.message_set.order_by("pk").values_list("pk", flat=True)[:2])
    Message.objects.filter(pk__in=failed).update(priority=RETRY, due_at=clock.now.replace(year=2020))

    # A new account may hold a quarter of the slots: three.
    open_outbox(slots=12).cycle(now=clock())

    waiting = set(mailing.message_set.filter(state=State.WAITING).values_list("pk", flat=True))
    assert len(waiting) == 1
    assert waiting < set(failed)


def test_each_lane_gets_its_share_of_the_slots(
    tenant: Tenant,
    probe: GatewayAccount,
    sender: RunningSender,
    clock: Clock,
    open_outbox: Callable[..., Outbox],
) -> None:
    sender.switch("hangs")
    account_at(tenant, sender, "second", clock)
    names = ("outside sender", "second")
    one, other = (due_messages(tenant, clock, 10, account=name) for name in names)

    open_outbox(slots=8).cycle(now=clock())

    assert statuses(one) == statuses(other) == {State.SENDING: 2, State.WAITING: 8}


def test_a_row_that_is_not_due_yet_is_left_alone(
    tenant: Tenant, probe: GatewayAccount, clock: Clock, outbox: Outbox
) -> None:
    mailing = due_messages(tenant, clock)
    clock.pass_by(seconds=-1)

    assert outbox.cycle(now=clock()) == 0
    assert statuses(mailing) == {State.WAITING: 1}


def test_while_it_stops_it_records_and_takes_nothing(
    tenant: Tenant,
    probe: GatewayAccount,
    sender: RunningSender,
    clock: Clock,
    open_outbox: Callable[..., Outbox],
) -> None:
    mailing, outbox = due_messages(tenant, clock, 3), open_outbox(slots=1)
    outbox.cycle(now=clock())
    until_landed(outbox, 1)

    moved = [outbox.cycle(now=clock(), take=False) for _ in range(2)]

    assert moved == [1, 0]
    assert statuses(mailing) == {State.ACCEPTED: 1, State.WAITING: 2}
    assert outbox.is_empty


def test_a_refused_account_closes_its_lane_until_it_is_asked_again(
    tenant: Tenant, probe: GatewayAccount, clock: Clock, outbox: Outbox
) -> None:
    with running_sender(token="right-token") as sender:
        point_to(probe, sender, token="wrong-token")
        mailing = due_messages(tenant, clock)
        settle(outbox, clock)
        closed = Lane.objects.get(pk=probe.lane_id)
        late_comer = due_messages(tenant, clock)

        clock.pass_by(minutes=4, seconds=59)
        settle(outbox, clock)

        row = mailing.message_set.get()
        assert closed.closed_because == "HTTP 401"
        assert (row.state, row.reason, row.tries, row.counted_tries) == (
            State.WAITING,
            Reason.LANE_CLOSED,
            1,
            0,
        )
        assert statuses(late_comer) == {State.WAITING: 1}

        point_to(probe, sender, token="right-token")
        clock.pass_by(seconds=2)
        settle(outbox, clock)

        assert statuses(mailing) == statuses(late_comer) == {State.ACCEPTED: 1}
        assert audit.run(clock()) == []


def test_a_closed_lane_holds_up_no_other(
    tenant: Tenant, probe: GatewayAccount, sender: RunningSender, clock: Clock, outbox: Outbox
) -> None:
    account_at(tenant, sender, "second", clock)
    Lane.objects.filter(pk=probe.lane_id).update(closed_until=clock.now.replace(year=2100))
    held_up = due_messages(tenant, clock, account="outside sender")
    free = due_messages(tenant, clock, account="second")

    settle(outbox, clock)

    assert statuses(held_up) == {State.WAITING: 1}
    assert statuses(free) == {State.ACCEPTED: 1}


def test_a_short_pause_does_not_open_what_was_closed_for_longer(
    tenant: Tenant, probe: GatewayAccount, sender: RunningSender, clock: Clock, outbox: Outbox
) -> None:
    sender.switch("throttles", retry_after=1)
    due_messages(tenant, clock)
    outbox.cycle(now=clock())
    until_landed(outbox, 1)
    longer = clock.now.replace(year=2100)
    Lane.objects.filter(pk=probe.lane_id).update(closed_until=longer, closed_because="refused")

    outbox.cycle(now=clock(), take=False)

    lane = Lane.objects.get(pk=probe.lane_id)
    assert (lane.closed_until, lane.closed_because) == (longer, "refused")


def test_a_retry_goes_out_under_the_same_id_with_the_same_text(
    tenant: Tenant, probe: GatewayAccount, sender: RunningSender, clock: Clock, outbox: Outbox
) -> None:
    sender.switch("refuses", requests=1)
    mailing = due_messages(tenant, clock, text="Hello {{ tag }}")
    settle(outbox, clock)
    first = mailing.message_set.get()
    Customer.objects.of(tenant).update(tag="somebody else")

    clock.pass_by(seconds=10)
    settle(outbox, clock)

    second = mailing.message_set.get()
    assert (first.state, first.reason, first.counted_tries) == (State.WAITING, Reason.RETRY, 1)
    assert (second.state, second.tries, second.text) == (State.ACCEPTED, 2, first.text)
    assert sender.accepted() == {first.pk: 1}
    assert list(Attempt.objects.values_list("number", "outcome")) == [(1, "not_sent")]


def test_an_account_whose_gateway_is_gone_closes_its_own_lane_only(
    tenant: Tenant, probe: GatewayAccount, sender: RunningSender, clock: Clock, outbox: Outbox
) -> None:
    account_at(tenant, sender, "second", clock)
    GatewayAccount.objects.filter(pk=probe.pk).update(gateway="uninstalled")
    orphan = due_messages(tenant, clock, account="outside sender")
    fine = due_messages(tenant, clock, account="second")

    settle(outbox, clock)

    assert orphan.message_set.get().reason == Reason.LANE_CLOSED
    assert statuses(fine) == {State.ACCEPTED: 1}


def test_a_pause_reaches_what_waits_and_resuming_sets_it_free(
    tenant: Tenant, probe: GatewayAccount, clock: Clock, outbox: Outbox
) -> None:
    mailing = due_messages(tenant, clock, 3)
    mailings.pause(mailing, now=clock())
    settle(outbox, clock)
    held = set(mailing.message_set.values_list("state", "reason", "due_at"))

    mailings.resume(mailing, now=clock())
    mailings.sweep_due(clock())
    settle(outbox, clock)

    assert held == {(State.WAITING, Reason.PAUSED, mailing.ends_at)}
    assert statuses(mailing) == {State.ACCEPTED: 3}
    assert audit.run(clock()) == []
