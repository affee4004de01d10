"""The ledger: what mail events write into it, and what the gate makes of it at the next message."""

import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clarion.flows import test_sends
from clarion.models import Consent, Customer, Mailing, Message, State, Suppression, Tenant
from clarion.models.consents import MessageClass, Said, Say, Suppressed, standing
from clarion.models.outgoing import Reason
from clarion.models.permissions import Asked, refusals
from tests.conftest import Clock
from tests.factories import make_customer
from tests.flows.mails import may, read, tell, told

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def opt_in(customer: Customer, at: Any, **fields: Any) -> Consent:
    """Write a line as the page of preferences will: an act of the person's own, without an event."""
    usual: dict[str, Any] = {
        "tenant": customer.tenant,
        "customer_id": customer.pk,
        "ref": customer.external_id or "",
        "channel": "email",
        "message_class": MessageClass.MARKETING,
        "verdict": Say.OPT_IN,
        "source": "preferences",
        "actor": "recipient",
        "at": at,
        "created_at": at,
    }
    return Consent.objects.create(**{**usual, **fields})


def test_an_unsubscribe_closes_the_channel_of_its_message_to_marketing(
    tenant: Tenant, clock: Clock, message: Message
) -> None:
    tell(tenant, "email_unsubscribe", message.customer_id, clock(), email_id=message.pk)

    customer = Customer.objects.get(pk=message.customer_id)
    row = tenant.consent_set.get()
    assert (row.channel, row.message_class, row.verdict) == ("sms", "marketing", "opt_out")
    assert (row.actor, row.source, row.at, row.message_id) == (
        *("recipient", "email_unsubscribe", clock(), message.pk),
    )
    assert may(customer, "sms") == Reason.OPTED_OUT
    assert may(customer, "email") == ""
    assert may(customer, "sms", MessageClass.TRANSACTIONAL) == ""
    assert not tenant.suppression_set.exists()


def test_without_a_message_of_ours_it_is_the_channel_email(tenant: Tenant, clock: Clock) -> None:
    customer = make_customer(tenant)

    tell(tenant, "email_unsubscribe", customer.pk, clock(), email_id=998)

    assert may(customer, "email") == Reason.OPTED_OUT
    assert may(customer, "sms") == ""


def test_a_complaint_closes_the_channel_and_the_address(
    tenant: Tenant, clock: Clock, message: Message
) -> None:
    tell(tenant, "email_complaint", message.customer_id, clock(), email_id=message.pk)

    customer = Customer.objects.get(pk=message.customer_id)
    assert tenant.consent_set.get().verdict == Say.OPT_OUT
    assert tenant.suppression_set.get().reason == Suppressed.COMPLAINT
    for each in (MessageClass.MARKETING, MessageClass.TRANSACTIONAL):
        assert may(customer, "sms", each) == Reason.SUPPRESSED


def test_a_hard_bounce_closes_the_address_to_every_class_and_everybody_who_has_it(
    tenant: Tenant, clock: Clock, message: Message
) -> None:
    tell(tenant, "email_bounce", message.customer_id, clock(), email_id=message.pk)

    customer = Customer.objects.get(pk=message.customer_id)
    twin = make_customer(tenant, phone=customer.phone)
    for each in (MessageClass.MARKETING, MessageClass.TRANSACTIONAL):
        assert may(customer, "sms", each) == may(twin, "sms", each) == Reason.SUPPRESSED
    assert may(customer, "email") == ""
    customer.phone = "70000009999"
    assert may(customer, "sms") == ""


def test_a_bounce_of_a_mail_that_is_not_ours_closes_the_channel_to_the_person(
    tenant: Tenant, clock: Clock
) -> None:
    customer = make_customer(tenant, external_id="ann")

    tell(tenant, "email_bounce", "ann", clock())

    assert may(customer, "email", MessageClass.TRANSACTIONAL) == Reason.SUPPRESSED
    assert may(customer, "sms") == ""


def test_a_lifted_suppression_stays_on_record_and_says_no_more(tenant: Tenant, clock: Clock) -> None:
    customer = make_customer(tenant, external_id="ann")
    tell(tenant, "email_bounce", "ann", clock())

    Suppression.objects.update(lifted_at=clock(), lifted_by="operator")

    assert may(customer, "email") == ""


def test_a_later_opt_in_lifts_an_opt_out_and_an_earlier_one_does_not(tenant: Tenant, clock: Clock) -> None:
    customer = make_customer(tenant)
    tell(tenant, "email_unsubscribe", customer.pk, clock())

    opt_in(customer, clock() - HOUR)
    assert may(customer) == Reason.OPTED_OUT
    opt_in(customer, clock())
    assert may(customer) == Reason.OPTED_OUT
    opt_in(customer, clock() + HOUR)
    assert may(customer) == ""

    # Told late, of a time before: the later word stands.
    tell(tenant, "email_unsubscribe", customer.pk, clock() + HOUR / 2)
    assert may(customer) == ""


def test_what_is_said_of_all_classes_holds_for_each(tenant: Tenant, clock: Clock) -> None:
    customer = make_customer(tenant)
    opt_in(customer, clock(), message_class=MessageClass.ALL, verdict=Say.OPT_OUT)
    assert may(customer) == may(customer, "email", MessageClass.TRANSACTIONAL) == Reason.OPTED_OUT

    opt_in(customer, clock() + HOUR)
    assert may(customer) == ""
    assert may(customer, "email", MessageClass.TRANSACTIONAL) == Reason.OPTED_OUT


