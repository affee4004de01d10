"""Who may hold rows: leases by a clock that nobody sets, and the rescue of what a dead worker left behind."""

import socket
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection

from clarion.flows import audit
from clarion.models import Attempt, GatewayAccount, Mailing, Message, State, Tenant, Worker
from clarion.models.outgoing import FIRST_TRY, Reason
from clarion.outbox import claims
from clarion.outbox.cycle import Outbox
from clarion.sandbox import RunningSender
from tests.conftest import Clock
from tests.factories import statuses
from tests.outbox.rounds import due_messages, enlist, in_flight, settle, until_landed

pytestmark = pytest.mark.django_db


def hold(mailing: Mailing) -> None:
    GatewayAccount.objects.filter(pk=mailing.account_id).update(doubt="hold")


def die(worker: Worker, clock: Clock) -> int:
    return claims.rescue(Worker.objects.filter(pk=worker.pk), now=clock())


def only(mailing: Mailing) -> Message:
    return mailing.message_set.get()


def test_what_a_dead_worker_was_sending_goes_again(tenant: Tenant, clock: Clock) -> None:
    mailing, worker = due_messages(tenant, clock), enlist(clock)
    in_flight(mailing, worker, clock)
    clock.pass_by(seconds=90)

    rescued = die(worker, clock)

    row = only(mailing)
    assert rescued == 1
    assert (row.state, row.reason, row.due_at, row.worker_deaths) == (State.WAITING, Reason.RETRY, clock(), 1)
    # Nobody knows of a failure: it goes before those that failed, with the same text, and uses up no try.
    assert (row.priority, row.text, row.counted_tries) == (FIRST_TRY, "hello", 0)
    assert audit.run(clock()) == []


def test_the_death_is_kept_as_an_attempt(tenant: Tenant, clock: Clock) -> None:
    mailing, worker = due_messages(tenant, clock), enlist(clock)
    (before,) = in_flight(mailing, worker, clock)

    die(worker, clock)

    attempt = Attempt.objects.get()
    assert (attempt.message_id, attempt.number, attempt.worker_id) == (before.pk, 1, worker.pk)
    assert (attempt.outcome, attempt.started_at, attempt.ended_at) == ("worker_died", clock(), clock())


def test_where_a_second_send_would_reach_a_person_it_is_held(tenant: Tenant, clock: Clock) -> None:
    mailing, worker = due_messages(tenant, clock), enlist(clock)
    hold(mailing)
    in_flight(mailing, worker, clock)

    die(worker, clock)

    row = only(mailing)
    assert (row.state, row.reason, row.due_at) == (State.UNKNOWN, Reason.IN_DOUBT, mailing.ends_at)
    assert row.finished_at is None
    assert audit.run(clock()) == []


def test_what_cannot_make_its_deadline_any_more_ends_in_doubt(tenant: Tenant, clock: Clock) -> None:
    mailing, worker = due_messages(tenant, clock), enlist(clock)
    in_flight(mailing, worker, clock)
    clock.now = mailing.ends_at

    die(worker, clock)

    row = only(mailing)
    assert (row.state, row.reason, row.finished_at) == (State.EXPIRED, Reason.IN_DOUBT, clock())


@pytest.mark.parametrize("policy", ["resend", "hold"])
def test_a_row_at_whose_sending_three_workers_died_is_sent_no_more(
    tenant: Tenant, clock: Clock, policy: str
) -> None:
    mailing = due_messages(tenant, clock)
    for _ in range(claims.POISON_DEATHS):
        worker = enlist(clock)
        in_flight(mailing, worker, clock)
        # Where the answer is held it is the last worker's death that counts.
        if only(mailing).worker_deaths == claims.POISON_DEATHS - 1 and policy == "hold":
            hold(mailing)
        die(worker, clock)

    row = only(mailing)
    assert (row.state, row.reason, row.worker_deaths) == (State.DEAD, Reason.POISON, 3)
    assert (row.finished_at, Attempt.objects.count()) == (clock(), 3)
    assert audit.run(clock()) == []


