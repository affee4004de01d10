"""The event subscriptions of the event collector (seed 004), as its document prints them, against real processes.

One member differs from what is printed: nobody is given a secret back.
"""

import json
from typing import Any

import pytest

from tests.hub import Hub

SUBSCRIPTION = """{
"active": true,
"destination": {
"sqs": {
"accessKey": "string",
"accessSecret": "string",
"queueUrl": "string",
"region": "string"
},
"type": "SNS"
},
"entityType": "CUSTOMER",
"id": "string",
"subscribeChange": true,
"subscribeCreate": true,
"subscribeDelete": true
}"""
DEACTIVATED = """{
"body": {},
"statusCode": "ACCEPTED",
"statusCodeValue": 0
}"""
# In the order of the document.
ENTITIES = [
    *("CUSTOMER", "INVENTORY_LEVEL", "INVENTORY_LOCATION", "ORDER"),
    *("PRICE", "PRODUCT", "VARIANT_PRODUCT", "WISHLIST"),
]
HIDDEN = "********"
PATH = "/api/v1/event-subscription"
BOTH_SPELLINGS = pytest.mark.parametrize("slash", ["/", ""], ids=["with a slash", "without a slash"])


def printed(**members: Any) -> dict[str, Any]:
    """The printed subscription as it was sent, with these members changed."""
    return {**json.loads(SUBSCRIPTION), **members}


def shown(**members: Any) -> dict[str, Any]:
    """The same as it is given back."""
    found = printed(**members)
    found["destination"]["sqs"]["accessSecret"] = HIDDEN
    return found


def blamed(answer: Any) -> list[str]:
    """The members that a problem names, the outermost first."""
    return [".".join(map(str, error["loc"])) for error in answer.json()["errors"]]


@BOTH_SPELLINGS
def test_the_printed_subscription_is_made_and_found(hub: Hub, slash: str) -> None:
    shop = hub.shop()

    made = shop.post(f"{PATH}{slash}", SUBSCRIPTION)
    found = shop.get(f"{PATH}/string{slash}")

    assert (made.status, made.json()) == (201, shown())
    assert (found.status, found.json()) == (200, shown())


def test_what_can_hardly_work_is_named(hub: Hub) -> None:
    made = hub.shop().post(PATH, SUBSCRIPTION)

    assert "queueUrl" in made.headers["Clarion-Warnings"]


def test_the_printed_subscription_again_is_the_one_there_is(hub: Hub) -> None:
    shop = hub.shop()
    shop.post(PATH, SUBSCRIPTION)

    again = shop.post(PATH, SUBSCRIPTION)
    other = shop.post(PATH, printed(entityType="ORDER"))

    assert (again.status, again.json()) == (200, shown())
    assert other.status == 409
    assert shop.get(f"{PATH}/string").json() == shown()


def test_a_subscription_without_an_id_gets_one(hub: Hub) -> None:
    shop = hub.shop()
    body = printed()
    del body["id"]

    made = shop.post(PATH, body)

    assert made.status == 201
    assert made.json() == shown(id=made.json()["id"])
    assert shop.get(f"{PATH}/{made.json()['id']}").json() == made.json()


@BOTH_SPELLINGS
def test_the_printed_update_replaces_what_there_is(hub: Hub, slash: str) -> None:
    shop = hub.shop()
    shop.post(PATH, printed(entityType="ORDER", subscribeDelete=False))

    changed = shop.put(f"{PATH}{slash}", SUBSCRIPTION)

    assert (changed.status, changed.json()) == (200, shown())
    assert shop.get(f"{PATH}/string").json() == shown()


def test_an_update_of_what_is_not_there_is_404(hub: Hub) -> None:
    shop = hub.shop()

    assert shop.put(PATH, SUBSCRIPTION).status == 404
    assert shop.get(f"{PATH}/string").status == 404
    assert shop.get(f"{PATH}?active=all").json() == []


def test_an_update_names_its_id(hub: Hub) -> None:
    body = printed()
    del body["id"]

    answer = hub.shop().put(PATH, body)

    assert (answer.status, blamed(answer)) == (400, ["id"])


def test_what_was_got_can_be_put_and_posted(hub: Hub) -> None:
    shop = hub.shop()
    shop.post(PATH, SUBSCRIPTION)
    got = shop.get(f"{PATH}/string").json()

    assert (shop.put(PATH, got).status, shop.post(PATH, got).status) == (200, 200)
    # The secret that is kept is still the first one: with another it would be another subscription.
    assert shop.post(PATH, SUBSCRIPTION).status == 200


