"""The gate: who is refused at the last moment, why, and what becomes of their message."""

from datetime import datetime, timedelta

import pytest

from clarion.flows import mailings
from clarion.models import Customer, Mailing, Message, State, Tenant
from clarion.models.outgoing import Held, Reason
from clarion.outbox.gate import MessageDue, ask
from clarion.outbox.verdicts import Go, Stop, Verdict
from tests.conftest import Clock
from tests.factories import make_customer, make_mailing
from tests.outbox.rounds import due_messages

pytestmark = pytest.mark.django_db

IN_TIME = timedelta(seconds=2)


def due(mailing: Mailing, **changes: object) -> list[MessageDue]:
    """Read the mailing's messages as the cycle does."""
    columns = (*Message.objects.held_columns(), *MessageDue._fields[1:])
    width = len(Held._fields)
    rows = Message.objects.filter(mailing=mailing).order_by("pk").values_list(*columns)
    return [MessageDue(Held(*row[:width]), *row[width:])._replace(**changes) for row in rows]


def verdict(mailing: Mailing, now: datetime, **changes: object) -> Verdict:
    (answer,) = ask(due(mailing, **changes), now=now)
    return answer


def refusal(mailing: Mailing, now: datetime) -> tuple[str, str, datetime | None]:
    answer = verdict(mailing, now)
    assert isinstance(answer, Stop)
    return answer.to, answer.reason, answer.look_again_at


def test_a_running_mailing_goes(tenant: Tenant, clock: Clock) -> None:
    mailing = due_messages(tenant, clock, text="Your parcel is on its way.")

    answer = verdict(mailing, clock())

    assert isinstance(answer, Go)
    assert answer.text == "Your parcel is on its way."


def test_nobody_due_is_nobody_asked(tenant: Tenant, clock: Clock, django_assert_num_queries: object) -> None:
    with django_assert_num_queries(0):  # type: ignore[operator]
        assert ask([], now=clock()) == []


def test_a_send_starts_two_seconds_before_the_end_at_the_latest(tenant: Tenant, clock: Clock) -> None:
    mailing = due_messages(tenant, clock)

    in_time = verdict(mailing, mailing.ends_at - IN_TIME)
    late = refusal(mailing, mailing.ends_at - IN_TIME + timedelta(microseconds=1))

    assert isinstance(in_time, Go)
    assert late == (State.EXPIRED, Reason.WINDOW_OVER, None)


def test_a_paused_mailing_waits_and_is_looked_at_again_at_its_end(tenant: Tenant, clock: Clock) -> None:
    mailing = due_messages(tenant, clock)
    mailings.pause(mailing, now=clock())

    assert refusal(mailing, clock()) == (State.WAITING, Reason.PAUSED, mailing.ends_at)


def test_a_cancelled_mailing_does_not_go(tenant: Tenant, clock: Clock) -> None:
    mailing = due_messages(tenant, clock)
    mailings.cancel(mailing, now=clock())

    assert refusal(mailing, clock()) == (State.CANCELLED, Reason.MAILING_CANCELLED, None)


def test_cancelled_is_said_before_late_and_late_before_paused(tenant: Tenant, clock: Clock) -> None:
    paused, cancelled = (due_messages(tenant, clock) for _ in range(2))
    mailings.pause(paused, now=clock())
    mailings.pause(cancelled, now=clock())
    mailings.cancel(cancelled, now=clock())
    clock.pass_by(hours=2)

    assert refusal(paused, clock())[:2] == (State.EXPIRED, Reason.WINDOW_OVER)
    assert refusal(cancelled, clock())[:2] == (State.CANCELLED, Reason.MAILING_CANCELLED)


def test_the_text_is_made_for_the_customer(tenant: Tenant, clock: Clock) -> None:
    make_customer(tenant, phone="70000009001", tag="Ann", operator_code="900")
    text = "{{ tag }} {{ phone }} {{ operator_code }} {{ timezone }}"
    mailing = make_mailing(tenant, now=clock(), text=text)
    mailings.start_due(clock())
    mailings.materialise_due(clock())

    answer = verdict(mailing, clock())

    assert isinstance(answer, Go)
    assert answer.text == "Ann 70000009001 900 UTC"


def test_a_retry_sends_the_text_of_the_first_try(tenant: Tenant, clock: Clock) -> None:
    mailing = due_messages(tenant, clock, text="Hello {{ tag }}")

    answer = verdict(mailing, clock(), text="Hello as it was")

    assert isinstance(answer, Go)
    assert answer.text == "Hello as it was"


@pytest.mark.parametrize("text", ["{{ attributes.city }}", "{{ 10 | divided_by: tag }}", "{{ tag | sum }}"])
def test_a_text_that_cannot_be_made_for_this_customer_fails(tenant: Tenant, clock: Clock, text: str) -> None:
    mailing = due_messages(tenant, clock, text=text)

    assert refusal(mailing, clock()) == (State.FAILED, Reason.CANNOT_RENDER, None)


@pytest.mark.parametrize("text", ["{{ tag", "{{ discount }}", "{{ id | divided_by: 0 }}"])
def test_a_text_stored_under_laxer_rules_fails_alone(tenant: Tenant, clock: Clock, text: str) -> None:
    bad, good = (due_messages(tenant, clock) for _ in range(2))
    Mailing.objects.filter(pk=bad.pk).update(text=text)

    answers = ask([*due(bad), *due(good)], now=clock())

    assert [type(answer) for answer in answers] == [Stop, Go]


@pytest.mark.parametrize("text", ["Hello", "Hello {{ tag }}"])
def test_a_customer_who_is_gone_gets_nothing(tenant: Tenant, clock: Clock, text: str) -> None:
    mailing = due_messages(tenant, clock, text=text)
    Customer.objects.of(tenant).delete()

    assert refusal(mailing, clock()) == (State.CANCELLED, Reason.CUSTOMER_DELETED, None)


def test_however_many_are_asked_about_it_takes_two_questions(
    tenant: Tenant, clock: Clock, django_assert_num_queries: object
) -> None:
    several = [due_messages(tenant, clock, 10, text="Hello {{ tag }}") for _ in range(3)]
    rows = [row for mailing in several for row in due(mailing)]

    with django_assert_num_queries(2):  # type: ignore[operator]
        answers = ask(rows, now=clock())

    assert [answer.due for answer in answers] == rows
