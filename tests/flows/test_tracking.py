"""Tracking: which message an event is about, what it counts for, and that reading it again changes nothing."""

from datetime import timedelta
from typing import Any

import pytest

from clarion.flows import accounts, audit, retention, test_sends
from clarion.models import Engagement, EngagementCount, Mailing, Message, State, Tenant
from clarion.models.engagements import Kind
from tests.conftest import Clock
from tests.factories import make_customer, make_mailing
from tests.flows.mails import LATER, counted, kinds, read, sent_to, state, tell, told
from tests.outbox.rounds import due_messages

pytestmark = pytest.mark.django_db


def test_every_kind_of_event_is_kept_beside_its_message(
    tenant: Tenant, clock: Clock, message: Message
) -> None:
    every = ("sent", "delivered", "open", "click", "unsubscribe", "bounce", "complaint")
    events = [
        told(tenant, f"email_{kind}", message.customer_id, clock() + LATER, email_id=message.pk)
        for kind in every
    ]

    read(tenant, *events, now=clock())

    assert kinds(message) == [
        *(Kind.SENT, Kind.DELIVERED, Kind.OPENED, Kind.CLICKED),
        *(Kind.UNSUBSCRIBED, Kind.BOUNCED, Kind.COMPLAINED),
    ]
    assert message.engagements.get(kind=Kind.CLICKED).link == "https://example.com/shoes"
    assert message.engagements.filter(at=clock() + LATER).count() == len(every)


def test_an_event_names_only_a_message_that_went_to_its_customer(
    tenant: Tenant, clock: Clock, message: Message
) -> None:
    other = make_customer(tenant)

    tell(tenant, "email_open", other.pk, clock(), email_id=message.pk)
    tell(tenant, "email_open", "nobody", clock(), email_id=message.pk)
    tell(tenant, "email_open", message.customer_id, clock(), email_id=message.pk + 1)

    assert not Engagement.objects.exists()


def test_the_shops_own_reference_counts_before_clarions_id(
    tenant: Tenant, clock: Clock, message: Message
) -> None:
    namesake = make_customer(tenant, external_id=str(message.customer_id))

    tell(tenant, "email_open", message.customer_id, clock(), email_id=message.pk)
    assert kinds(message) == []

    namesake.delete()
    tell(tenant, "email_open", message.customer_id, clock(), email_id=message.pk)
    assert kinds(message) == [Kind.OPENED]


def test_the_providers_id_names_a_message_as_well(tenant: Tenant, clock: Clock, message: Message) -> None:
    stranger = make_customer(tenant)
    Message.objects.filter(pk=message.pk).update(provider_id="sg-77")

    tell(tenant, "email_open", message.customer_id, clock(), email_id="sg-77")
    tell(tenant, "email_open", stranger.pk, clock(), email_id="sg-77")

    assert kinds(message) == [Kind.OPENED]


def test_a_deleted_customers_message_is_still_found(tenant: Tenant, clock: Clock, message: Message) -> None:
    tenant.customer_set.filter(pk=message.customer_id).delete()

    tell(tenant, "email_open", message.customer_id, clock(), email_id=message.pk)

    assert kinds(message) == [Kind.OPENED]


def test_another_tenants_message_is_not_named(
    tenant: Tenant, other_tenant: Tenant, clock: Clock, message: Message
) -> None:
    tell(other_tenant, "email_open", message.customer_id, clock(), email_id=message.pk)
    tell(other_tenant, "email_bounce", message.customer_id, clock(), email_id=message.pk)

    assert kinds(message) == []
    assert state(message) == (State.ACCEPTED, "")


def test_a_test_key_never_touches_a_live_message_nor_a_live_one_a_tests(
    tenant: Tenant, clock: Clock, message: Message
) -> None:
    accounts.add(tenant, name="dry", gateway="log", settings={}, is_test=True, now=clock())
    mailing = make_mailing(tenant, now=clock(), is_test=True)
    shown = test_sends.show(mailing, client_id=message.customer_id, phone="", now=clock())

    tell(tenant, "email_open", message.customer_id, clock(), email_id=message.pk, is_test=True)
    tell(tenant, "email_bounce", message.customer_id, clock(), email_id=message.pk, is_test=True)
    tell(tenant, "email_open", message.customer_id, clock(), email_id=shown.pk)
    assert not Engagement.objects.exists()
    assert state(message) == (State.ACCEPTED, "")

    tell(tenant, "email_open", message.customer_id, clock(), email_id=shown.pk, is_test=True)
    assert kinds(shown) == [Kind.OPENED]


