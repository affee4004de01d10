"""Credit: which message a purchase is put down to, and that it is never two."""

import json
import random
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clarion.flows import credit, test_sends
from clarion.models import Engagement, Event, Message, Tenant
from clarion.models.engagements import Credit
from tests.conftest import Clock
from tests.factories import make_customer, make_mailing
from tests.flows.mails import read, tell, told

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
DAYS = timedelta(days=5)


@pytest.fixture
def messages(tenant: Tenant, clock: Clock) -> list[Message]:
    """Three to one customer, from three mailings, an hour ago."""
    customer = make_customer(tenant, tag="buyer", external_id="ann")
    made = []
    for _ in range(3):
        mailing = make_mailing(tenant, now=clock(), tag_filter="buyer")
        made.append(Message.objects.create(**_sent(mailing, customer.pk, clock)))
    clock.now += HOUR
    return made


def _sent(mailing, customer_id, clock):  # type: ignore[no-untyped-def]
    moments = dict.fromkeys(("due_at", "deadline_at", "created_at", "sending_at", "finished_at"), clock())
    owner = {"tenant": mailing.tenant, "mailing": mailing, "lane": mailing.account.lane}
    return {**owner, **moments, "customer_id": customer_id, "address": "70000000001", "state": "accepted"}


def credited(tenant: Tenant) -> list[tuple[int, str]]:
    rows = Engagement.objects.of(tenant).filter(kind="purchased").order_by("seq")
    return list(rows.values_list("message_id", "credit"))


def test_the_message_that_the_purchase_names_gets_it_at_any_age(
    tenant: Tenant, clock: Clock, messages: list[Message]
) -> None:
    tell(tenant, "email_click", "ann", clock(), email_id=messages[1].pk)

    tell(tenant, "purchase", "ann", clock() + timedelta(days=400), email_id=messages[0].pk)

    assert credited(tenant) == [(messages[0].pk, Credit.NAMED)]


def test_else_the_last_click_gets_it_also_when_another_was_opened_later(
    tenant: Tenant, clock: Clock, messages: list[Message]
) -> None:
    tell(tenant, "email_click", "ann", clock(), email_id=messages[0].pk)
    tell(tenant, "email_click", "ann", clock() + HOUR, email_id=messages[1].pk)
    tell(tenant, "email_open", "ann", clock() + 2 * HOUR, email_id=messages[2].pk)

    tell(tenant, "purchase", "ann", clock() + 3 * HOUR)

    assert credited(tenant) == [(messages[1].pk, Credit.LAST_CLICK)]


def test_else_the_last_open(tenant: Tenant, clock: Clock, messages: list[Message]) -> None:
    tell(tenant, "email_open", "ann", clock() + HOUR, email_id=messages[0].pk)
    tell(tenant, "email_open", "ann", clock(), email_id=messages[2].pk)

    tell(tenant, "purchase", "ann", clock() + 3 * HOUR)

    assert credited(tenant) == [(messages[0].pk, Credit.LAST_OPEN)]


def test_a_purchase_that_names_none_of_ours_is_as_one_that_names_none(
    tenant: Tenant, clock: Clock, messages: list[Message]
) -> None:
    tell(tenant, "email_click", "ann", clock(), email_id=messages[0].pk)

    tell(tenant, "purchase", "ann", clock() + HOUR, email_id="another tool's")

    assert credited(tenant) == [(messages[0].pk, Credit.LAST_CLICK)]


def test_the_window_is_a_setting(
    tenant: Tenant, clock: Clock, messages: list[Message], settings: object
) -> None:
    tell(tenant, "email_click", "ann", clock(), email_id=messages[0].pk)
    for age in (DAYS, DAYS + timedelta(seconds=1)):
        tell(tenant, "purchase", "ann", clock() + age)
    assert len(credited(tenant)) == 1

    longer = _settings().model_copy(update={"credit_days": 6})
    settings.CLARION = longer  # type: ignore[attr-defined]
    tell(tenant, "purchase", "ann", clock() + DAYS + timedelta(seconds=1))
    assert len(credited(tenant)) == 2


def test_machines_other_people_and_test_sends_give_no_credit(
    tenant: Tenant, clock: Clock, messages: list[Message]
) -> None:
    shown = test_sends.show(messages[0].mailing, client_id=None, phone="", now=clock())
    clock.now += HOUR
    tell(tenant, "email_click", "ann", clock(), email_id=messages[0].pk, user_agent="python-requests/2")
    tell(tenant, "email_click", "ann", clock(), email_id=shown.pk)
    make_customer(tenant, external_id="bob")

    tell(tenant, "purchase", "ann", clock() + HOUR)
    tell(tenant, "purchase", "bob", clock() + HOUR)

    assert credited(tenant) == []


