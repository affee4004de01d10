"""Rates: an account's and a mailing's own, kept by all workers together; what they leave no time for is told at once."""

from collections.abc import Callable
from datetime import UTC, timedelta

import pytest

from clarion.flows import accounts, audit, mailings
from clarion.models import Attempt, GatewayAccount, Lane, Mailing, Tenant
from clarion.models.outgoing import FIRST_TRY, Reason
from clarion.outbox import taking
from clarion.outbox.cycle import Outbox
from clarion.sandbox import RunningSender
from tests.conftest import Clock
from tests.factories import statuses
from tests.outbox.rounds import due_messages, settle, until_landed

pytestmark = pytest.mark.django_db


class LeaseClock:
    """The clock that rates are kept by, as a test wants it."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def lease_clock(monkeypatch: pytest.MonkeyPatch) -> LeaseClock:
    clock = LeaseClock()
    monkeypatch.setattr(taking, "lease_clock", clock)
    return clock


def sent(mailing: Mailing) -> int:
    return statuses(mailing).get("accepted", 0)


def all_rounds(outbox: Outbox, clock: Clock, mailing: Mailing) -> int:
    """Run rounds while something moves; return how many were sent so far."""
    settle(outbox, clock)
    return sent(mailing)


@pytest.mark.slow
def test_an_account_with_a_rate_begins_no_more_than_that(
    tenant: Tenant, probe: GatewayAccount, clock: Clock, outbox: Outbox, lease_clock: LeaseClock
) -> None:
    accounts.change(probe, rate=20)
    mailing = due_messages(tenant, clock, 60)

    found = []
    for _ in range(11):
        found.append(all_rounds(outbox, clock, mailing))
        lease_clock.now += 0.1

    # A moment each 50 ms, given out for 100 ms ahead.
    assert found[0] == 3
    assert found[-1] == 3 + 10 * 2


@pytest.mark.slow
def test_two_workers_share_one_rate(
    tenant: Tenant,
    probe: GatewayAccount,
    clock: Clock,
    open_outbox: Callable[..., Outbox],
    lease_clock: LeaseClock,
) -> None:
    accounts.change(probe, rate=20)
    mailing, workers = due_messages(tenant, clock, 60), [open_outbox(), open_outbox()]

    for _ in range(11):
        for worker in workers:
            all_rounds(worker, clock, mailing)
        lease_clock.now += 0.1

    assert sent(mailing) == 3 + 10 * 2


def test_a_mailing_with_a_rate_of_its_own_does_not_slow_the_others_of_its_account(
    tenant: Tenant, probe: GatewayAccount, clock: Clock, outbox: Outbox, lease_clock: LeaseClock
) -> None:
    slow, quick = (
        due_messages(tenant, clock, 40, rate_per_second=10),
        due_messages(tenant, clock, 40),
    )

    settle(outbox, clock)

    assert (sent(slow), sent(quick)) == (2, 40)
    assert audit.run(clock()) == []


def test_whom_the_gate_stops_uses_up_nothing_of_the_rate(
    tenant: Tenant, probe: GatewayAccount, clock: Clock, outbox: Outbox, lease_clock: LeaseClock
) -> None:
    """Those who may not be reached at this hour stand in front of those who may."""
    accounts.change(probe, rate=20)
    asleep = due_messages(tenant, clock, 6)
    hour = clock().astimezone(UTC)
    hours = {
        "local_from": (hour + timedelta(hours=2)).time(),
        "local_until": (hour + timedelta(hours=3)).time(),
    }
    Mailing.objects.filter(pk=asleep.pk).update(ends_at=hour + timedelta(days=2), **hours)
    asleep.message_set.update(deadline_at=hour + timedelta(days=2))
    awake = due_messages(tenant, clock, 6)

    settle(outbox, clock)

    assert (sent(asleep), sent(awake)) == (0, 3)


def test_a_night_s_worth_of_messages_does_not_stand_in_front_of_those_who_may_go(
    tenant: Tenant, probe: GatewayAccount, clock: Clock, outbox: Outbox, lease_clock: LeaseClock
) -> None:
    """One moment every two seconds, and three hundred who were paused: looked at one by one they would take minutes."""
    accounts.change(probe, rate=0.5)
    paused = due_messages(tenant, clock, 300)
    Mailing.objects.filter(pk=paused.pk).update(paused_at=clock())
    awake = due_messages(tenant, clock, 2)

    rounds = 0
    while not sent(awake):
        outbox.cycle(now=clock())
        until_landed(outbox, outbox.dispatch.slots - outbox.dispatch.free)
        rounds += 1

    assert rounds < 10


def test_the_lane_of_a_mailing_ends_with_it(
    tenant: Tenant, probe: GatewayAccount, clock: Clock, outbox: Outbox, lease_clock: LeaseClock
) -> None:
    mailing = due_messages(tenant, clock, 1, rate_per_second=10)
    settle(outbox, clock)

    mailings.finish_due(clock())

    lane = Lane.objects.get(mailing=mailing)
    assert (lane.parent_id, lane.ended_at) == (probe.lane_id, clock())


def test_the_lane_of_a_mailing_closes_with_its_account(
    tenant: Tenant, probe: GatewayAccount, clock: Clock, outbox: Outbox, lease_clock: LeaseClock
) -> None:
    mailing = due_messages(tenant, clock, 5, rate_per_second=1_000)
    Lane.objects.filter(pk=probe.lane_id).update(
        closed_at=clock(), closed_until=clock() + timedelta(minutes=1)
    )

    assert all_rounds(outbox, clock, mailing) == 0
    clock.pass_by(seconds=61)
    assert all_rounds(outbox, clock, mailing) == 5


def test_what_the_rate_leaves_no_time_for_is_told_at_once(
    tenant: Tenant, probe: GatewayAccount, clock: Clock, outbox: Outbox, lease_clock: LeaseClock
) -> None:
    """Ten seconds, the last two of them too short for a send: at one a second that is nine."""
    mailing = due_messages(
        tenant, clock, 12, rate_per_second=1, starts_at=clock(), ends_at=clock() + timedelta(seconds=10)
    )

    assert mailing.capacity == 9
    assert statuses(mailing) == {"waiting": 9, "expired": 3}
    assert mailing.counts.get(state="expired").reason == Reason.NO_TIME_AT_RATE
    assert audit.run(clock()) == []


def test_the_account_s_rate_bounds_a_mailing_as_well(
    tenant: Tenant, probe: GatewayAccount, clock: Clock
) -> None:
    accounts.change(probe, rate=0.5)

    mailing = due_messages(
        tenant, clock, 9, rate_per_second=1, starts_at=clock(), ends_at=clock() + timedelta(seconds=10)
    )

    assert statuses(mailing) == {"waiting": 5, "expired": 4}


def test_a_sender_that_is_away_is_asked_by_one_at_a_time_until_five_went_and_then_slowly(
    tenant: Tenant,
    probe: GatewayAccount,
    sender: RunningSender,
    clock: Clock,
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox(slots=64)
    sender.switch("resets")
    mailing = due_messages(tenant, clock, 400)
    outbox.cycle(now=clock())
    until_landed(outbox, 16)
    settle(outbox, clock)
    lane = Lane.objects.get(pk=probe.lane_id)
    asked = sender.counts()["requests"]

    for _ in range(5):
        clock.now = Lane.objects.get(pk=lane.pk).closed_until
        settle(outbox, clock)
    asked_on_trial = sender.counts()["requests"] - asked

    sender.switch("fine")
    clock.now = Lane.objects.get(pk=lane.pk).closed_until
    under_way = []
    while sum(under_way) < 10:
        outbox.cycle(now=clock())
        under_way.append(outbox.dispatch.slots - outbox.dispatch.free)
        until_landed(outbox, under_way[-1])

    assert lane.breaks == 1
    # One each, and no connection is tried twice.
    assert asked_on_trial == 5
    # Five on trial; then a tenth of the most that one account may hold.
    assert [count for count in under_way if count] == [1, 1, 1, 1, 1, 3, 3]
    assert Lane.objects.get(pk=lane.pk).slow_since == clock()
    assert "failed" not in statuses(mailing)
    assert "dead" not in statuses(mailing)


def test_what_has_not_left_when_its_lane_closes_is_taken_back_and_was_no_try(
    tenant: Tenant,
    probe: GatewayAccount,
    sender: RunningSender,
    clock: Clock,
    open_outbox: Callable[..., Outbox],
) -> None:
    """At 200 a second some twenty have a moment in the next tenth; five that reach nobody close the lane."""
    accounts.change(probe, rate=200)
    outbox, mailing = open_outbox(slots=256), due_messages(tenant, clock, 60)
    sender.go_away(60)

    settle(outbox, clock)

    tried = Attempt.objects.filter(message__mailing=mailing).count()
    recalled = mailing.message_set.filter(reason=Reason.LANE_CLOSED)
    assert 5 <= tried < 15
    assert recalled.exists()
    assert set(recalled.values_list("counted_tries", "priority")) == {(0, FIRST_TRY)}
    assert audit.run(clock()) == []
