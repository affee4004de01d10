"""Which index SQLite takes for deliveries: never all that a tenant has, whoever asks for those of a subscription."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection

from clarion.flows import deliveries, forwarding, redeliveries, subscriptions
from clarion.models import Delivery, State, Subscription, Tenant
from clarion.models.outgoing import BULK
from tests.conftest import Clock
from tests.subscribers import end_as, forward, make_subscription, tell

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "sqlite", reason="the others know how many rows a tenant has"),
]


@contextmanager
def plans() -> Iterator[list[str]]:
    """Note how every SELECT and UPDATE of the block is carried out."""
    noted: list[str] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if not many and sql.startswith(("SELECT", "UPDATE")) and "clarion_delivery" in sql:
            # The driver itself: what goes through Django would be noted as well.
            explained = "EXPLAIN QUERY PLAN " + sql.replace("%s", "?")
            for *_, step in connection.connection.execute(explained, tuple(params or ())):
                noted.append(f"{step}  <-  {sql}")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield noted


@pytest.fixture
def orders(tenant: Tenant, clock: Clock) -> Subscription:
    subscription = make_subscription(tenant, clock(), is_ordered=True)
    tell(tenant, clock(), "1", "2", "3", entity_id="same")
    forward(clock())
    end_as(tenant, State.DEAD, clock(), seq=1)
    return subscription


def test_nothing_goes_through_all_deliveries_of_a_tenant(
    tenant: Tenant, orders: Subscription, clock: Clock
) -> None:
    dead = Delivery.objects.get(seq=1).pk
    with plans() as noted:
        deliveries.newest(orders, since=clock(), until=clock(), before=9, most=5)
        deliveries.failures(orders)
        span = redeliveries.recovery_span(orders, since=clock())
        redeliveries.count(orders, span)
        deliveries.put_back(orders, [dead], priority=BULK, now=clock())
        tell(tenant, clock(), "4", entity_id="same")
        forward(clock())
        subscriptions.deactivate(orders, now=clock())
        forwarding.sweep_due(clock())

    assert len(noted) > 10
    assert not Delivery.objects.filter(state=State.WAITING).exists()
    assert [each for each in noted if "delivery_tenant" in each or "SCAN clarion_delivery " in each] == []
