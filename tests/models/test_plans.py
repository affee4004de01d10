"""Which index SQLite takes: it keeps no statistics, and has any tenant for one with ten rows.

The others know how many rows a tenant has.
"""

from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet

from clarion.models import Customer, Engagement, Message, Subscription, Tenant
from tests.conftest import Clock
from tests.factories import make_customer

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "sqlite", reason="the others know how many rows a tenant has"),
]


@pytest.mark.parametrize("count", [1, 10, 1_000])
def test_rows_of_some_are_looked_for_by_them_and_not_among_all_that_the_tenant_has(
    tenant: Tenant, clock: Clock, count: int
) -> None:
    some = range(count)
    messages = Message.objects.of(tenant, leads=False)
    engagements = Engagement.objects.of(tenant, leads=False)
    plans: list[tuple[QuerySet[Any], str]] = [
        (
            engagements.by_people(some, clock(), clock()),
            "engagement_customer (customer_id=? AND at>? AND at<?)",
        ),
        (engagements.of_messages(some), "engagement_message (message_id=?)"),
        (messages.filter(customer_id__in=some), "(customer_id=?"),
        (messages.filter(customer_id__in=some, provider_id__in=["a", "b"]), "(customer_id=?"),
    ]

    for rows, index in plans:
        assert index in rows.explain()


def test_rows_found_by_something_else_are_still_those_of_the_tenant(tenant: Tenant, clock: Clock) -> None:
    other = Tenant.objects.create(name="other", created_at=clock())
    mine, theirs = make_customer(tenant), make_customer(other)

    rows = Customer.objects.of(tenant, leads=False).filter(pk__in=[mine.pk, theirs.pk])

    assert list(rows) == [mine]


def test_who_wants_to_hear_of_an_entity_is_found_in_an_index(tenant: Tenant, clock: Clock) -> None:
    wanted = Subscription.objects.of(tenant).interested_in("creates", {"order", "all"})

    plan = wanted.values_list("pk").explain()
    assert "subscription_match (tenant_id=? AND entity=?)" in plan
