"""Which events become deliveries for whom; and that each does so once."""

from typing import Any

import pytest

from clarion.flows import audit, forwarding
from clarion.flows.matching import failures
from clarion.flows.readers import find
from clarion.flows.replays import rewind
from clarion.models import Delivery, Tenant
from tests.conftest import Clock
from tests.outbox.receivers import counted, forward, happen, order, standing, subscribe

NOWHERE = "https://receiver.example.com/"


def told(number: int = 1, **members: Any) -> dict[str, Any]:
    return {"event_type": "ENTITY_EVENT", "entity_id": str(number), **members}


# What a subscription names, an event, and whether it is for it.
MEANT = [
    ({"entity": "ORDER"}, order(), True),
    ({"entity": "CUSTOMER"}, order(), False),
    ({"entity": "ALL"}, order(), True),
    ({"entity": "ORDER"}, order(operation="READ"), False),
    ({"entity": "ALL"}, order(operation="READ"), False),
    ({"entity": "ORDER", "creates": False}, order(operation="BULK_CREATE"), False),
    ({"entity": "ORDER", "changes": False, "deletes": False}, order(operation="BULK_CREATE"), True),
    ({"entity": "ORDER", "changes": False}, order(operation="BULK_UPDATE"), False),
    ({"entity": "ORDER", "deletes": False}, order(operation="DELETE"), False),
    ({"entity": "ORDER", "creates": False, "changes": False}, order(operation="DELETE"), True),
    # An event that names no operation tells of something new.
    ({"entity": "FAULT", "changes": False, "deletes": False}, {"event_type": "FAULT"}, True),
    ({"entity": "FAULT", "creates": False}, {"event_type": "FAULT"}, False),
    # What is about an entity that it names.
    ({"entity": "CUSTOMER"}, told(entity_name="customer"), True),
    ({"entity": "CUSTOMER"}, told(entity_name="Order"), False),
    ({"entity": "CUSTOMER"}, told(), False),
    ({"entity": "ALL"}, told(), True),
    ({"entity": "ENTITY_EVENT"}, told(entity_name="customer"), False),
    # What is on a wishlist is a part of it.
    ({"entity": "WISHLIST"}, {"event_type": "WISHLIST_ITEM", "entity_id": "1"}, True),
    ({"entity": "WISHLIST_ITEM"}, {"event_type": "WISHLIST", "entity_id": "1"}, False),
    ({"entity": "ORDER", "is_active": False}, order(), False),
    ({"entity": "ORDER", "is_test": True}, order(), False),
    (
        {"entity": "ORDER", "filter": {"path": "key.status", "equals": "SHIPPED"}},
        order(payload={"key_attributes": {"status": "SHIPPED"}}),
        True,
    ),
    (
        {"entity": "ORDER", "filter": {"path": "key.status", "equals": "SHIPPED"}},
        order(payload={"key_attributes": {"status": "PACKED"}}),
        False,
    ),
]


@pytest.mark.parametrize(("wanted", "event", "is_meant"), MEANT)
def test_an_event_goes_to_whoever_wants_to_hear_of_it_and_the_others_say_why_not(
    tenant: Tenant, clock: Clock, wanted: dict[str, Any], event: dict[str, Any], is_meant: bool
) -> None:
    subscription = subscribe(tenant, NOWHERE, clock(), **wanted)
    (stored,) = happen(tenant, clock(), event)

    forward(clock)

    assert len(standing(subscription)) == is_meant
    assert (failures(subscription, stored.logged) == []) == is_meant


def test_a_subscription_made_with_a_test_key_hears_of_what_test_keys_tell(
    tenant: Tenant, clock: Clock
) -> None:
    rehearsing = subscribe(tenant, NOWHERE, clock(), is_test=True)
    real = subscribe(tenant, NOWHERE, clock())
    happen(tenant, clock(), order(), is_test=True)

    forward(clock)

    assert (len(standing(rehearsing)), len(standing(real))) == (1, 0)


def test_events_before_a_subscription_are_not_for_it(tenant: Tenant, clock: Clock) -> None:
    happen(tenant, clock(), order(1))
    subscription = subscribe(tenant, NOWHERE, clock(), from_seq=1)
    happen(tenant, clock(), order(2))

    forward(clock)

    assert list(Delivery.objects.of(tenant).values_list("subscription", "seq")) == [(subscription.pk, 2)]


def test_another_tenants_events_are_nobodys_business(
    tenant: Tenant, other_tenant: Tenant, clock: Clock
) -> None:
    subscribe(tenant, NOWHERE, clock(), entity="ALL")
    happen(other_tenant, clock(), order())

    forward(clock)

    assert not Delivery.objects.exists()


@pytest.mark.parametrize("is_ordered", [False, True])
def test_a_log_that_is_read_again_makes_nothing_twice(tenant: Tenant, clock: Clock, is_ordered: bool) -> None:
    subscriptions = [subscribe(tenant, NOWHERE, clock(), is_ordered=is_ordered) for _ in range(3)]
    happen(tenant, clock(), *(order(number) for number in range(20)))
    forward(clock)

    rewind(find("forwarding"), tenant, 0, clock())
    happen(tenant, clock(), order(20))
    forward(clock)

    for subscription in subscriptions:
        assert len(standing(subscription)) == sum(counted(subscription).values()) == 21
    assert audit.run(clock()) == []


def test_what_leaves_has_a_week_and_is_due_at_once(tenant: Tenant, clock: Clock) -> None:
    subscribe(tenant, NOWHERE, clock())
    happen(tenant, clock(), order())

    forward(clock)

    delivery = Delivery.objects.of(tenant).get()
    assert (delivery.due_at, delivery.deadline_at) == (clock(), clock() + forwarding.LONGEST)