@BOTH_SPELLINGS
def test_the_list_is_the_printed_array(hub: Hub, slash: str) -> None:
    shop = hub.shop()
    nothing = shop.get(f"{PATH}{slash}")
    shop.post(PATH, SUBSCRIPTION)

    found = shop.get(f"{PATH}{slash}")

    assert (nothing.status, nothing.json()) == (200, [])
    assert (found.status, found.json()) == (200, [shown()])


@BOTH_SPELLINGS
def test_deactivating_gives_the_printed_answer(hub: Hub, slash: str) -> None:
    shop = hub.shop()
    shop.post(PATH, SUBSCRIPTION)

    answer = shop.ask("PUT", f"{PATH}/string/deactivate{slash}")
    again = shop.ask("PUT", f"{PATH}/string/deactivate{slash}")

    assert (answer.status, answer.json()) == (200, json.loads(DEACTIVATED))
    assert (again.status, again.json()) == (200, json.loads(DEACTIVATED))


def test_a_deactivated_one_is_found_by_its_id_and_listed_on_demand_only(hub: Hub) -> None:
    shop = hub.shop()
    shop.post(PATH, SUBSCRIPTION)
    shop.post(PATH, printed(id="other"))

    shop.ask("PUT", f"{PATH}/string/deactivate")

    assert shop.get(f"{PATH}/string").json() == shown(active=False)
    assert shop.get(PATH).json() == [shown(id="other")]
    everything = {each["id"]: each for each in shop.get(f"{PATH}?active=all").json()}
    assert everything == {"string": shown(active=False), "other": shown(id="other")}


def test_an_update_can_make_it_active_again(hub: Hub) -> None:
    shop = hub.shop()
    shop.post(PATH, SUBSCRIPTION)
    shop.ask("PUT", f"{PATH}/string/deactivate")

    assert shop.put(PATH, SUBSCRIPTION).json() == shown()
    assert shop.get(PATH).json() == [shown()]


def test_deactivating_what_is_not_there_is_404(hub: Hub) -> None:
    shop = hub.shop()

    assert shop.ask("PUT", f"{PATH}/string/deactivate").status == 404
    assert shop.get(f"{PATH}?active=all").json() == []


@pytest.mark.parametrize("entity", ENTITIES)
def test_every_printed_entity_can_be_subscribed_to(hub: Hub, entity: str) -> None:
    made = hub.shop().post(PATH, printed(entityType=entity))

    assert (made.status, made.json()) == (201, shown(entityType=entity))


@pytest.mark.parametrize("kind", ["SQS", "SNS"])
def test_every_printed_destination_can_be_subscribed(hub: Hub, kind: str) -> None:
    destination = {**printed()["destination"], "type": kind}

    made = hub.shop().post(PATH, printed(destination=destination))

    assert (made.status, made.json()["destination"]["type"]) == (201, kind)


@pytest.mark.parametrize(
    ("members", "places"),
    [
        ({"entityType": "SHIP"}, ["entityType"]),
        ({"subscribeCreate": "maybe", "active": 7}, ["active", "subscribeCreate"]),
        ({"destination": {"type": "PIGEON"}}, ["destination.type"]),
        ({"destination": {"type": "SQS"}}, ["destination.sqs"]),
        ({"colour": "red"}, ["colour"]),
        ({"id": "x" * 256}, ["id"]),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_kept(
    hub: Hub, members: dict[str, Any], places: list[str]
) -> None:
    shop = hub.shop()

    answer = shop.post(PATH, printed(**members))

    assert (answer.status, sorted(blamed(answer))) == (400, places)
    assert shop.get(f"{PATH}?active=all").json() == []


def test_nobody_sees_the_subscriptions_of_another_tenant(hub: Hub) -> None:
    hub.shop().post(PATH, SUBSCRIPTION)
    stranger = hub.shop()

    assert stranger.get(PATH).json() == []
    assert stranger.get(f"{PATH}/string").status == 404
    assert stranger.put(PATH, SUBSCRIPTION).status == 404
    assert stranger.ask("PUT", f"{PATH}/string/deactivate").status == 404


def test_the_secret_is_in_no_log(hub: Hub) -> None:
    destination = printed()["destination"]
    destination["sqs"]["accessSecret"] = "once-seen-never-told"

    made = hub.shop().post(PATH, printed(destination=destination))

    assert made.json() == shown()
    assert "once-seen-never-told" not in hub.log.read_text()
