"""The audit: silent while everything adds up, and naming the row whatever kind of damage is done by hand."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F

from clarion.flows import audit
from clarion.flows.audit import Finding
from clarion.models import Delivery, Mailing, Message, State, Tenant, Worker
from clarion.outbox.cycle import Outbox
from tests.conftest import Clock
from tests.outbox.receivers import forward, happen, order, subscribe
from tests.outbox.rounds import due_messages, enlist, in_flight, settle

pytestmark = pytest.mark.django_db


@pytest.fixture
def mailing(tenant: Tenant, clock: Clock) -> Mailing:
    return due_messages(tenant, clock, 3)


def put(mailing: Mailing, state: str, **columns: object) -> list[int]:
    """Have the mailing's messages in this state, and the counter say so."""
    mailing.message_set.update(state=state, **columns)
    mailing.counts.update(state=state)
    return list(mailing.message_set.order_by("pk").values_list("pk", flat=True))


def only_finding(clock: Clock) -> Finding:
    (finding,) = audit.run(clock())
    return finding


def test_what_adds_up_is_not_mentioned(mailing: Mailing, clock: Clock) -> None:
    in_flight(mailing, enlist(clock), clock)

    assert audit.run(clock()) == []


def test_an_empty_installation_adds_up(db: None, clock: Clock) -> None:
    assert audit.run(clock()) == []


def test_a_counter_that_was_changed_is_named(mailing: Mailing, clock: Clock) -> None:
    mailing.counts.update(count=4)

    finding = only_finding(clock)

    assert (finding.kind, finding.rows) == ("counter", (mailing.pk,))
    assert finding.sentence == f"mailing {mailing.pk}: 4 counted as waiting (no reason), 3 are there"


def test_a_row_that_was_changed_is_seen_on_both_sides(mailing: Mailing, clock: Clock) -> None:
    first = mailing.message_set.first()
    Message.objects.filter(pk=first.pk).update(state=State.FAILED, reason="refused")

    sentences = [finding.sentence for finding in audit.run(clock())]

    assert sentences == [
        f"mailing {mailing.pk}: 0 counted as failed refused, 1 are there",
        f"mailing {mailing.pk}: 3 counted as waiting (no reason), 2 are there",
    ]


@pytest.mark.parametrize("table", ["rows", "counters"])
def test_what_was_deleted_is_missed(mailing: Mailing, clock: Clock, table: str) -> None:
    (mailing.message_set if table == "rows" else mailing.counts).all().delete()

    assert only_finding(clock).kind == "counter"


@pytest.mark.parametrize("state", [State.WAITING, State.SENDING, State.UNKNOWN])
def test_what_is_open_long_after_its_deadline_is_named(tenant: Tenant, clock: Clock, state: str) -> None:
    mailing, worker = due_messages(tenant, clock, 2), enlist(clock)
    rows = put(mailing, state, worker_id=worker.pk, due_at=mailing.ends_at)

    clock.now = mailing.ends_at + timedelta(hours=1)
    assert audit.run(clock()) == []

    clock.pass_by(microseconds=1)
    finding = only_finding(clock)
    assert (finding.kind, finding.rows) == ("overdue", tuple(rows))
    assert finding.sentence.startswith("2 open although")


def test_a_doubt_that_nobody_would_look_at_again_is_named(mailing: Mailing, clock: Clock) -> None:
    rows = put(mailing, State.UNKNOWN, due_at=mailing.ends_at)
    Message.objects.filter(pk=rows[1]).update(due_at=mailing.ends_at + timedelta(days=1))

    finding = only_finding(clock)

    assert (finding.kind, finding.rows) == ("doubt", (rows[1],))


def test_what_no_living_worker_is_sending_is_named(mailing: Mailing, clock: Clock) -> None:
    living, dead = enlist(clock), enlist(clock)
    Worker.objects.filter(pk=dead.pk).update(ended_at=clock())
    rows = put(mailing, State.SENDING, worker_id=living.pk)
    Message.objects.filter(pk=rows[0]).update(worker_id=dead.pk)
    Message.objects.filter(pk=rows[1]).update(worker_id=None)

    finding = only_finding(clock)

    assert (finding.kind, finding.rows) == ("orphan", (rows[0], rows[1]))


def test_what_a_worker_that_never_was_is_sending_is_named(mailing: Mailing, clock: Clock) -> None:
    rows = put(mailing, State.SENDING, worker_id=987_654_321)

    assert only_finding(clock).rows == tuple(rows)


def test_a_mailing_that_is_over_too_early_is_named(mailing: Mailing, clock: Clock) -> None:
    Mailing.objects.filter(pk=mailing.pk).update(finished_at=clock())

    finding = only_finding(clock)

    assert (finding.kind, finding.rows) == ("finished", (mailing.pk,))


def test_every_kind_of_damage_is_told_at_once(tenant: Tenant, clock: Clock) -> None:
    several = [due_messages(tenant, clock) for _ in range(4)]
    several[0].counts.update(count=9)
    put(several[1], State.SENDING, worker_id=None)
    put(several[2], State.UNKNOWN, due_at=clock())
    Mailing.objects.filter(pk=several[3].pk).update(finished_at=clock())

    assert [finding.kind for finding in audit.run(clock())] == ["counter", "doubt", "orphan", "finished"]


def test_of_many_rows_the_first_twenty_are_named_and_all_are_counted(tenant: Tenant, clock: Clock) -> None:
    mailing = due_messages(tenant, clock, 25)
    rows = put(mailing, State.SENDING, worker_id=None)

    finding = only_finding(clock)

    assert finding.rows == tuple(rows[:20])
    assert finding.sentence == "25 being sent by no worker"


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_an_audit_beside_a_working_worker_finds_nothing(
    tenant: Tenant, clock: Clock, open_outbox: Callable[..., Outbox]
) -> None:
    mailing, outbox = due_messages(tenant, clock, 2_000), open_outbox()

    def send_all() -> None:
        settle(outbox, clock)
        connection.close()

    sending = threading.Thread(target=send_all)
    findings, audits = [], 0
    sending.start()
    while sending.is_alive():
        findings += audit.run(clock())
        audits += 1
    sending.join()

    assert findings == []
    assert audits > 1
    assert mailing.counts.by_state() == [(State.ACCEPTED, 2_000)]


def test_deliveries_are_proved_as_messages_are(tenant: Tenant, clock: Clock) -> None:
    subscription = subscribe(tenant, "https://receiver.example.com/", clock(), is_ordered=True)
    happen(tenant, clock(), order(1), order(1))
    forward(clock)
    assert audit.run(clock()) == []

    rows = Delivery.objects.of(tenant).filter(subscription=subscription)
    rows.update(due_at=F("deadline_at"))
    assert [finding.kind for finding in audit.run(clock())] == ["line"]
    rows.update(order_key=None, reason="")
    assert [finding.kind for finding in audit.run(clock())] == ["counter", "counter"]