def test_what_comes_after_the_purchase_gives_no_credit(
    tenant: Tenant, clock: Clock, messages: list[Message]
) -> None:
    bought = told(tenant, "purchase", "ann", clock())
    later = told(tenant, "email_click", "ann", clock() + HOUR, email_id=messages[0].pk)
    told_late = told(tenant, "email_click", "ann", clock() - HOUR / 2, email_id=messages[1].pk)

    read(tenant, bought, later, told_late, now=clock())

    assert credited(tenant) == []


def test_read_again_the_same_message_gets_it_and_only_once(
    tenant: Tenant, clock: Clock, messages: list[Message]
) -> None:
    tell(tenant, "email_click", "ann", clock(), email_id=messages[0].pk)
    bought = tell(tenant, "purchase", "ann", clock() + 2 * HOUR)
    unpaid = tell(tenant, "purchase", "ann", clock() - DAYS)
    tell(tenant, "email_click", "ann", clock() + HOUR, email_id=messages[1].pk)

    read(tenant, bought, unpaid, now=clock())

    assert credited(tenant) == [(messages[0].pk, Credit.LAST_CLICK)]
    assert sum(row.count for row in messages[0].mailing.engagement_counts.filter(what="purchased")) == 1


def test_in_pieces_of_any_length_the_same_messages_get_the_credit(
    tenant: Tenant, clock: Clock, messages: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of it is told late, some at one moment, some before the window, and each purchase has its own answer."""
    make_customer(tenant, external_id="bob")
    order = random.Random(7)
    kinds = ("email_click", "email_open", "email_open", "purchase", "purchase")
    events = []
    for _ in range(60):
        kind, at = order.choice(kinds), clock() + order.randrange(0, 300, 5) * HOUR
        names = {} if kind == "purchase" else {"email_id": order.choice(messages).pk}
        events.append(told(tenant, kind, order.choice(["ann", "ann", "bob"]), at, **names))

    def answers() -> list[tuple[int, int, str]]:
        Engagement.objects.all().delete()
        read(tenant, *events, now=clock())
        rows = Engagement.objects.filter(kind="purchased").order_by("seq")
        return list(rows.values_list("seq", "message_id", "credit"))

    expected = list(_by_the_rule(events))
    assert {why for *_, why in expected} == {Credit.LAST_CLICK, Credit.LAST_OPEN}
    for length in (1, 3, 200):
        monkeypatch.setattr(credit, "PIECE", length)
        assert answers() == expected


def _by_the_rule(events: list[Event]) -> Iterator[tuple[int, int, str]]:
    """Give what each purchase is put down to, as the docs have it: looked for in all that there is."""
    for bought in events:
        seen = [
            each
            for each in events
            if each.customer_ref == bought.customer_ref == "ann"
            and each.seq < bought.seq
            and bought.happened_at - DAYS <= each.happened_at <= bought.happened_at
        ]
        for kind, why in (("email_click", Credit.LAST_CLICK), ("email_open", Credit.LAST_OPEN)):
            mine = [each for each in seen if each.kind == kind]
            if bought.kind == "purchase" and mine:
                last = max(mine, key=lambda each: (each.happened_at, each.seq))
                yield bought.seq, json.loads(last.body)["email_id"], why
                break


def test_many_purchases_are_asked_for_in_pieces(
    tenant: Tenant, clock: Clock, messages: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one of them may see is no reason to read as much for all the others."""
    monkeypatch.setattr(credit, "PIECE", 2)
    tell(tenant, "email_open", "ann", clock() - 300 * HOUR, email_id=messages[0].pk)
    tell(tenant, "email_open", "ann", clock(), email_id=messages[1].pk)
    bought = [told(tenant, "purchase", "ann", clock() - hours * HOUR) for hours in (299, 0, 298, 0, 0)]

    with CaptureQueriesContext(connection) as asking:
        read(tenant, *bought, now=clock())

    asked = [each["sql"] for each in asking.captured_queries if "clicked" in each["sql"]]
    assert len([each for each in asked if each.startswith("SELECT")]) == 3
    assert [message for message, _ in credited(tenant)] == [messages[n].pk for n in (0, 1, 0, 1, 1)]


def _settings():  # type: ignore[no-untyped-def]
    return settings.CLARION