def test_the_last_try_of_a_suspect_goes_alone(
    tenant: Tenant, probe: GatewayAccount, sender: RunningSender, clock: Clock, outbox: Outbox
) -> None:
    suspect = due_messages(tenant, clock)
    for _ in range(claims.POISON_DEATHS - 1):
        worker = enlist(clock)
        in_flight(suspect, worker, clock)
        die(worker, clock)
    sender.switch("slow", delay=0.3)
    others = due_messages(tenant, clock, 2)

    first = outbox.cycle(now=clock())
    meanwhile = [outbox.cycle(now=clock()), statuses(suspect)]
    until_landed(outbox, 2)
    then = [outbox.cycle(now=clock()), statuses(suspect)]
    late_comer = due_messages(tenant, clock)
    beside = outbox.cycle(now=clock())

    assert (first, meanwhile) == (2, [0, {State.WAITING: 1}])
    assert then == [3, {State.SENDING: 1}]
    assert (beside, statuses(late_comer)) == (0, {State.WAITING: 1})
    settle(outbox, clock)
    assert statuses(suspect) == statuses(late_comer) == {State.ACCEPTED: 1}
    assert statuses(others) == {State.ACCEPTED: 2}


def test_what_an_orderly_stop_leaves_in_flight_goes_again_and_is_not_suspected(
    tenant: Tenant, clock: Clock
) -> None:
    mailing = due_messages(tenant, clock)
    for _ in range(claims.POISON_DEATHS):
        worker = enlist(clock)
        in_flight(mailing, worker, clock)
        claims.retire(worker, now=clock())

    row = only(mailing)
    assert (row.state, row.reason, row.worker_deaths, row.tries) == (State.WAITING, Reason.RETRY, 0, 3)


def test_only_what_the_dead_one_held_is_rescued(tenant: Tenant, clock: Clock) -> None:
    of_dead, of_living = due_messages(tenant, clock, 2), due_messages(tenant, clock, 2)
    dead, living = enlist(clock), enlist(clock)
    in_flight(of_dead, dead, clock)
    in_flight(of_living, living, clock)

    rescued = die(dead, clock)

    assert rescued == 2
    assert statuses(of_dead) == {State.WAITING: 2}
    assert statuses(of_living) == {State.SENDING: 2}


def test_the_dead_are_rescued_from_once(tenant: Tenant, clock: Clock) -> None:
    mailing, worker = due_messages(tenant, clock), enlist(clock)
    in_flight(mailing, worker, clock)

    first, second = (die(worker, clock) for _ in range(2))

    assert (first, second) == (1, 0)
    assert only(mailing).worker_deaths == 1


def test_a_rescue_takes_the_same_number_of_questions_however_many_rows(
    tenant: Tenant, clock: Clock, django_assert_max_num_queries: Callable[..., object]
) -> None:
    mailing, worker = due_messages(tenant, clock, 40), enlist(clock)
    in_flight(mailing, worker, clock)

    with django_assert_max_num_queries(14):  # type: ignore[attr-defined]
        assert die(worker, clock) == 40


def test_a_worker_that_was_declared_dead_cannot_renew_its_lease(tenant: Tenant, clock: Clock) -> None:
    worker = enlist(clock)

    before = claims.renew(worker, lease_seconds=60)
    die(worker, clock)

    assert before is True
    assert claims.renew(worker, lease_seconds=60) is False


def test_a_late_answer_of_a_dead_worker_is_noted_and_changes_nothing(
    tenant: Tenant, probe: GatewayAccount, sender: RunningSender, clock: Clock, outbox: Outbox
) -> None:
    sender.switch("slow", delay=0.2)
    mailing = due_messages(tenant, clock)
    outbox.cycle(now=clock())
    claims.rescue(Worker.objects.filter(pk=outbox.worker_id), now=clock())
    before = Message.objects.filter(mailing=mailing).values().get()

    until_landed(outbox, 1)
    outbox.cycle(now=clock())

    late = Attempt.objects.get(is_late=True)
    assert Message.objects.filter(mailing=mailing).values().get() == before
    assert (late.number, late.outcome, late.worker_id) == (1, "accepted", outbox.worker_id)
    assert audit.run(clock()) == []


