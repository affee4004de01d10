"""Opt-outs of people by a word that the shop has for them, whether Clarion knows them yet, still, or not."""

import pytest

from clarion.models import Tenant
from clarion.models.outgoing import Reason
from tests.conftest import Clock
from tests.factories import make_customer
from tests.flows.mails import may, tell

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("ref", ["ann", "4711"])
def test_an_unsubscribe_waits_for_a_customer_who_is_not_known_yet(
    tenant: Tenant, clock: Clock, ref: str
) -> None:
    tell(tenant, "email_unsubscribe", ref, clock())

    assert may(make_customer(tenant, external_id=ref)) == Reason.OPTED_OUT
    assert may(make_customer(tenant, external_id="bob")) == ""


def test_a_number_that_nobody_had_holds_for_whoever_gets_it_as_clarions_id(
    tenant: Tenant, clock: Clock
) -> None:
    coming = make_customer(tenant).pk + 1
    tell(tenant, "email_unsubscribe", coming, clock())

    customer = make_customer(tenant)
    assert customer.pk == coming
    assert may(customer) == Reason.OPTED_OUT

    # Until somebody goes by it in the shop's own words: then they are meant.
    namesake = make_customer(tenant, external_id=str(coming))
    assert may(namesake) == Reason.OPTED_OUT
    assert may(customer) == ""


def test_who_was_meant_once_stays_meant_whoever_gets_the_number_later(tenant: Tenant, clock: Clock) -> None:
    customer = make_customer(tenant)
    tell(tenant, "email_unsubscribe", customer.pk, clock())

    namesake = make_customer(tenant, external_id=str(customer.pk))

    assert may(customer) == Reason.OPTED_OUT
    assert may(namesake) == ""


def test_an_opt_out_outlives_the_customer_and_a_change_of_reference(tenant: Tenant, clock: Clock) -> None:
    customer = make_customer(tenant, external_id="ann")
    tell(tenant, "email_unsubscribe", "ann", clock())

    customer.external_id = "anna"
    customer.save()
    assert may(customer) == Reason.OPTED_OUT

    customer.delete()
    assert may(make_customer(tenant, external_id="ann")) == Reason.OPTED_OUT
