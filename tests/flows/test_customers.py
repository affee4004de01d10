"""A customer leaves: what waits for them is cancelled in the same moment, and what was sent still counts."""

import pytest

from clarion.flows import audit, customers, mailings
from clarion.models import Customer, Message, State, Tenant
from clarion.models.outgoing import Reason
from tests.conftest import Clock
from tests.factories import make_customer, make_mailing
from tests.outbox.rounds import enlist, in_flight

pytestmark = pytest.mark.django_db


def test_who_leaves_gets_nothing_more_and_nobody_else_is_touched(
    tenant: Tenant, other_tenant: Tenant, clock: Clock
) -> None:
    leaving, staying = make_customer(tenant), make_customer(tenant)
    under_way, waiting = (make_mailing(tenant, now=clock()) for _ in range(2))
    mailings.start_due(clock())
    mailings.materialise_due(clock())
    in_flight(under_way, enlist(clock), clock)

    customers.delete(leaving, now=clock())

    rows = Message.objects.order_by("mailing_id", "customer_id").values_list(
        "mailing_id", "customer_id", "state", "reason"
    )
    leaving_id = min(Message.objects.values_list("customer_id", flat=True))
    assert list(Customer.objects.values_list("pk", flat=True)) == [staying.pk]
    assert list(rows) == [
        (under_way.pk, leaving_id, State.SENDING, ""),
        (under_way.pk, staying.pk, State.SENDING, ""),
        (waiting.pk, leaving_id, State.CANCELLED, Reason.CUSTOMER_DELETED),
        (waiting.pk, staying.pk, State.WAITING, ""),
    ]
    assert audit.run(clock()) == []


def test_who_was_never_written_to_leaves_without_a_trace(tenant: Tenant, clock: Clock) -> None:
    customers.delete(make_customer(tenant), now=clock())

    assert (Customer.objects.count(), Message.objects.count()) == (0, 0)