def test_read_again_nothing_changes(tenant: Tenant, clock: Clock, message: Message) -> None:
    names: dict[str, Any] = {"email_id": message.pk}
    events = [
        told(tenant, "email_delivered", message.customer_id, clock(), **names),
        told(tenant, "email_open", message.customer_id, clock() + LATER, **names),
        told(tenant, "email_open", message.customer_id, clock() + LATER, **names),
        told(
            tenant, "purchase", message.customer_id, clock() + LATER, amount="12.5", currency="EUR", **names
        ),
    ]
    for _ in range(3):
        read(tenant, *events, now=clock())
    read(tenant, *events[1:3], now=clock())

    expected = {"delivered": 1, "opened": 1, "purchased EUR": 1, "revenue EUR": 125_000}
    assert counted(message) == expected
    assert Engagement.objects.count() == 4
    assert state(message) == (State.DELIVERED, "")
    assert audit.run(clock()) == []


def test_in_slices_or_at_once_the_figures_are_the_same(tenant: Tenant, clock: Clock) -> None:
    messages = sent_to(due_messages(tenant, clock, 6), clock)
    events = []
    for number, each in enumerate(messages):
        for kind in ("delivered", "open", "open", "click", "unsubscribe")[number % 3 :]:
            at = clock() + timedelta(minutes=number + 1)
            events.append(told(tenant, f"email_{kind}", each.customer_id, at, email_id=each.pk))
        events.append(told(tenant, "purchase", each.customer_id, clock() + timedelta(hours=1)))
    first, second = messages[0].mailing, messages[0].mailing_id
    read(tenant, *events, now=clock())
    at_once = (
        counted(messages[0]),
        list(Engagement.objects.order_by("seq").values_list("seq", "credit", "message")),
    )

    Engagement.objects.all().delete()
    EngagementCount.objects.all().delete()
    for event in events:
        read(tenant, event, now=clock())

    assert first.pk == second
    one_by_one = (
        counted(messages[0]),
        list(Engagement.objects.order_by("seq").values_list("seq", "credit", "message")),
    )
    assert one_by_one == at_once


def test_a_message_is_counted_once_however_often_it_is_opened(
    tenant: Tenant, clock: Clock, message: Message
) -> None:
    for _ in range(3):
        tell(tenant, "email_open", message.customer_id, clock(), email_id=message.pk)

    assert counted(message) == {"opened": 1}
    assert message.engagements.count() == 3


def test_the_accounts_name_a_counter_that_is_wrong(tenant: Tenant, clock: Clock, message: Message) -> None:
    tell(tenant, "email_open", message.customer_id, clock(), email_id=message.pk)
    assert audit.run(clock()) == []

    EngagementCount.objects.update(count=2)
    (finding,) = audit.run(clock())

    assert finding.kind == "engagement"
    assert finding.rows == (message.mailing_id,)


def test_queries_are_by_the_slice(tenant: Tenant, clock: Clock, django_assert_max_num_queries: Any) -> None:
    messages = sent_to(due_messages(tenant, clock, 40), clock)
    clock.now += LATER
    kinds = ("email_open", "email_click", "email_bounce", "email_unsubscribe", "email_complaint")
    events = [
        told(tenant, kind, each.customer_id, clock(), email_id=each.pk) for each in messages for kind in kinds
    ]
    events += [told(tenant, "purchase", each.customer_id, clock()) for each in messages]

    with django_assert_max_num_queries(
        60
    ):  # SQLite writes a statement's rows one by one: each savepoint counts
        read(tenant, *events, now=clock())

    assert Engagement.objects.count() == 240


def test_what_became_of_a_message_goes_with_it_and_its_counts_stay(
    tenant: Tenant, clock: Clock, message: Message
) -> None:
    tell(tenant, "email_open", message.customer_id, clock(), email_id=message.pk)
    retention.keep(tenant, {"keep_messages_days": 1})
    Mailing.objects.filter(pk=message.mailing_id).update(finished_at=clock())

    retention.prune_messages(clock() + timedelta(days=2))

    assert not Message.objects.exists()
    assert not Engagement.objects.exists()
    assert counted(message) == {"opened": 1}
    assert audit.run(clock()) == []
