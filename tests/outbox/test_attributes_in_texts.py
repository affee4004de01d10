"""Texts that speak of a customer's attributes: each gets their own, and who has none costs nobody else a message."""

import pytest

from clarion.flows import mailings
from clarion.models import Customer, GatewayAccount, State, Tenant
from clarion.models.outgoing import Reason
from clarion.outbox.cycle import Outbox
from tests.conftest import Clock
from tests.factories import make_customer, make_mailing
from tests.outbox.rounds import settle

pytestmark = pytest.mark.django_db


@pytest.fixture
def two(tenant: Tenant, probe: GatewayAccount) -> tuple[Customer, Customer]:
    """One of whom the city is known, and one of whom nothing is."""
    ann, bob = make_customer(tenant), make_customer(tenant)
    Customer.objects.filter(pk=ann.pk).update(attributes={"city": "Kazan"})
    return ann, bob


@pytest.mark.parametrize(
    ("text", "of_ann", "of_bob"),
    [
        ("To {{ attributes.city }}", "To Kazan", None),
        ("To {{ attributes.city | default: 'you' }}", "To Kazan", "To you"),
        ("{% if attributes.city %}To {{ attributes.city }}{% else %}Hello{% endif %}", "To Kazan", "Hello"),
    ],
)
def test_a_message_fails_alone_where_an_attribute_is_missing(
    tenant: Tenant,
    two: tuple[Customer, Customer],
    clock: Clock,
    outbox: Outbox,
    text: str,
    of_ann: str,
    of_bob: str | None,
) -> None:
    mailing = make_mailing(tenant, now=clock(), text=text)
    mailings.start_due(clock())
    mailings.materialise_due(clock())
    settle(outbox, clock)

    ann, bob = mailing.message_set.order_by("customer_id")
    assert (ann.state, ann.text) == (State.ACCEPTED, of_ann)
    failed = (State.FAILED, Reason.CANNOT_RENDER, "")
    assert (bob.state, bob.reason, bob.text) == (failed if of_bob is None else (State.ACCEPTED, "", of_bob))
