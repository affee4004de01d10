"""What filters see of an event, what leaves of it, and what stands beside that."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clarion.lib import payload_filters
from clarion.outbox.bodies import Told, attributes, event_body, interaction_body, readable

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ITEM = {
    "id": "wi-1",
    "wishlistId": "w-1",
    "product": {
        "productId": "p-1",
        "productRef": "SKU-1",
        "selectedVariantId": "v-1",
        "selectedVariantRef": "SKU-1-M",
    },
    "notifyMe": True,
    "disableNotification": False,
    "prerelease": False,
    "purchased": False,
    "addedByStaff": False,
    "createdTime": "2024-05-01T02:37:22.407Z",
}
WISHLIST = {"id": "w-1", "name": "Birthday", "customerId": "c-1", "customerRef": "CUST-1", "isPrivate": True}
MEMBERS = [
    *("id", "created_at", "customerId", "customerRef", "deleted", "disableNotification", "entityType"),
    *("interactionType", "itemId", "prerelease", "productId", "productRef", "purchased", "tenantId"),
    *("variantId", "varientAttributes", "wishlistId"),
]


def coded(value: Any) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


def entity_event(**payload: Any) -> str:
    return json.dumps({"event_type": "ORDER", "id": "e-1", "event_payload": payload})


def told(
    payload: Any = None, *, entity: str = "wishlist_item", operation: str = "CREATE", **more: Any
) -> Told:
    members = {"event_type": entity.upper(), "id": "e-1", **more}
    members["event_payload"] = {"operation": operation, **members.get("event_payload", {})}
    if payload is not None:
        members["event_payload"]["base64_encoded_payload_json"] = coded(payload)
    return Told("e-1", entity, operation, "shop", NOON, json.dumps(members))


def interaction(*args: Any, **named: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(interaction_body(told(*args, **named)))
    return found


def test_a_filter_sees_the_event_its_payload_its_fault_and_its_key() -> None:
    body = entity_event(
        base64_encoded_payload_json=coded({"total": 5}),
        base64_encoded_fault_json=coded({"status": 500}),
        key_attributes={"store": "7"},
    )

    seen = readable(body)

    assert (seen["id"], seen["payload"], seen["fault"], seen["key"]) == (
        *("e-1", {"total": 5}, {"status": 500}, {"store": "7"}),
    )
    assert set(seen) == {"event_type", "id", "event_payload", "payload", "fault", "key"}
    assert payload_filters.compile({"path": "payload.total", "equals": "5"}).matches(readable(body))


@pytest.mark.parametrize("text", ["", "string", "%%%", "é", base64.b64encode(b"{").decode(), coded("x")[:-1]])
def test_what_cannot_be_decoded_is_absent(text: str) -> None:
    seen = readable(entity_event(base64_encoded_payload_json=text))

    assert "payload" not in seen
    assert seen.get("payload") is None
    assert list(seen) == ["event_type", "id", "event_payload"]


def test_a_payload_nested_beyond_reading_is_absent() -> None:
    text = base64.b64encode(b"[" * 100_000).decode()

    assert readable(entity_event(base64_encoded_payload_json=text)).get("payload") is None


def test_a_mail_event_is_seen_as_it_was_told() -> None:
    seen = readable('{"event_type": "email_open", "customer_id": 1112, "payload": "mine", "key": 5}')

    assert dict(seen) == {"event_type": "email_open", "customer_id": 1112, "payload": "mine", "key": 5}


def test_what_the_payload_says_stands_in_front_of_members_of_the_same_name() -> None:
    members = {"payload": 1, "fault": 2, "key": 3, "event_payload": {"key_attributes": {"a": 1}}}

    assert dict(readable(json.dumps(members))) == {"event_payload": members["event_payload"], "key": {"a": 1}}
    assert dict(readable('{"key": 3, "event_payload": {}}')) == {"event_payload": {}}


def test_a_payload_is_decoded_when_it_is_asked_for_and_not_before() -> None:
    seen = readable(entity_event(base64_encoded_payload_json=coded([1]), key_attributes={"store": "7"}))
    by_key = payload_filters.compile({"path": "key.store", "equals": 7})

    assert by_key.matches(seen)
    assert "payload" not in seen._members
    assert seen.get("payload") == [1]
    assert "payload" in seen._members


def test_beside_a_body_stands_what_is_known_and_nothing_empty() -> None:
    assert attributes(told(operation="UPDATE")) == {
        "event_id": "e-1",
        "entity": "WISHLIST_ITEM",
        "operation": "UPDATE",
        "tenant": "shop",
        "time": "2026-11-20T12:00:00Z",
    }
    assert attributes(Told("7", "", "", "shop", NOON, "{}")).keys() == {"event_id", "tenant", "time"}


def test_the_body_of_an_event_is_what_is_stored() -> None:
    event = Told("7", "order", "CREATE", "shop", NOON, '{"id":  7}')

    assert event_body(event) == interaction_body(event) == '{"id":  7}'


def test_an_item_of_a_wishlist_is_told_as_an_interaction() -> None:
    found = interaction(
        {**ITEM, "attributeGroups": {"look": {"attributes": {"size": "xl", "color": "blue"}}}}
    )

    assert list(found) == MEMBERS
    assert found == {
        "id": "e-1",
        "created_at": "2026-11-20T12:00:00Z",
        "customerId": None,
        "customerRef": None,
        "deleted": 0,
        "disableNotification": 0,
        "entityType": "WISHLISTITEM",
        "interactionType": "CREATED",
        "itemId": "wi-1",
        "prerelease": 0,
        "productId": "p-1",
        "productRef": "SKU-1",
        "purchased": 0,
        "tenantId": "shop",
        "variantId": "v-1",
        "varientAttributes": "color=blue,size=xl",
        "wishlistId": "w-1",
    }


def test_a_wishlist_is_told_as_an_interaction() -> None:
    found = interaction(WISHLIST, entity="wishlist", operation="UPDATE")

    assert list(found) == MEMBERS
    assert {name: value for name, value in found.items() if value is not None} == {
        "id": "e-1",
        "created_at": "2026-11-20T12:00:00Z",
        "customerId": "c-1",
        "customerRef": "CUST-1",
        "deleted": 0,
        "entityType": "WISHLIST",
        "interactionType": "CHANGED",
        "itemId": "w-1",
        "tenantId": "shop",
        "wishlistId": "w-1",
    }


@pytest.mark.parametrize(
    ("operation", "payload", "kind", "deleted"),
    [
        ("CREATE", {}, "CREATED", 0),
        ("BULK_CREATE", {}, "CREATED", 0),
        ("UPDATE", {}, "CHANGED", 0),
        ("BULK_UPDATE", {"deleted": True}, "CHANGED", 1),
        ("DELETE", {"deleted": False}, "DELETED", 1),
        ("UPDATE", {"purchased": True}, "PURCHASED", 0),
        ("CREATE", {"purchased": 1}, "PURCHASED", 0),
        ("DELETE", {"purchased": True}, "DELETED", 1),
        ("READ", {}, None, None),
        ("READ", {"deleted": "false"}, None, 0),
    ],
)
def test_what_happened_has_one_of_four_names(
    operation: str, payload: dict[str, Any], kind: str | None, deleted: int | None
) -> None:
    found = interaction({**ITEM, **payload}, operation=operation)

    assert (found["interactionType"], found["deleted"]) == (kind, deleted)


@pytest.mark.parametrize(
    ("groups", "text"),
    [
        ({"a": {"attributes": {"size": "xl", "color": "blue"}, "description": ""}}, "color=blue,size=xl"),
        (
            {
                "b": {
                    "attribute_group": "b",
                    "attributes": {"size": {"attribute_value": "xl", "value_type": "STRING"}},
                    "is_obsolete": False,
                },
                "c": {"attributes": {"old": {"attribute_value": "1"}}, "is_obsolete": True},
            },
            "size=xl",
        ),
        (
            {"a": {"attributes": {"inches": 5.5, "new": True, "more": {"attribute_value": 7}}}},
            "inches=5.5,more=7,new=true",
        ),
        ({"a": {"attributes": {"none": None, "list": [1]}}}, None),
        ({"a": "b", "c": {"attributes": []}}, None),
        ("none", None),
    ],
)
def test_both_dialects_of_attributes_become_one_text(groups: Any, text: str | None) -> None:
    assert interaction({**ITEM, "attributeGroups": groups})["varientAttributes"] == text
    assert interaction({"product": {"attributeGroups": groups}})["varientAttributes"] == text


def test_without_a_readable_payload_the_event_itself_is_told() -> None:
    event_payload = {
        "base64_encoded_payload_json": "string",
        "entity_id": 77,
        "key_attributes": {"customer_id": 1112, "wishlistId": "w-1", "productRef": "SKU-1"},
    }

    found = interaction(operation="DELETE", event_payload=event_payload)

    assert list(found) == MEMBERS
    assert {name: value for name, value in found.items() if value is not None} == {
        "id": "e-1",
        "created_at": "2026-11-20T12:00:00Z",
        "customerRef": "1112",
        "deleted": 1,
        "entityType": "WISHLISTITEM",
        "interactionType": "DELETED",
        "itemId": "77",
        "productRef": "SKU-1",
        "tenantId": "shop",
        "wishlistId": "w-1",
    }


@pytest.mark.parametrize(
    "payload", ["text", 5, [], [1, 2], {"id": {}, "product": [], "purchased": []}, [ITEM, ITEM]]
)
def test_a_payload_of_another_shape_still_gives_every_member(payload: Any) -> None:
    found = interaction(payload, entity_id="wi-9")

    assert list(found) == MEMBERS
    assert (found["itemId"], found["productId"], found["purchased"]) == ("wi-9", None, None)


def test_a_list_of_one_is_that_one() -> None:
    assert interaction([ITEM], operation="BULK_CREATE")["itemId"] == "wi-1"


def test_the_same_event_is_told_in_the_same_words() -> None:
    groups = {"attributeGroups": {"a": {"attributes": {"x": "1", "y": "2"}}}}
    turned = {"attributeGroups": {"a": {"attributes": {"y": "2", "x": "1"}}}}

    assert interaction_body(told({**ITEM, **groups})) == interaction_body(told({**turned, **ITEM}))


NAMES = st.sampled_from(
    [*ITEM, *ITEM["product"], "attributeGroups", "attributes", "attribute_value", "customer_id"]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
)


# So many take half a second; a busy machine is no fault.
@settings(deadline=None, max_examples=30)
@given(VALUES, VALUES, st.sampled_from(["", "CREATE", "UPDATE", "DELETE", "READ"]))
def test_whatever_is_in_an_event_it_gives_every_member(payload: Any, keys: Any, operation: str) -> None:
    found = interaction(payload, operation=operation, event_payload={"key_attributes": keys})

    assert list(found) == MEMBERS
    assert {found[name] for name in ("deleted", "purchased", "prerelease")} <= {0, 1, None}
    assert all(isinstance(found[name], str | None) for name in ("itemId", "wishlistId", "varientAttributes"))
