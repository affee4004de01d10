"""What is sent once more goes in slices: each event once, whatever happens between two of them, and in its order."""

import pytest
from django.db import connection

from clarion.flows import deliveries, redeliveries, subscriptions
from clarion.flows.redeliveries import Count
from clarion.models import Delivery, Redelivery, State, Subscription, Tenant
from clarion.models.outgoing import BULK, Reason
from tests.conftest import Clock
from tests.subscribers import end_as, forward, make_subscription, tell

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def short_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redeliveries, "SLICE", {connection.vendor: 2})


def replay(subscription: Subscription, clock: Clock, **span: int) -> Redelivery:
    found = redeliveries.replay_span(subscription.tenant, **{"after_seq": 0, **span})  # type: ignore[arg-type]
    counted = redeliveries.count(subscription, found)
    return redeliveries.ask(subscription, found, counted, by="tests", now=clock())


def run(clock: Clock) -> int:
    slices = 0
    while redeliveries.run_due(clock()):
        slices += 1
    return slices


def replayed(asked: Redelivery) -> list[int]:
    rows = Delivery.objects.filter(redelivery_id=asked.pk).order_by("pk")
    return [seq for seq in rows.values_list("seq", flat=True) if seq is not None]


def test_a_replay_goes_through_its_range_slice_by_slice(tenant: Tenant, clock: Clock) -> None:
    tell(tenant, clock(), *"12345")
    subscription = make_subscription(tenant, clock())

    asked = replay(subscription, clock, after_seq=1)
    slices = run(clock)

    asked.refresh_from_db()
    assert (slices, asked.done, asked.cursor, asked.finished_at) == (2, 4, 5, clock())
    assert replayed(asked) == [2, 3, 4, 5]
    assert set(Delivery.objects.values_list("priority", "state")) == {(BULK, State.WAITING)}
    assert subscription.counts.get().count == 4


def test_a_slice_that_is_done_again_sends_nothing_twice(tenant: Tenant, clock: Clock) -> None:
    tell(tenant, clock(), *"123")
    asked = replay(make_subscription(tenant, clock()), clock)
    redeliveries.run_due(clock())
    Redelivery.objects.update(cursor=0)

    run(clock)

    assert replayed(asked) == [1, 2, 3]


def test_two_replays_are_two(tenant: Tenant, clock: Clock) -> None:
    tell(tenant, clock(), *"12")
    subscription = make_subscription(tenant, clock())
    asked = [replay(subscription, clock) for _ in range(2)]

    run(clock)

    assert [replayed(each) for each in asked] == [[1, 2], [1, 2]]


def test_a_replay_sends_what_the_subscription_takes(tenant: Tenant, clock: Clock) -> None:
    tell(tenant, clock(), "1", event_type="PRICE")
    tell(tenant, clock(), "2", event_payload={"operation": "DELETE"})
    tell(tenant, clock(), "3", is_test=True)
    tell(tenant, clock(), "4", "5")
    subscription = make_subscription(
        tenant, clock(), deletes=False, filter={"path": "entity_id", "equals": "5"}
    )

    asked = replay(subscription, clock)
    run(clock)

    assert (asked.found, replayed(asked)) == (1, [5])


def test_a_replay_ends_with_its_subscription(tenant: Tenant, clock: Clock) -> None:
    tell(tenant, clock(), *"1234")
    subscription = make_subscription(tenant, clock())
    asked = replay(subscription, clock)
    redeliveries.run_due(clock())

    subscriptions.deactivate(subscription, now=clock())
    run(clock)

    asked.refresh_from_db()
    assert (asked.done, asked.cursor, asked.finished_at) == (2, 2, clock())


def test_whose_filter_cannot_be_read_any_more_gets_nothing_once_more(tenant: Tenant, clock: Clock) -> None:
    tell(tenant, clock(), *"123")
    subscription = make_subscription(tenant, clock())
    Subscription.objects.of(tenant).update(filter={"path": "x", "matches": "no longer known"})

    asked = replay(subscription, clock)
    run(clock)

    asked.refresh_from_db()
    assert (asked.found, asked.done, replayed(asked)) == (0, 0, [])
    assert asked.finished_at is not None


