"""What machines open and click is told from what people do; and money is counted to the last part of a cent."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from clarion.models import Message, Tenant
from clarion.models.engagements import Kind, money
from tests.conftest import Clock
from tests.flows.mails import LATER, counted, tell

pytestmark = pytest.mark.django_db


def test_haste_is_a_machines(tenant: Tenant, clock: Clock, message: Message) -> None:
    tell(tenant, "email_delivered", message.customer_id, clock(), email_id=message.pk)
    for seconds in (-3, 14, 16):
        at = clock() + timedelta(seconds=seconds)
        tell(tenant, "email_click", message.customer_id, at, email_id=message.pk)

    marks = message.engagements.filter(kind=Kind.CLICKED).order_by("at").values_list("is_machine", flat=True)
    assert list(marks) == [True, True, False]
    assert counted(message) == {"delivered": 1, "machine_clicked": 1, "clicked": 1}


def test_without_a_word_of_delivery_haste_counts_from_the_acceptance(
    tenant: Tenant, clock: Clock, message: Message
) -> None:
    tell(tenant, "email_open", message.customer_id, clock() - LATER, email_id=message.pk)

    assert message.engagements.get().is_machine


def test_a_clock_that_is_years_behind_makes_nobody_a_machine(
    tenant: Tenant, clock: Clock, message: Message
) -> None:
    tell(tenant, "email_open", message.customer_id, clock() - timedelta(days=900), email_id=message.pk)

    assert not message.engagements.get().is_machine


def test_a_known_scanner_is_a_machine_whenever_it_comes(
    tenant: Tenant, clock: Clock, message: Message
) -> None:
    names: dict[str, Any] = {"email_id": message.pk}
    tell(tenant, "email_click", message.customer_id, clock(), user_agent="Barracuda Sentinel (EE)", **names)
    tell(tenant, "email_click", message.customer_id, clock(), ip="209.222.82.7", **names)
    tell(tenant, "email_open", message.customer_id, clock(), user_agent="Mozilla/5.0", **names)
    proxy = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
    tell(tenant, "email_open", message.customer_id, clock(), user_agent=proxy, **names)

    assert counted(message) == {"machine_clicked": 1, "machine_opened": 1, "opened": 1}


@pytest.mark.parametrize(
    "odd", [{"user_agent": 7, "ip": []}, {"ip": "not an address"}, {"user_agent": "x" * 9000}]
)
def test_odd_members_say_nothing(tenant: Tenant, clock: Clock, message: Message, odd: dict[str, Any]) -> None:
    tell(tenant, "email_open", message.customer_id, clock(), email_id=message.pk, **odd)

    assert not message.engagements.get().is_machine


def test_money_is_exact(tenant: Tenant, clock: Clock, message: Message) -> None:
    names: dict[str, Any] = {"email_id": message.pk}
    for amount in (0.1, "0.2", "19.999", 10**15, 1e-30):
        tell(tenant, "purchase", message.customer_id, clock(), amount=amount, currency="eur", **names)
    tell(tenant, "purchase", message.customer_id, clock(), amount=7, **names)

    assert counted(message) == {
        "purchased EUR": 5,
        "revenue EUR": 202_990,
        "purchased": 1,
        "revenue": 70_000,
    }
    assert money(202_990) == Decimal("20.299")
    assert str(money(125_000)) == "12.50"
    assert message.engagements.filter(amount=None).count() == 1
