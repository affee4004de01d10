"""What an event is about: the id of its entity, and the customer by whom it is found."""

from typing import Any

import pytest

from clarion.flows import events
from clarion.models import Event, Tenant
from tests.conftest import Clock
from tests.flows.test_events import arrival

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("members", "entity_id"),
    [
        ({"entity_id": 0}, "0"),
        ({"entity_id": "a", "event_payload": {"entity_id": "b"}}, "a"),
        ({"event_payload": {"entity_id": "b"}}, "b"),
        ({}, ""),
        ({"entity_id": None}, ""),
        ({"entity_id": None, "event_payload": {"entity_id": "b"}}, "b"),
        ({"entity_id": "a", "event_payload": {"entity_id": None}}, "a"),
        ({"entity_id": None, "event_payload": {"entity_id": None}}, ""),
    ],
)
def test_an_entity_is_named_outside_or_in_the_payload(
    tenant: Tenant, clock: Clock, members: dict[str, Any], entity_id: str
) -> None:
    events.append([arrival(tenant, **members)], clock())

    assert Event.objects.get().entity_id == entity_id


IN_PAYLOAD = {"event_payload": {"entity_id": 42}}
OF_KEYS = {"event_payload": {"entity_id": 5, "key_attributes": {"customer_id": 42}}}


@pytest.mark.parametrize(
    ("members", "customer_ref"),
    [
        ({"event_type": "CUSTOMER", "entity_id": "42"}, "42"),
        ({"event_type": "CUSTOMER", **IN_PAYLOAD}, "42"),
        ({"event_type": "CUSTOMER", "entity_id": None, **IN_PAYLOAD}, "42"),
        # An event's entity is its type, whatever else it names.
        ({"event_type": "CUSTOMER", "entity_name": "STORE", "entity_id": "42"}, "42"),
        ({"event_type": "STORE", "entity_name": "CUSTOMER", "entity_id": "42"}, None),
        # Of these the type says nothing, so it is what they name.
        *(
            ({"event_type": kind, "entity_name": "Customer", "entity_id": "42"}, "42")
            for kind in ("ENTITY_EVENT", "SYSTEM_EVENT", "EVENT", "OTHER")
        ),
        ({"event_type": "ENTITY_EVENT", "entity_name": "CUSTOMER", "entity_id": None, **IN_PAYLOAD}, "42"),
        ({"event_type": "ENTITY_EVENT", "entity_name": "STORE", "entity_id": "42"}, None),
        ({"event_type": "ENTITY_EVENT", "entity_name": None, "entity_id": "42"}, None),
        ({"event_type": "CUSTOMER"}, None),
        ({"event_type": "CUSTOMER", "entity_id": "7", **OF_KEYS}, "42"),
        ({"event_type": "CUSTOMER", "customer_id": "42", "entity_id": "7"}, "42"),
    ],
)
def test_an_event_about_a_customer_is_found_by_the_customer(
    tenant: Tenant, clock: Clock, members: dict[str, Any], customer_ref: str | None
) -> None:
    events.append([arrival(tenant, **members)], clock())

    assert Event.objects.get().customer_ref == customer_ref
    assert events.of_customer(tenant, "42").count() == (customer_ref == "42")
