"""Event subscriptions in flows: what two callers do at once, what ends with one, and what a trace says of its deliveries."""

from datetime import timedelta

import pytest

from clarion.flows import deliveries, destination_settings, forwarding, subscriptions, test_deliveries, traces
from clarion.flows.destination_settings import BadDestination, Chosen
from clarion.flows.event_checks import ENTITY_KINDS, MAIL_KINDS
from clarion.flows.matching import failures
from clarion.flows.subscriptions import ENTITY_TYPES, Draft, IdTaken
from clarion.models import Delivery, Lane, State, Subscription, Tenant
from clarion.models.outcomes import OUTCOMES
from clarion.models.outgoing import URGENT, Reason
from clarion.outbox.deliveries import example
from tests.conftest import Clock
from tests.subscribers import URL, end_as, forward, make_subscription, tell

pytestmark = pytest.mark.django_db


def draft(**fields: object) -> Draft:
    usual = {
        **{"entity_type": "ORDER", "creates": True, "changes": True, "deletes": True},
        "destination": Chosen("webhook", "webhook", {"url": URL}),
    }
    return Draft(ref="orders", ref_is_number=False, **{**usual, **fields})  # type: ignore[arg-type]


def test_every_event_can_be_subscribed_to_by_one_name() -> None:
    assert len(set(ENTITY_TYPES)) == len(ENTITY_TYPES)
    expected = {*ENTITY_KINDS, *(kind.upper() for kind in MAIL_KINDS), *OUTCOMES, "ALL"}
    assert set(ENTITY_TYPES) == expected
    column = Subscription._meta.get_field("entity_type")
    assert max(map(len, ENTITY_TYPES)) <= (column.max_length or 0)  # type: ignore[union-attr]


def test_whoever_comes_second_with_the_same_finds_the_first(
    tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both looked before either was there: the database decides, and no lane is left over."""
    first = make_subscription(tenant, clock())
    known = subscriptions._known
    looks = iter([None])
    monkeypatch.setattr(subscriptions, "_known", lambda *given: next(looks, known(*given)))

    outcome = subscriptions.create(tenant, draft(), is_test=False, now=clock())

    assert (outcome.subscription, outcome.is_new, outcome.made) == (first, False, frozenset())
    assert Lane.objects.filter(subscription__isnull=False).count() == 1
    looks = iter([None])
    with pytest.raises(IdTaken):
        subscriptions.create(tenant, draft(entity_type="PRICE"), is_test=False, now=clock())


def test_deactivating_cancels_what_waits(tenant: Tenant, clock: Clock) -> None:
    subscription = make_subscription(tenant, clock())
    tell(tenant, clock(), "1", "2")
    forward(clock())

    for _ in range(2):
        subscriptions.deactivate(subscription, now=clock())
    while forwarding.sweep_due(clock()):
        pass

    ended = set(Delivery.objects.values_list("state", "reason"))
    assert ended == {(State.CANCELLED, Reason.SUBSCRIPTION_ENDED)}


def test_a_secret_that_is_refused_changes_nothing(tenant: Tenant, clock: Clock) -> None:
    subscription = make_subscription(tenant, clock())
    before = subscription.settings
    wrong = Chosen("webhook", "webhook", {"url": URL, "secret": "short"})

    with pytest.raises(BadDestination) as refusal:
        subscriptions.replace(subscription, draft(destination=wrong, entity_type="PRICE"), now=clock())

    subscription.refresh_from_db()
    assert [each["loc"] for each in refusal.value.errors] == [["webhook", "secret"]]
    assert (subscription.settings, subscription.entity_type) == (before, "ORDER")


def test_where_a_subscription_leads_is_printed_without_secrets() -> None:
    chosen = Chosen("sqs", "sqs", {"accessSecret": "wJalrXUtnFEMI"})

    assert "wJalr" not in f"{chosen} {chosen!r} {draft(destination=chosen)}"


def test_of_a_destination_that_is_installed_no_more_nothing_is_shown(tenant: Tenant, clock: Clock) -> None:
    chosen = Chosen("pigeon", "pigeon", {"loft": "secret-path", "rings": 3})

    assert destination_settings.shown(chosen) == {
        "pigeon": {"loft": "********", "rings": 3},
        "type": "PIGEON",
    }
    assert "PIGEON" in destination_settings.oddities(chosen)[0]
    subscription = make_subscription(tenant, clock())
    subscription.destination = "pigeon"
    subscription.save()
    with pytest.raises(subscriptions.NoSecret):
        subscriptions.rotate(subscription, now=clock())
    assert subscriptions.replace(subscription, draft(), now=clock()).made == {"secret"}


@pytest.mark.parametrize("entity_type", ENTITY_TYPES)
def test_an_example_is_one_of_what_the_subscription_wants(
    tenant: Tenant, clock: Clock, entity_type: str
) -> None:
    subscription = make_subscription(tenant, clock(), entity_type=entity_type, creates=False)

    delivery = test_deliveries.show(subscription, now=clock())

    event = example(delivery.body, clock())
    assert [each.loc for each in failures(subscription, event)] in ([], [["subscribeCreate"]])
    assert event.event_id.startswith("clarion-test-")
    assert (delivery.seq, delivery.priority, delivery.deadline_at > clock()) == (None, URGENT, True)
    assert list(subscription.counts.values_list("state", "count")) == [(State.WAITING, 1)]


def test_a_trace_tells_the_life_of_a_delivery(tenant: Tenant, clock: Clock) -> None:
    make_subscription(tenant, clock())
    tell(tenant, clock(), "1")
    forward(clock())
    end_as(tenant, State.DEAD, clock(), reason=Reason.TRIES_USED_UP)
    row = Delivery.objects.get()

    told = [moment.what for moment in traces.of_delivery(row.pk)]

    assert f"delivery {row.pk} of event 1 made for subscription orders of shop" in told
    assert "event 1 received: ORDER 1" in told
    assert told[-1] == "FAILED (dead, tries_used_up)"
    with pytest.raises(traces.NothingFound):
        traces.of_delivery(row.pk + 1)


def test_deliveries_of_years_are_found_by_the_day(tenant: Tenant, clock: Clock) -> None:
    subscription = make_subscription(tenant, clock())
    moments = []
    for number in range(6):
        moments.append(clock())
        tell(tenant, clock(), str(number))
        forward(clock())
        clock.pass_by(days=1)

    found = deliveries.newest(subscription, since=moments[1], until=moments[4], most=10)
    first = deliveries.newest(subscription, until=moments[4], most=1)

    assert [row.seq for row in found] == [4, 3, 2]
    assert [row.seq for row in first] == [4]
    nobody = deliveries.newest(subscription, since=clock() + timedelta(days=1), most=10)
    assert nobody == []
