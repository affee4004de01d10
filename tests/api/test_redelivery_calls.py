"""What a subscriber is sent once more, over the API: counted first, asked for once, and written down."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from clarion.flows import redeliveries
from clarion.models import Delivery, Event, Redelivery, State, Subscription, Tenant
from tests.api.calls import ask, refusal, wrong_members
from tests.conftest import Clock
from tests.subscribers import PATH, end_as, forward, make_subscription, tell

pytestmark = pytest.mark.django_db

REPLAY, RECOVER = f"{PATH}/orders/replay", f"{PATH}/orders/recover"


@pytest.fixture
def orders(tenant: Tenant, clock: Clock) -> Subscription:
    """A subscription that was told of two orders, after two that came before it."""
    tell(tenant, clock(), "1", "2")
    clock.pass_by(hours=1)
    subscription = make_subscription(tenant, clock())
    tell(tenant, clock(), "3", "4")
    forward(clock())
    return subscription


def counted(api: Client, path: str, **sent: Any) -> int:
    answer = ask(api, "POST", path, {**sent, "dry_run": True})
    assert answer.status_code == 200, answer.content
    assert answer.json()["exact"] is True
    return int(answer.json()["count"])


def test_what_would_be_sent_is_counted_first(api: Client, orders: Subscription, clock: Clock) -> None:
    since = (clock() - timedelta(minutes=30)).isoformat()

    assert counted(api, REPLAY, after_seq=0) == 4
    assert counted(api, REPLAY, after_seq=1, until_seq=3) == 2
    assert counted(api, REPLAY, since=since) == 2
    assert counted(api, REPLAY, since="2000-01-01", until=since) == 2
    assert counted(api, REPLAY, after_seq=0, filter={"path": "id", "in": ["1", "4", "9"]}) == 2
    assert counted(api, REPLAY, after_seq=100) == 0
    assert counted(api, RECOVER, since=since) == 0
    end_as(orders.tenant, State.CANCELLED, clock(), seq=3)
    assert counted(api, RECOVER, since=since) == 1
    assert counted(api, RECOVER, since=(clock() + timedelta(hours=1)).isoformat()) == 0
    assert not Redelivery.objects.exists()


def test_a_replay_is_written_down_with_who_asked_for_it(api: Client, orders: Subscription) -> None:
    asked = ask(api, "POST", REPLAY, {"after_seq": 1, "until_seq": 3})

    assert asked.status_code == 202
    assert {
        name: asked.json()[name] for name in ("kind", "status", "after_seq", "until_seq", "found", "done")
    } == {**{"kind": "REPLAY", "status": "RUNNING", "after_seq": 1, "until_seq": 3, "found": 2, "done": 0}}
    assert asked.json()["asked_by"] == "tests"
    assert api.get(f"{PATH}/orders/redeliveries").json() == {"data": [asked.json()], "next": None}
    assert api.get(f"{PATH}/orders/redeliveries/{asked.json()['id']}").json() == asked.json()
    assert api.get(f"{PATH}/orders/redeliveries/99999").status_code == 404


def test_the_same_call_under_one_key_is_one_replay(api: Client, orders: Subscription, clock: Clock) -> None:
    answers = [ask(api, "POST", REPLAY, {"after_seq": 0}, Idempotency_Key="k") for _ in range(2)]
    while redeliveries.run_due(clock()):
        pass

    assert answers[0].content == answers[1].content
    assert Redelivery.objects.get().done == 4
    assert Delivery.objects.exclude(redelivery_id=0).count() == 4


def test_a_recovery_lets_what_did_not_arrive_go_again(
    api: Client, orders: Subscription, clock: Clock
) -> None:
    end_as(orders.tenant, State.CANCELLED, clock())

    asked = ask(api, "POST", RECOVER, {"since": "2026-01-01"})
    while redeliveries.run_due(clock()):
        pass

    assert (asked.status_code, asked.json()["kind"], asked.json()["found"]) == (202, "RECOVERY", 2)
    shown = api.get(f"{PATH}/orders/redeliveries/{asked.json()['id']}").json()
    assert (shown["status"], shown["done"]) == ("DONE", 2)
    assert set(Delivery.objects.values_list("state", flat=True)) == {State.WAITING}


@pytest.mark.parametrize(
    ("sent", "member"),
    [
        ({}, "since"),
        ({"since": "2026-01-01", "after_seq": 1}, "after_seq"),
        ({"after_seq": 1, "until": "2026-01-01", "until_seq": 3}, "until_seq"),
        ({"since": "2026-01-02", "until": "2026-01-01"}, "until"),
        ({"after_seq": 3, "until_seq": 3}, "until_seq"),
        ({"after_seq": -1}, "after_seq"),
        ({"after_seq": 0, "filter": {"path": "id"}}, "filter"),
        ({"after_seq": 0, "colour": 1}, "colour"),
        ({"since": "soon"}, "since"),
    ],
)
def test_a_range_that_is_none_is_refused(
    api: Client, orders: Subscription, sent: dict[str, Any], member: str
) -> None:
    assert {each.partition(".")[0] for each in wrong_members(ask(api, "POST", REPLAY, sent))} == {member}
    assert not Redelivery.objects.exists()


def test_what_the_log_no_longer_has_cannot_be_replayed(api: Client, orders: Subscription) -> None:
    Event.objects.filter(seq__lte=2).delete()

    for sent in ({"after_seq": 1}, {"since": "2000-01-01"}):
        answer = ask(api, "POST", REPLAY, sent)
        assert refusal(answer, 410)["code"] == "log_pruned"
        assert answer.headers["Clarion-First-Seq"] == "3"
    assert counted(api, REPLAY, after_seq=2) == 2


def test_nothing_is_sent_again_to_whoever_ended(api: Client, orders: Subscription) -> None:
    ask(api, "PUT", f"{PATH}/orders/deactivate")

    for path, sent in ((REPLAY, {"after_seq": 0}), (RECOVER, {"since": "2026-01-01"})):
        assert refusal(ask(api, "POST", path, sent), 409)["code"] == "subscription_inactive"


def test_a_filter_that_cannot_be_read_any_more_is_named_and_no_fault_of_ours(
    api: Client, orders: Subscription
) -> None:
    Subscription.objects.of(orders.tenant).update(filter={"path": "x", "matches": "no longer known"})

    shown = api.get(f"/api/v1/event-subscription/{orders.ref}")
    counted = api.post(
        f"/api/v1/event-subscription/{orders.ref}/replay",
        {"after_seq": 0, "dry_run": True},
        content_type="application/json",
    )

    assert "filter" in shown.headers["Clarion-Warnings"]
    assert (counted.status_code, counted.json()) == (200, {"count": 0, "exact": True})