def test_an_opt_out_that_is_dated_ahead_counts_from_when_it_came(tenant: Tenant, clock: Clock) -> None:
    customer = make_customer(tenant)
    event = told(tenant, "email_unsubscribe", customer.pk, clock())
    type(event).objects.filter(pk=event.pk).update(happened_at=clock() + timedelta(days=9000))
    event.refresh_from_db()
    read(tenant, event, now=clock())

    assert may(customer) == Reason.OPTED_OUT
    opt_in(customer, event.received_at + HOUR)
    assert may(customer) == ""


def test_two_tenants_do_not_touch_each_other(tenant: Tenant, other_tenant: Tenant, clock: Clock) -> None:
    mine, theirs = (
        make_customer(each, external_id="ann", phone="70000000001") for each in (tenant, other_tenant)
    )
    tell(tenant, "email_unsubscribe", "ann", clock())
    tell(tenant, "email_bounce", "ann", clock())
    Suppression.objects.create(**_suppression(other_tenant, clock, address="70000000001"))

    assert may(mine, "email") == Reason.SUPPRESSED
    assert may(mine, "sms") == ""
    assert may(theirs, "email") == ""
    assert may(theirs, "sms") == Reason.SUPPRESSED


def _suppression(tenant: Tenant, clock: Clock, **fields: Any) -> dict[str, Any]:
    usual = {"tenant": tenant, "channel": "sms", "reason": "stop", "source": "sms", "actor": "recipient"}
    return {**usual, "at": clock(), "created_at": clock(), **fields}


def test_read_again_the_ledger_is_the_same(tenant: Tenant, clock: Clock, message: Message) -> None:
    kinds = ("email_unsubscribe", "email_complaint", "email_bounce")
    events = [told(tenant, kind, message.customer_id, clock(), email_id=message.pk) for kind in kinds]

    for _ in range(2):
        read(tenant, *events, now=clock())

    assert (tenant.consent_set.count(), tenant.suppression_set.count()) == (2, 2)


def test_what_a_test_key_tells_is_not_about_people(tenant: Tenant, clock: Clock) -> None:
    customer = make_customer(tenant)
    for kind in ("email_unsubscribe", "email_complaint", "email_bounce"):
        tell(tenant, kind, customer.pk, clock(), is_test=True)

    assert may(customer) == ""
    assert not Consent.objects.exists()
    assert not Suppression.objects.exists()


def test_a_program_that_unsubscribes_is_obeyed(tenant: Tenant, clock: Clock) -> None:
    customer = make_customer(tenant)

    tell(tenant, "email_unsubscribe", customer.pk, clock(), user_agent="Barracuda Sentinel (EE)")

    assert may(customer) == Reason.OPTED_OUT


def test_a_test_send_to_somebody_else_asks_for_the_address_alone(
    tenant: Tenant, clock: Clock, message: Message
) -> None:
    customer = Customer.objects.get(pk=message.customer_id)
    tell(tenant, "email_unsubscribe", customer.pk, clock(), email_id=message.pk)
    Suppression.objects.create(**_suppression(tenant, clock, address="70000008888"))
    gone = [
        test_sends.show(message.mailing, client_id=customer.pk, phone=phone, now=clock())
        for phone in ("", "70000007777", "70000008888")
    ]

    assert [_verdict(each, clock) for each in gone] == [Reason.OPTED_OUT, "", Reason.SUPPRESSED]


def _verdict(message: Message, clock: Clock) -> str:
    from clarion.outbox.gate import ask
    from clarion.outbox.verdicts import Stop
    from tests.outbox.test_gate import due

    (answer,) = ask(due(Mailing.objects.get(pk=message.mailing_id)), now=clock())
    if isinstance(answer, Stop):
        assert answer.to == State.SKIPPED
        return answer.reason
    return ""


def test_many_are_asked_for_in_two_queries(
    tenant: Tenant, clock: Clock, django_assert_num_queries: Any
) -> None:
    people = [make_customer(tenant, external_id=f"ref {number}") for number in range(50)]
    for each in people[::2]:
        tell(tenant, "email_unsubscribe", each.external_id, clock())
    asked = [Asked(tenant.pk, each.pk, each.external_id, each.phone, "email", "marketing") for each in people]

    with django_assert_num_queries(2):
        answers = refusals(asked)

    assert answers == [Reason.OPTED_OUT, ""] * 25
    assert refusals([]) == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["email", "sms"]),
            st.sampled_from(MessageClass.values),
            st.sampled_from(Say.values),
            st.integers(0, 3),
        ),
        max_size=8,
    ),
    st.randoms(use_true_random=False),
)
def test_in_any_order_the_same_line_holds(
    lines: list[tuple[str, str, str, int]], order: random.Random
) -> None:
    start = Clock().now
    history = [Said(*line[:3], start + line[3] * HOUR) for line in lines]
    shuffled = order.sample(history, len(history))

    first, second = standing(history), standing(shuffled)

    assert (first and (first.at, first.verdict)) == (second and (second.at, second.verdict))


@pytest.mark.slow
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(8)))
def test_in_any_order_events_come_to_the_same_ledger(tenant: Tenant, clock: Clock, order: list[int]) -> None:
    Consent.objects.all().delete()
    Suppression.objects.all().delete()
    customer = make_customer(tenant)
    acts = [("email_unsubscribe", 1), ("email_unsubscribe", 3), ("email_complaint", 2), ("email_open", 5)]
    acts += [("opt_in", 2), ("opt_in", 4), ("email_unsubscribe", 4), ("opt_in", 0)]
    for number in order:
        kind, hour = acts[number]
        at = clock() + hour * HOUR
        if kind == "opt_in":
            opt_in(customer, at)
        else:
            tell(tenant, kind, customer.pk, at)

    Suppression.objects.all().delete()
    assert may(customer) == Reason.OPTED_OUT
    opt_in(customer, clock() + 5 * HOUR)
    assert may(customer) == ""
