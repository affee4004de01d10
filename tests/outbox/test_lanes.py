"""Lanes: one that hangs slows no other, and one that was closed has to show that it works again."""

from collections.abc import Callable

import pytest
from django.db import DatabaseError, connection, transaction

from clarion.flows import accounts, audit
from clarion.models import GatewayAccount, Lane, State, Tenant
from clarion.outbox import claims
from clarion.outbox.cycle import Outbox
from clarion.sandbox import RunningSender, running_sender
from tests.conftest import Clock
from tests.factories import statuses
from tests.outbox.rounds import due_messages, enlist, settle, until_landed

pytestmark = pytest.mark.django_db


def test_an_account_that_hangs_leaves_the_others_their_slots(
    tenant: Tenant,
    probe: GatewayAccount,
    sender: RunningSender,
    clock: Clock,
    open_outbox: Callable[..., Outbox],
) -> None:
    sender.switch("hangs")
    hanging, outbox = due_messages(tenant, clock, 100), open_outbox(slots=16)
    outbox.cycle(now=clock())
    with running_sender() as healthy:
        settings = {"base_url": healthy.base_url, "token": "not-a-secret"}
        accounts.add(tenant, name="healthy", gateway="probe", settings=settings, now=clock())
        mailing = due_messages(tenant, clock, 60)

        for _ in range(60):
            outbox.cycle(now=clock())
            if statuses(mailing) == {State.ACCEPTED: 60}:
                break
            until_landed(outbox, 1)

    assert statuses(mailing) == {State.ACCEPTED: 60}
    # It has never answered, and holds no more than what everybody begins with.
    assert statuses(hanging) == {State.SENDING: 4, State.WAITING: 96}


def test_an_account_that_was_refused_is_asked_with_one_message_before_all_others_go(
    tenant: Tenant, probe: GatewayAccount, sender: RunningSender, clock: Clock, outbox: Outbox
) -> None:
    Lane.objects.filter(pk=probe.lane_id).update(closed_until=clock(), closed_because="refused")
    mailing = due_messages(tenant, clock, 20)

    outbox.cycle(now=clock())
    on_trial = statuses(mailing)
    settle(outbox, clock)

    assert on_trial == {State.SENDING: 1, State.WAITING: 19}
    assert statuses(mailing) == {State.ACCEPTED: 20}
    assert Lane.objects.get(pk=probe.lane_id).closed_until is None


def test_a_trial_that_fails_keeps_all_others_where_they_are(
    tenant: Tenant, probe: GatewayAccount, sender: RunningSender, clock: Clock, outbox: Outbox
) -> None:
    sender.switch("throttles", retry_after=7)
    mailing = due_messages(tenant, clock, 20)
    Lane.objects.filter(pk=probe.lane_id).update(closed_until=clock(), closed_because="asked to wait")

    settle(outbox, clock)

    assert sender.counts()["requests"] == 1
    assert statuses(mailing) == {State.WAITING: 20}


def test_two_accounts_with_more_than_their_share_send_each_message_once(
    tenant: Tenant,
    probe: GatewayAccount,
    sender: RunningSender,
    clock: Clock,
    open_outbox: Callable[..., Outbox],
) -> None:
    first, outbox = due_messages(tenant, clock, 30), open_outbox(slots=16)
    settings = {"base_url": sender.base_url, "token": "not-a-secret"}
    accounts.add(tenant, name="another", gateway="probe", settings=settings, now=clock())
    second = due_messages(tenant, clock, 3)

    settle(outbox, clock)

    assert (statuses(first), statuses(second)) == ({State.ACCEPTED: 30}, {State.ACCEPTED: 3})
    assert set(sender.accepted().values()) == {1}
    assert audit.run(clock()) == []


def test_rows_of_a_commit_whose_answer_was_lost_leave_after_all(
    tenant: Tenant, probe: GatewayAccount, sender: RunningSender, clock: Clock, outbox: Outbox
) -> None:
    """The rows stand as `sending` under this worker, and nothing of it ever departed."""
    mailing = due_messages(tenant, clock, 5)
    commit_without_answer(outbox, clock)
    written = statuses(mailing)

    settle(outbox, clock)

    assert written == {State.SENDING: 5}
    assert statuses(mailing) == {State.ACCEPTED: 5}
    assert set(sender.accepted().values()) == {1}
    assert audit.run(clock()) == []


def test_a_lease_from_before_a_restart_of_the_machine_has_lapsed_though_it_lies_ahead(
    tenant: Tenant, clock: Clock
) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("a server's clock goes on over its restarts")
    worker = enlist(clock, lease_seconds=1_000_000)

    claims.rescue_lapsed(now=clock())

    worker.refresh_from_db()
    assert worker.ended_at == clock()


def commit_without_answer(outbox: Outbox, clock: Clock) -> None:
    """Let a round write what it takes, and fail as if the connection had died before the answer to COMMIT."""

    class Lost(DatabaseError):
        pass

    whole_round = outbox._round

    def lost(taking: object, now: object) -> object:
        with transaction.atomic():
            whole_round(taking, now)  # type: ignore[arg-type]
        raise Lost

    outbox._round = lost  # type: ignore[method-assign, assignment]
    with pytest.raises(Lost):
        outbox.cycle(now=clock())
    outbox._round = whole_round  # type: ignore[method-assign]
