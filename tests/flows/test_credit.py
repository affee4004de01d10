"""Credit: which message a purchase is put down to, and that it is never two."""

from datetime import timedelta

import pytest
from django.conf import settings

from clarion.flows import test_sends
from clarion.models import Engagement, Message, Tenant
from clarion.models.engagements import Credit
from tests.conftest import Clock
from tests.factories import make_customer, make_mailing
from tests.flows.mails import read, tell, told

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
DAYS = timedelta(days=5)


@pytest.fixture
def messages(tenant: Tenant, clock: Clock) -> list[Message]:
    """Three to one customer, from three mailings, an hour ago."""
    customer = make_customer(tenant, tag="buyer", external_id="ann")
    made = []
    for _ in range(3):
        mailing = make_mailing(tenant, now=clock(), tag_filter="buyer")
        made.append(Message.objects.create(**_sent(mailing, customer.pk, clock)))
    clock.now += HOUR
    return made


def _sent(mailing, customer_id, clock):  # type: ignore[no-untyped-def]
    moments = dict.fromkeys(("due_at", "deadline_at", "created_at", "sending_at", "finished_at"), clock())
    owner = {"tenant": mailing.tenant, "mailing": mailing, "lane": mailing.account.lane}
    return {**owner, **moments, "customer_id": customer_id, "address": "70000000001", "state": "accepted"}


def credited(tenant: Tenant) -> list[tuple[int, str]]:
    rows = Engagement.objects.of(tenant).filter(kind="purchased").order_by("seq")
    return list(rows.values_list("message_id", "credit"))


def test_the_message_that_the_purchase_names_gets_it_at_any_age(
    tenant: Tenant, clock: Clock, messages: list[Message]
) -> None:
    tell(tenant, "email_click", "ann", clock(), email_id=messages[1].pk)

    tell(tenant, "purchase", "ann", clock() + timedelta(days=400), email_id=messages[0].pk)

    assert credited(tenant) == [(messages[0].pk, Credit.NAMED)]


def test_else_the_last_click_gets_it_also_when_another_was_opened_later(
    tenant: Tenant, clock: Clock, messages: list[Message]
) -> None:
    tell(tenant, "email_click", "ann", clock(), email_id=messages[0].pk)
    tell(tenant, "email_click", "ann", clock() + HOUR, email_id=messages[1].pk)
    tell(tenant, "email_open", "ann", clock() + 2 * HOUR, email_id=messages[2].pk)

    tell(tenant, "purchase", "ann", clock() + 3 * HOUR)

    assert credited(tenant) == [(messages[1].pk, Credit.LAST_CLICK)]


def test_else_the_last_open(tenant: Tenant, clock: Clock, messages: list[Message]) -> None:
    tell(tenant, "email_open", "ann", clock() + HOUR, email_id=messages[0].pk)
    tell(tenant, "email_open", "ann", clock(), email_id=messages[2].pk)

    tell(tenant, "purchase", "ann", clock() + 3 * HOUR)

    assert credited(tenant) == [(messages[0].pk, Credit.LAST_OPEN)]


def test_a_purchase_that_names_none_of_ours_is_as_one_that_names_none(
    tenant: Tenant, clock: Clock, messages: list[Message]
) -> None:
    tell(tenant, "email_click", "ann", clock(), email_id=messages[0].pk)

    tell(tenant, "purchase", "ann", clock() + HOUR, email_id="another tool's")

    assert credited(tenant) == [(messages[0].pk, Credit.LAST_CLICK)]


def test_the_window_is_a_setting(
    tenant: Tenant, clock: Clock, messages: list[Message], settings: object
) -> None:
    tell(tenant, "email_click", "ann", clock(), email_id=messages[0].pk)
    for age in (DAYS, DAYS + timedelta(seconds=1)):
        tell(tenant, "purchase", "ann", clock() + age)
    assert len(credited(tenant)) == 1

    longer = _settings().model_copy(update={"credit_days": 6})
    settings.CLARION = longer  # type: ignore[attr-defined]
    tell(tenant, "purchase", "ann", clock() + DAYS + timedelta(seconds=1))
    assert len(credited(tenant)) == 2


def test_machines_other_people_and_test_sends_give_no_credit(
    tenant: Tenant, clock: Clock, messages: list[Message]
) -> None:
    shown = test_sends.show(messages[0].mailing, client_id=None, phone="", now=clock())
    clock.now += HOUR
    tell(tenant, "email_click", "ann", clock(), email_id=messages[0].pk, user_agent="python-requests/2")
    tell(tenant, "email_click", "ann", clock(), email_id=shown.pk)
    make_customer(tenant, external_id="bob")

    tell(tenant, "purchase", "ann", clock() + HOUR)
    tell(tenant, "purchase", "bob", clock() + HOUR)

    assert credited(tenant) == []


def test_what_comes_after_the_purchase_gives_no_credit(
    tenant: Tenant, clock: Clock, messages: list[Message]
) -> None:
    bought = told(tenant, "purchase", "ann", clock())
    later = told(tenant, "email_click", "ann", clock() + HOUR, email_id=messages[0].pk)
    told_late = told(tenant, "email_click", "ann", clock() - HOUR / 2, email_id=messages[1].pk)

    read(tenant, bought, later, told_late, now=clock())

    assert credited(tenant) == []


def test_read_again_the_same_message_gets_it_and_only_once(
    tenant: Tenant, clock: Clock, messages: list[Message]
) -> None:
    tell(tenant, "email_click", "ann", clock(), email_id=messages[0].pk)
    bought = tell(tenant, "purchase", "ann", clock() + 2 * HOUR)
    unpaid = tell(tenant, "purchase", "ann", clock() - DAYS)
    tell(tenant, "email_click", "ann", clock() + HOUR, email_id=messages[1].pk)

    read(tenant, bought, unpaid, now=clock())

    assert credited(tenant) == [(messages[0].pk, Credit.LAST_CLICK)]
    assert sum(row.count for row in messages[0].mailing.engagement_counts.filter(what="purchased")) == 1


def _settings():  # type: ignore[no-untyped-def]
    return settings.CLARION
