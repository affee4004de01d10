"""From an event to a receiver that verifies it, over real HTTP: subscribed, tested, delivered, mended, replayed."""

from collections.abc import Iterator
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.hub import Shop, wait_until
from tests.receiver import Post, Receiver, receiving

pytestmark = pytest.mark.slow

PATH = "/api/v1/event-subscription"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def subscribed(shop: Shop, receiver: Receiver, **members: Any) -> dict[str, Any]:
    """Subscribe the receiver to orders; return the answer."""
    body = {
        **{"active": True, "entityType": "ORDER", "id": "orders"},
        **{"subscribeCreate": True, "subscribeChange": True, "subscribeDelete": True},
        "destination": {"type": "WEBHOOK", "webhook": {"url": receiver.url}},
        **members,
    }
    answer = shop.post(PATH, body)
    assert answer.status == 201, answer.body
    return dict(answer.json())


def order(shop: Shop, number: str, event_id: str = "", operation: str = "CREATE") -> None:
    event = {"event_type": "ORDER", "entity_id": number, "event_payload": {"operation": operation}}
    assert shop.post("/api/v1/events", {**event, "id": event_id or f"o-{number}"}).status == 201


def verified(post: Post, secret: str) -> Any:
    headers = {name: post.headers[name] for name in post.headers if name.startswith("webhook-")}
    return Webhook(secret).verify(post.body.decode(), headers)


def statuses(shop: Shop) -> list[str]:
    return [each["status"] for each in shop.get(f"{PATH}/orders/deliveries").json()["data"]]


def test_an_event_arrives_signed_and_only_once(shop: Shop, receiver: Receiver) -> None:
    made = subscribed(shop, receiver)
    secret = made["destination"]["webhook"]["secret"]

    order(shop, "1")
    assert wait_until(lambda: statuses(shop) == ["SENT"])

    (post,) = receiver.posts
    assert verified(post, secret)["id"] == "o-1"
    (shown,) = shop.get(f"{PATH}/orders/deliveries").json()["data"]
    assert (shown["event_id"], shown["seq"], shown["code"]) == ("o-1", 1, "204")
    assert shown["message_id"] == post.headers["webhook-id"]


def test_a_subscriber_sees_whether_anything_arrives(shop: Shop, receiver: Receiver) -> None:
    subscribed(shop, receiver, active=False)

    right = shop.post(f"{PATH}/orders/test", {})
    receiver.status, receiver.text = 404, "no such hook"
    wrong = shop.post(f"{PATH}/orders/test", {})

    assert (right.status, right.json()["status"], right.json()["code"]) == (200, "SENT", "204")
    assert right.json()["ms"] >= 0
    assert (wrong.status, wrong.json()["status"], wrong.json()["code"]) == (200, "FAILED", "404")
    assert wrong.json()["excerpt"] == "no such hook"
    assert [post.event["test"] for post in receiver.posts] == [True, True]
    assert receiver.ids[0].startswith("clarion-test-")
    later = shop.post(f"{PATH}/orders/test", {}, Prefer="respond-async")
    assert (later.status, later.json()["status"]) == (202, "PENDING")


def test_what_was_sent_is_sent_once_more_when_it_is_asked_for(shop: Shop, receiver: Receiver) -> None:
    order(shop, "1")
    subscribed(shop, receiver)
    order(shop, "2")
    assert wait_until(lambda: receiver.ids == ["o-2"])

    asked = shop.post(f"{PATH}/orders/replay", {"after_seq": 0})

    assert (asked.status, asked.json()["found"], asked.json()["kind"]) == (202, 2, "REPLAY")
    assert wait_until(lambda: len(receiver.posts) == 3)
    assert sorted(receiver.ids) == ["o-1", "o-2", "o-2"]
    assert len({post.headers["webhook-id"] for post in receiver.posts}) == 3
    path = f"{PATH}/orders/redeliveries/{asked.json()['id']}"
    assert wait_until(lambda: shop.get(path).json()["status"] == "DONE")
    assert shop.get(path).json()["done"] == 2


def test_both_secrets_sign_for_a_while_after_a_new_one_was_made(shop: Shop, receiver: Receiver) -> None:
    old = subscribed(shop, receiver)["destination"]["webhook"]["secret"]

    new = shop.post(f"{PATH}/orders/rotate-secret", {}).json()["destination"]["webhook"]["secret"]
    order(shop, "1")
    assert wait_until(lambda: receiver.posts)

    assert old != new
    assert verified(receiver.posts[0], old) == verified(receiver.posts[0], new)
    shown = shop.get(f"{PATH}/orders").json()["destination"]["webhook"]
    assert shown["secret"] == shown["oldSecrets"][0]["secret"] == "********"


def test_what_is_about_one_entity_arrives_in_its_order_though_the_first_fails_at_first(
    shop: Shop, receiver: Receiver
) -> None:
    subscribed(shop, receiver, ordered=True)
    receiver.status = 500

    order(shop, "1", "first")
    assert wait_until(lambda: receiver.ids == ["first"])
    receiver.status = 204
    order(shop, "1", "second", "UPDATE")
    order(shop, "2", "other")
    assert wait_until(lambda: len(receiver.posts) == 4)

    # Another entity does not wait; the same one does.
    assert receiver.ids == ["first", "other", "first", "second"]
    assert wait_until(lambda: statuses(shop) == ["SENT"] * 3)


def test_what_was_cancelled_with_its_subscription_is_recovered(shop: Shop, receiver: Receiver) -> None:
    subscribed(shop, receiver)
    receiver.status = 503
    order(shop, "1")
    assert wait_until(lambda: receiver.posts)
    shop.ask("PUT", f"{PATH}/orders/deactivate")
    assert wait_until(lambda: statuses(shop) == ["CANCELLED"])

    receiver.status = 204
    shop.put(PATH, {**shop.get(f"{PATH}/orders").json(), "active": True})
    asked = shop.post(f"{PATH}/orders/recover", {"since": "2000-01-01"})

    assert (asked.status, asked.json()["found"]) == (202, 1)
    assert wait_until(lambda: statuses(shop) == ["SENT"])
    assert len({post.headers["webhook-id"] for post in receiver.posts}) == 1