def test_a_dead_worker_takes_nothing_more(
    tenant: Tenant, probe: GatewayAccount, clock: Clock, outbox: Outbox
) -> None:
    mailing = due_messages(tenant, clock, 3)
    claims.rescue(Worker.objects.filter(pk=outbox.worker_id), now=clock())

    settle(outbox, clock)

    assert statuses(mailing) == {State.WAITING: 3}


def test_a_lease_lapses_by_its_own_clock_whatever_the_wall_clock_says(tenant: Tenant, clock: Clock) -> None:
    lapsed, good = enlist(clock, lease_seconds=-1), enlist(clock, lease_seconds=60)
    of_lapsed, of_good = due_messages(tenant, clock), due_messages(tenant, clock)
    in_flight(of_lapsed, lapsed, clock)
    in_flight(of_good, good, clock)
    clock.pass_by(days=400)

    rescued = claims.rescue_lapsed(now=clock())

    lapsed.refresh_from_db()
    good.refresh_from_db()
    assert rescued == 1
    assert (lapsed.ended_at, good.ended_at) == (clock(), None)
    assert statuses(of_good) == {State.SENDING: 1}


def test_the_lease_clock_runs_forward_in_seconds(db: None) -> None:
    readings = [claims.lease_clock() for _ in range(3)]

    assert readings == sorted(readings)
    assert readings[2] - readings[0] < 5


def test_a_renewed_lease_does_not_lapse(db: None, clock: Clock) -> None:
    worker = enlist(clock, lease_seconds=-1)

    claims.renew(worker, lease_seconds=60)

    claims.rescue_lapsed(now=clock())
    worker.refresh_from_db()
    assert worker.ended_at is None


def test_where_all_share_a_machine_nobody_outlives_its_restart(tenant: Tenant, clock: Clock) -> None:
    mailing, worker = due_messages(tenant, clock), enlist(clock, lease_seconds=10**9)
    in_flight(mailing, worker, clock)
    Worker.objects.filter(pk=worker.pk).update(boot_id="the machine's run before this one")

    rescued = claims.rescue_lapsed(now=clock())

    # A database server's clock runs on through a restart of the worker's machine: there the lease decides.
    assert rescued == (1 if connection.vendor == "sqlite" else 0)


def test_a_process_that_is_known_to_have_ended_is_rescued_from_at_once(tenant: Tenant, clock: Clock) -> None:
    mailing, worker = due_messages(tenant, clock), enlist(clock, pid=4_000_001)
    in_flight(mailing, worker, clock)

    stranger = claims.rescue_process(4_000_002, now=clock())
    rescued = claims.rescue_process(4_000_001, now=clock())

    assert (stranger, rescued) == (0, 1)


def test_the_same_process_id_on_another_machine_is_another_process(tenant: Tenant, clock: Clock) -> None:
    worker = enlist(clock, pid=4_000_001)
    Worker.objects.filter(pk=worker.pk).update(host=f"not-{socket.gethostname()}")

    claims.rescue_process(4_000_001, now=clock())

    worker.refresh_from_db()
    assert worker.ended_at is None


def test_what_stays_in_doubt_ends_at_its_deadline_and_not_before(tenant: Tenant, clock: Clock) -> None:
    mailing, worker = due_messages(tenant, clock, 3), enlist(clock)
    hold(mailing)
    in_flight(mailing, worker, clock)
    die(worker, clock)

    before = claims.expire_unknown(now=mailing.ends_at - timedelta(microseconds=1))
    first = claims.expire_unknown(now=mailing.ends_at, most=2)
    rest = claims.expire_unknown(now=mailing.ends_at, most=2)

    assert (before, first, rest) == (0, 2, 1)
    assert set(mailing.message_set.values_list("state", "reason", "finished_at")) == {
        (State.EXPIRED, Reason.IN_DOUBT, mailing.ends_at)
    }
    assert audit.run(mailing.ends_at) == []
