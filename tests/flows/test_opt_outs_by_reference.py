"""Opt-outs of people by a word that the shop has for them, whether Clarion knows them yet, still, or not."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clarion.models import Tenant
from clarion.models.outgoing import Reason
from clarion.models.permissions import Asked, refusals
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


def test_whoever_has_no_address_is_not_looked_for_by_one(
    tenant: Tenant, other_tenant: Tenant, clock: Clock
) -> None:
    """Most suppressions of an installation may be without one: asked for by it, all of them would be read."""
    tell(other_tenant, "email_bounce", "bob", clock())
    tell(tenant, "email_bounce", "ann", clock())
    asked = Asked(tenant.pk, 0, "ann", "", "email", "marketing")

    with CaptureQueriesContext(connection) as asking:
        answers = refusals([asked])

    assert answers == [Reason.SUPPRESSED]
    # PostgreSQL is asked in another way than the others.
    assert not any(re.search(r"address (IN|= ANY)", each["sql"]) for each in asking.captured_queries)
    assert refusals([asked, asked._replace(external_id="bob", address="70000000001")]) == [answers[0], ""]
