"""A round over all mailings: one that fails holds up no other, and what comes back after its end is ended too."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, connection

from clarion.flows import audit, mailings
from clarion.models import Mailing, State, Tenant
from clarion.outbox import claims
from tests.conftest import Clock
from tests.factories import make_customer, make_mailing, statuses
from tests.outbox.rounds import due_messages, enlist, in_flight

pytestmark = pytest.mark.django_db


def broken(tenant: Tenant, clock: Clock) -> Mailing:
    """A mailing whose next slice the database refuses: it would make a message a second time."""
    mailing = due_messages(tenant, clock)
    Mailing.objects.filter(pk=mailing.pk).update(cursor=0, materialised_at=None)
    return mailing


def begun(tenant: Tenant, clock: Clock) -> Mailing:
    """A mailing of one customer, before its first slice."""
    make_customer(tenant, tag="begun")
    mailing = make_mailing(tenant, now=clock(), tag_filter="begun")
    mailings.start_due(clock())
    return mailing


def test_a_mailing_that_fails_does_not_stop_those_of_others(
    tenant: Tenant, other_tenant: Tenant, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = broken(tenant, clock)
    address = bad.message_set.get().address
    good = begun(other_tenant, clock)

    done = mailings.materialise_due(clock())

    said = capsys.readouterr().err
    assert (done, statuses(good), statuses(bad)) == (1, {State.WAITING: 1}, {State.WAITING: 1})
    assert "step_failed" in said
    assert f"mailing_id={bad.pk} step=materialise" in said
    assert "IntegrityError" in said
    assert str(address) not in said


def test_a_mailing_that_failed_is_left_alone_for_a_minute(
    tenant: Tenant, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    broken(tenant, clock)
    mailings.materialise_due(clock())
    capsys.readouterr()

    mailings.materialise_due(clock())
    soon = capsys.readouterr().err
    clock.pass_by(seconds=61)
    mailings.materialise_due(clock())

    assert soon == ""
    assert "step_failed" in capsys.readouterr().err


def test_a_database_that_is_away_ends_the_round(tenant: Tenant, clock: Clock) -> None:
    begun(tenant, clock)

    def cut(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if sql.startswith("UPDATE"):
            raise OperationalError("gone")
        return execute(sql, *rest)

    with connection.execute_wrapper(cut), pytest.raises(OperationalError):
        mailings.materialise_due(clock())


@pytest.mark.parametrize(("ending", "state"), [("cancel", State.CANCELLED), ("window over", State.EXPIRED)])
def test_what_comes_back_to_wait_after_the_sweep_is_swept_again(
    tenant: Tenant, clock: Clock, ending: str, state: str
) -> None:
    mailing, worker = due_messages(tenant, clock, 2), enlist(clock)
    in_flight(mailing, worker, clock)
    before_the_end = clock()
    if ending == "cancel":
        mailings.cancel(mailing, now=clock())
    else:
        clock.now = mailing.ends_at
        mailings.close_due(clock())
    mailings.sweep_due(clock())

    claims.retire(worker, now=before_the_end)
    came_back = statuses(mailing)
    rounds = [mailings.close_due(clock()), mailings.sweep_due(clock()), mailings.close_due(clock())]

    assert (came_back, rounds, statuses(mailing)) == ({State.WAITING: 2}, [1, 1, 0], {state: 2})
    assert mailings.finish_due(clock()) == 1
    assert audit.run(clock()) == []


def test_a_wrong_counter_begins_no_sweep_without_end(tenant: Tenant, clock: Clock) -> None:
    mailing = due_messages(tenant, clock)
    mailings.cancel(mailing, now=clock())
    mailings.sweep_due(clock())
    mailing.counts.filter(state=State.WAITING).update(count=1)

    assert mailings.close_due(clock()) == 0