def test_a_large_range_is_estimated(tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redeliveries, "MOST_COUNTED", 4)
    tell(tenant, clock(), *"123456789")
    subscription = make_subscription(tenant, clock())

    assert redeliveries.count(subscription, redeliveries.replay_span(tenant, after_seq=0)) == Count(9, False)
    assert redeliveries.count(subscription, redeliveries.replay_span(tenant, after_seq=5)) == Count(4, True)


def test_a_recovery_takes_what_did_not_arrive_and_leaves_the_rest(tenant: Tenant, clock: Clock) -> None:
    subscription = make_subscription(tenant, clock())
    tell(tenant, clock(), *"12345")
    forward(clock())
    end_as(tenant, State.ACCEPTED, clock(), seq=1)
    end_as(tenant, State.CANCELLED, clock(), reason=Reason.SUBSCRIPTION_ENDED, seq=2)
    clock.pass_by(hours=1)
    since = clock()
    end_as(tenant, State.DEAD, clock(), reason=Reason.TRIES_USED_UP, seq=3)
    end_as(tenant, State.EXPIRED, clock(), reason=Reason.WINDOW_OVER, seq=4)

    span = redeliveries.recovery_span(subscription, since=since)
    asked = redeliveries.ask(subscription, span, redeliveries.count(subscription, span), by="x", now=clock())
    run(clock)

    asked.refresh_from_db()
    assert (asked.found, asked.done) == (2, 2)
    states = dict(Delivery.objects.values_list("seq", "state"))
    waiting, cancelled = State.WAITING, State.CANCELLED
    assert states == {1: State.ACCEPTED, 2: cancelled, 3: waiting, 4: waiting, 5: waiting}


def test_a_recovery_is_counted_by_what_ended_since_however_much_failed_before(
    tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscription = make_subscription(tenant, clock())
    for ids in ("abcde", "fg"):
        since = clock()
        tell(tenant, clock(), *ids)
        forward(clock())
        end_as(tenant, State.DEAD, clock(), reason=Reason.TRIES_USED_UP)
        clock.pass_by(days=3)
    span = redeliveries.recovery_span(subscription, since=since)

    assert redeliveries.count(subscription, span) == Count(2, True)
    monkeypatch.setattr(redeliveries, "MOST_ENDED", 5)
    assert redeliveries.count(subscription, span) == Count(2, False)


def test_what_goes_again_stands_in_line_where_an_order_is_kept(tenant: Tenant, clock: Clock) -> None:
    make_subscription(tenant, clock(), is_ordered=True)
    tell(tenant, clock(), *"123", entity_id="same")
    forward(clock())
    end_as(tenant, State.CANCELLED, clock(), seq=1)
    first, second = Delivery.objects.get(seq=1), Delivery.objects.get(seq=2)
    assert second.due_at == clock()

    deliveries.retry(first, by="somebody", now=clock())

    lines = list(Delivery.objects.order_by("pk").values_list("order_key", "state"))
    assert len(set(lines)) == 1
    assert lines[0][0] is not None
    # One of a line may go at a time, and the first of them is first.
    due = Delivery.objects.filter(due_at__lte=clock())
    assert list(due.values_list("seq", flat=True)) == [1]


def test_an_ordered_replay_lets_one_of_each_entity_go(tenant: Tenant, clock: Clock) -> None:
    tell(tenant, clock(), "1", "2", entity_id="a")
    tell(tenant, clock(), "3", entity_id="b")
    subscription = make_subscription(tenant, clock(), is_ordered=True)

    replay(subscription, clock)
    run(clock)

    due = Delivery.objects.filter(due_at__lte=clock()).order_by("seq")
    assert list(due.values_list("seq", flat=True)) == [1, 3]
