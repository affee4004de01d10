"""Tracking: which message an event is about, what it counts for, and that reading it again changes nothing."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from clarion.flows import accounts, audit, test_sends
from clarion.models import Engagement, EngagementCount, Message, State, Tenant
from clarion.models.engagements import Kind, money
from clarion.models.outgoing import Reason
from tests.conftest import Clock
from tests.factories import make_customer, make_mailing
from tests.flows.mails import read, sent_to, tell, told
from tests.outbox.rounds import due_messages

pytestmark = pytest.mark.django_db

LATER = timedelta(minutes=5)


@pytest.fixture
def message(tenant: Tenant, clock: Clock) -> Message:
    """One that left a moment ago."""
    (message,) = sent_to(due_messages(tenant, clock), clock)
    clock.now += LATER
    return message


def kinds(message: Message) -> list[str]:
    return list(message.engagements.order_by("seq").values_list("kind", flat=True))


def counted(message: Message) -> dict[str, int]:
    rows = message.mailing.engagement_counts.exclude(count=0)
    return {f"{row.what} {row.currency}".strip(): row.count for row in rows}


def state(message: Message) -> tuple[str, str]:
    message.refresh_from_db()
    return message.state, message.reason


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


def test_delivered_and_bounced_move_the_message_and_its_counters(tenant: Tenant, clock: Clock) -> None:
    delivered, bounced = sent_to(due_messages(tenant, clock, 2), clock)

    tell(tenant, "email_delivered", delivered.customer_id, clock(), email_id=delivered.pk)
    tell(tenant, "email_bounce", bounced.customer_id, clock(), email_id=bounced.pk, status="5.1.1")

    assert state(delivered) == (State.DELIVERED, "")
    assert state(bounced) == (State.UNDELIVERED, Reason.BOUNCED)
    assert bounced.code == "5.1.1"
    assert dict(delivered.mailing.counts.by_state()) == {State.DELIVERED: 1, State.UNDELIVERED: 1}
    assert audit.run(clock()) == []


@pytest.mark.parametrize("early", [State.SENDING, State.UNKNOWN])
def test_what_comes_before_our_own_answer_counts_as_well(tenant: Tenant, clock: Clock, early: str) -> None:
    delivered, bounced = sent_to(due_messages(tenant, clock, 2), clock, state=early)

    tell(tenant, "email_delivered", delivered.customer_id, clock(), email_id=delivered.pk)
    tell(tenant, "email_bounce", bounced.customer_id, clock(), email_id=bounced.pk)

    assert state(delivered) == (State.DELIVERED, "")
    assert state(bounced) == (State.UNDELIVERED, Reason.BOUNCED)
    assert delivered.finished_at == bounced.finished_at == clock()
    assert dict(delivered.mailing.counts.by_state()) == {State.DELIVERED: 1, State.UNDELIVERED: 1}


@pytest.mark.parametrize(("first", "second"), [("bounce", "delivered"), ("delivered", "bounce")])
def test_the_first_word_on_arrival_counts(
    tenant: Tenant, clock: Clock, message: Message, first: str, second: str
) -> None:
    tell(tenant, f"email_{first}", message.customer_id, clock(), email_id=message.pk)
    after = state(message)
    tell(tenant, f"email_{second}", message.customer_id, clock(), email_id=message.pk)

    assert state(message) == after
    assert message.engagements.count() == 2


def test_a_message_that_waits_or_is_over_stays_where_it_is(tenant: Tenant, clock: Clock) -> None:
    waiting = due_messages(tenant, clock).message_set.get()

    tell(tenant, "email_delivered", waiting.customer_id, clock(), email_id=waiting.pk)

    assert state(waiting) == (State.WAITING, "")
    assert kinds(waiting) == [Kind.DELIVERED]


@pytest.mark.parametrize(
    "members",
    [
        *({"bounce_type": "Soft"}, {"type": "transient"}, {"severity": "temporary"}, {"code": 450}),
        *({"status": "4.2.2"}, {"diagnostic_code": "smtp; 451 try again later"}),
        {"bounce_type": "soft", "code": 550},
    ],
)
def test_a_soft_bounce_is_only_noted(
    tenant: Tenant, clock: Clock, message: Message, members: dict[str, Any]
) -> None:
    tell(tenant, "email_bounce", message.customer_id, clock(), email_id=message.pk, **members)

    assert kinds(message) == [Kind.DEFERRED]
    assert state(message) == (State.ACCEPTED, "")
    assert not tenant.suppression_set.exists()


@pytest.mark.parametrize(
    "members", [{}, {"type": "bounce"}, {"code": "550 5.1.1"}, {"bounce_type": "hard", "code": 450}]
)
def test_any_other_bounce_is_a_hard_one(
    tenant: Tenant, clock: Clock, message: Message, members: dict[str, Any]
) -> None:
    tell(tenant, "email_bounce", message.customer_id, clock(), email_id=message.pk, **members)

    assert kinds(message) == [Kind.BOUNCED]
    assert tenant.suppression_set.get().address == message.address


def test_haste_is_a_machines(tenant: Tenant, clock: Clock, message: Message) -> None:
    tell(tenant, "email_delivered", message.customer_id, clock(), email_id=message.pk)
    for seconds in (-3, 14, 16):
        at = clock() + timedelta(seconds=seconds)
        tell(tenant, "email_click", message.customer_id, at, email_id=message.pk)

    marks = message.engagements.filter(kind=Kind.CLICKED).order_by("at").values_list("is_machine", flat=True)
    assert list(marks) == [True, True, False]
    assert counted(message) == {"delivered": 1, "machine_clicked": 1, "clicked": 1}


def test_without_a_word_of_delivery_haste_counts_from_the_acceptance(
    tenant: Tenant, clock: Clock, message: Message
) -> None:
    tell(tenant, "email_open", message.customer_id, clock() - LATER, email_id=message.pk)

    assert message.engagements.get().is_machine


def test_a_clock_that_is_years_behind_makes_nobody_a_machine(
    tenant: Tenant, clock: Clock, message: Message
) -> None:
    tell(tenant, "email_open", message.customer_id, clock() - timedelta(days=900), email_id=message.pk)

    assert not message.engagements.get().is_machine


def test_a_known_scanner_is_a_machine_whenever_it_comes(
    tenant: Tenant, clock: Clock, message: Message
) -> None:
    names: dict[str, Any] = {"email_id": message.pk}
    tell(tenant, "email_click", message.customer_id, clock(), user_agent="Barracuda Sentinel (EE)", **names)
    tell(tenant, "email_click", message.customer_id, clock(), ip="209.222.82.7", **names)
    tell(tenant, "email_open", message.customer_id, clock(), user_agent="Mozilla/5.0", **names)
    proxy = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
    tell(tenant, "email_open", message.customer_id, clock(), user_agent=proxy, **names)

    assert counted(message) == {"machine_clicked": 1, "machine_opened": 1, "opened": 1}


@pytest.mark.parametrize(
    "odd", [{"user_agent": 7, "ip": []}, {"ip": "not an address"}, {"user_agent": "x" * 9000}]
)
def test_odd_members_say_nothing(tenant: Tenant, clock: Clock, message: Message, odd: dict[str, Any]) -> None:
    tell(tenant, "email_open", message.customer_id, clock(), email_id=message.pk, **odd)

    assert not message.engagements.get().is_machine


def test_money_is_exact(tenant: Tenant, clock: Clock, message: Message) -> None:
    names: dict[str, Any] = {"email_id": message.pk}
    for amount in (0.1, "0.2", "19.999", 10**15, "1e-30"):
        tell(tenant, "purchase", message.customer_id, clock(), amount=amount, currency="eur", **names)
    tell(tenant, "purchase", message.customer_id, clock(), amount=7, **names)

    assert counted(message) == {
        "purchased EUR": 5,
        "revenue EUR": 202_990,
        "purchased": 1,
        "revenue": 70_000,
    }
    assert money(202_990) == Decimal("20.299")
    assert str(money(125_000)) == "12.50"
    assert message.engagements.filter(amount=None).count() == 1
