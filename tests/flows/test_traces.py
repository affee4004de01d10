"""The trace: the whole life of one message, mailing or customer, in the order in which it happened."""

import pytest

from clarion.flows import customers, mailings, traces
from clarion.models import Customer, GatewayAccount, Message, State, Tenant, Worker
from clarion.outbox import claims
from clarion.outbox.cycle import Outbox
from clarion.sandbox import RunningSender
from tests.conftest import Clock
from tests.factories import make_customer, make_mailing
from tests.outbox.rounds import due_messages, enlist, in_flight, settle

pytestmark = pytest.mark.django_db


def told(moments: list[traces.Moment]) -> list[tuple[int, str]]:
    return [(moment.depth, moment.what) for moment in moments]


def test_a_message_that_waits_says_what_will_move_it(tenant: Tenant, clock: Clock) -> None:
    mailing = due_messages(tenant, clock, name="Autumn")
    row = mailing.message_set.get()

    moments = traces.of_message(row.pk)

    assert told(moments) == [
        (0, f"mailing {mailing.pk} created (Autumn)"),
        (0, f"message {row.pk} made for customer {row.customer_id}"),
        (1, "looked at next"),
        (1, "deadline"),
        (0, "PENDING (waiting)"),
    ]
    assert [moment.at for moment in moments[2:]] == [clock(), mailing.ends_at, None]


def test_a_message_that_failed_first_shows_every_try_in_order(
    tenant: Tenant,
    probe: GatewayAccount,
    sender: RunningSender,
    clock: Clock,
    outbox: Outbox,
) -> None:
    sender.switch("refuses", requests=1)
    mailing = due_messages(tenant, clock)
    row = mailing.message_set.get()
    settle(outbox, clock)
    clock.pass_by(seconds=10)
    settle(outbox, clock)

    assert told(traces.of_message(row.pk)) == [
        (0, f"mailing {mailing.pk} created (no name)"),
        (0, f"message {row.pk} made for customer {row.customer_id}"),
        (1, f"try 1 by worker {outbox.worker_id}: not_sent 503. HTTP 503"),
        (1, f"try 2 began, worker {outbox.worker_id}"),
        (0, "SENT (accepted)"),
    ]


def test_a_dead_worker_and_a_doubt_are_told(tenant: Tenant, clock: Clock) -> None:
    mailing, worker = due_messages(tenant, clock), enlist(clock)
    GatewayAccount.objects.filter(pk=mailing.account_id).update(doubt="hold")
    (row,) = in_flight(mailing, worker, clock)
    claims.rescue(Worker.objects.filter(pk=worker.pk), now=clock())
    clock.now = mailing.ends_at
    claims.expire_unknown(now=clock())

    sentences = [what for _, what in told(traces.of_message(row.pk))]

    died = f"try 1 by worker {worker.pk}: worker_died. The worker ended between"
    assert any(sentence.startswith(died) for sentence in sentences)
    assert sentences[-1] == "TIMEOUT (expired, in_doubt)"


def test_a_late_answer_is_told_as_one_that_does_not_count(tenant: Tenant, clock: Clock) -> None:
    row = due_messages(tenant, clock).message_set.get()
    row.attempts.create(tenant=tenant, number=1, ended_at=clock(), outcome="accepted", is_late=True)

    assert (1, "try 1 by worker None: accepted, too late to count.") in told(traces.of_message(row.pk))


def test_a_mailing_shows_its_steps_and_its_accounts(tenant: Tenant, clock: Clock) -> None:
    for phone in ("70000008001", "70000008002", "70000008002"):
        make_customer(tenant, phone=phone)
    mailing = make_mailing(tenant, now=clock())
    clock.pass_by(seconds=1)
    mailings.start_due(clock())
    clock.pass_by(seconds=1)
    mailings.materialise_due(clock())
    clock.pass_by(seconds=1)
    mailings.pause(mailing, now=clock())
    mailing.refresh_from_db()

    assert told(traces.of_mailing(mailing.pk)) == [
        (0, "window opens"),
        (0, "created"),
        (0, "started"),
        (0, f"audience complete up to customer {mailing.cursor}"),
        (0, "paused"),
        (0, "window closes"),
        (1, "1 SKIPPED (same_address_twice)"),
        (1, "2 PENDING"),
    ]


def test_a_customer_shows_what_they_were_sent_oldest_first(tenant: Tenant, clock: Clock) -> None:
    customer = make_customer(tenant)
    several = [make_mailing(tenant, now=clock()) for _ in range(2)]
    mailings.start_due(clock())
    mailings.materialise_due(clock())
    ids = [mailing.message_set.get().pk for mailing in several]

    assert told(traces.of_customer(customer.pk)) == [
        (0, f"customer {customer.pk} made"),
        (1, f"message {ids[0]} of mailing {several[0].pk}: PENDING"),
        (1, f"message {ids[1]} of mailing {several[1].pk}: PENDING"),
    ]


def test_a_customer_who_is_gone_is_still_found_by_their_messages(tenant: Tenant, clock: Clock) -> None:
    mailing = due_messages(tenant, clock)
    customer = Customer.objects.of(tenant).get()
    customer_id, row = customer.pk, mailing.message_set.get()

    customers.delete(customer, now=clock())

    assert told(traces.of_customer(customer_id)) == [
        (1, f"message {row.pk} of mailing {mailing.pk}: CANCELLED")
    ]


def test_of_a_customers_many_messages_the_last_twenty_are_told(tenant: Tenant, clock: Clock) -> None:
    customer = make_customer(tenant)
    for _ in range(22):
        make_mailing(tenant, now=clock())
    mailings.start_due(clock())
    mailings.materialise_due(clock())

    moments = traces.of_customer(customer.pk)

    newest = list(Message.objects.order_by("-pk").values_list("pk", flat=True)[:20])
    assert [moment.what.split()[1] for moment in moments[1:]] == [str(pk) for pk in reversed(newest)]


@pytest.mark.parametrize("look", [traces.of_message, traces.of_mailing, traces.of_customer])
def test_what_is_not_there_is_not_found(db: None, look: object) -> None:
    with pytest.raises(traces.NothingFound, match="2147483647"):
        look(2_147_483_647)  # type: ignore[operator]


def test_every_state_can_be_told(tenant: Tenant, clock: Clock) -> None:
    row = due_messages(tenant, clock).message_set.get()

    for state in State.values:
        Message.objects.filter(pk=row.pk).update(state=state)
        assert any(f"({state})" in moment.what for moment in traces.of_message(row.pk))
