"""Opt-outs while a mailing goes out: nothing to somebody begins once their opt-out is committed."""

import threading
from collections.abc import Callable

import pytest
from django.db import connection, connections, transaction

from clarion.flows import audit, tracking
from clarion.models import Message, State, Tenant
from clarion.models.outgoing import Reason
from clarion.outbox.cycle import Outbox
from clarion.sandbox import RunningSender
from tests.conftest import Clock
from tests.flows.mails import read, tell, told
from tests.outbox.rounds import PATIENCE, due_messages, settle


@pytest.mark.django_db
@pytest.mark.usefixtures("probe")
def test_who_opts_out_between_two_rounds_gets_nothing_any_more(
    tenant: Tenant, clock: Clock, outbox: Outbox, sender: RunningSender
) -> None:
    mailing = due_messages(tenant, clock, 30)
    messages = list(mailing.message_set.order_by("pk"))
    for each in messages[:20]:
        tell(tenant, "email_unsubscribe", each.customer_id, clock(), email_id=each.pk)

    settle(outbox, clock)

    found = dict(mailing.counts.exclude(count=0).values_list("reason", "count"))
    assert found == {Reason.OPTED_OUT: 20, "": 10}
    reached = set(mailing.message_set.filter(state=State.ACCEPTED).values_list("pk", flat=True))
    assert reached == {each.pk for each in messages[20:]}
    assert set(sender.accepted()) == reached
    assert audit.run(clock()) == []


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("probe")
@pytest.mark.parametrize("count", [100, pytest.param(1_000, marks=pytest.mark.thorough)])
def test_nothing_begins_after_an_opt_out_is_committed(
    tenant: Tenant, clock: Clock, open_outbox: Callable[..., Outbox], count: int
) -> None:
    """Two at once: one opts out, a few at a time, and notes who had not begun yet; the other sends."""
    mailing = due_messages(tenant, clock, count)
    messages = list(mailing.message_set.order_by("-pk"))
    outbox = open_outbox(4)
    begun_at_commit: dict[int, bool] = {}
    failures: list[BaseException] = []

    def opting_out() -> None:
        try:
            for n in range(0, count, 5):
                some = messages[n : n + 5]
                events = [
                    told(tenant, "email_unsubscribe", each.customer_id, clock(), email_id=each.pk)
                    for each in some
                ]
                read(tenant, *events, now=clock())
                rows = Message.objects.filter(pk__in=[each.pk for each in some])
                begun_at_commit.update(
                    {
                        pk: state not in (State.WAITING, State.SKIPPED)
                        for pk, state in rows.values_list("pk", "state")
                    }
                )
        except BaseException as error:
            failures.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=opting_out)
    thread.start()
    while thread.is_alive():
        outbox.cycle(now=clock())
    thread.join()
    settle(outbox, clock)

    assert not failures
    ended = dict(mailing.message_set.values_list("pk", "state"))
    late = [pk for pk, had_begun in begun_at_commit.items() if not had_begun and ended[pk] != State.SKIPPED]
    assert len(begun_at_commit) == count
    assert late == []
    assert State.SKIPPED in ended.values()
    assert audit.run(clock()) == []
    connection.close()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("probe")
@pytest.mark.skipif(connection.vendor == "sqlite", reason="one writes at a time there")
def test_a_round_leaves_alone_whose_opt_out_is_about_to_be_committed(
    tenant: Tenant, clock: Clock, outbox: Outbox
) -> None:
    """It cannot see the opt-out yet: without the lock it would begin, and commit that after the opt-out's commit."""
    mailing = due_messages(tenant, clock, 4)
    out, other, *_ = mailing.message_set.order_by("pk")
    event = told(tenant, "email_unsubscribe", out.customer_id, clock(), email_id=out.pk)
    is_applied, may_commit = threading.Event(), threading.Event()

    def opting_out() -> None:
        try:
            with transaction.atomic():
                tracking.apply(tenant, [event], clock())
                is_applied.set()
                may_commit.wait(PATIENCE)
        finally:
            connections.close_all()

    thread = threading.Thread(target=opting_out)
    thread.start()
    assert is_applied.wait(PATIENCE)
    outbox.cycle(now=clock())
    states = dict(mailing.message_set.values_list("pk", "state"))
    may_commit.set()
    thread.join()
    settle(outbox, clock)

    assert (states[out.pk], states[other.pk]) == (State.WAITING, State.SENDING)
    out.refresh_from_db()
    assert (out.state, out.reason) == (State.SKIPPED, Reason.OPTED_OUT)
