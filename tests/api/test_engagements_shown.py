"""What became of messages, as callers see it: the report of a mailing, a message, a timeline, a trace."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from clarion.flows import traces
from clarion.models import Message, Tenant
from tests.conftest import Clock
from tests.flows.mails import sent_to, tell
from tests.outbox.rounds import due_messages

pytestmark = pytest.mark.django_db

LATER = timedelta(minutes=5)


@pytest.fixture
def messages(tenant: Tenant, clock: Clock) -> list[Message]:
    """Three of one mailing: opened and clicked, opened by a machine and bounced, left alone."""
    made = sent_to(due_messages(tenant, clock, 3), clock)
    clock.now = clock.now.replace(microsecond=0) + LATER
    first, second, _ = made
    for kind in ("email_open", "email_open", "email_click", "email_unsubscribe"):
        tell(tenant, kind, first.customer_id, clock(), email_id=first.pk)
    tell(tenant, "email_open", second.customer_id, clock(), email_id=second.pk, user_agent="Mozilla/5.0")
    tell(tenant, "email_bounce", second.customer_id, clock(), email_id=second.pk)
    tell(tenant, "email_complaint", second.customer_id, clock(), email_id=second.pk)
    for amount, currency in (("10.00", "EUR"), (0.5, "eur"), ("3", "USD")):
        tell(tenant, "purchase", first.customer_id, clock() + LATER, amount=amount, currency=currency)
    return made


def test_the_report_counts_messages_and_machines_apart(api: Client, messages: list[Message]) -> None:
    answer = api.get(f"/api/v1/mailings/{messages[0].mailing_id}/report").json()

    counted = {name: answer[name] for name in list(answer)[list(answer).index("opened") :]}
    assert counted == {
        "opened": 1,
        "opened_by_machines": 1,
        "clicked": 1,
        "clicked_by_machines": 0,
        "unsubscribed": 1,
        "bounced": 1,
        "complained": 1,
        "purchases": 3,
        "revenue": [{"currency": "EUR", "amount": "10.50"}, {"currency": "USD", "amount": "3.00"}],
    }
    assert answer["statuses"] == [
        {"status": "SENT", "count": 2, "reasons": []},
        {"status": "FAILED", "count": 1, "reasons": [{"reason": "bounced", "count": 1}]},
    ]


def test_the_printed_answers_have_no_member_more(api: Client, messages: list[Message]) -> None:
    own = f"/api/v1/mailings/{messages[0].mailing_id}"

    assert set(api.get(own).json()) == {"message_data"}
    assert set(api.get("/api/v1/mailings").json()) == {"message_data", "total_mailings"}
    printed = {"id", "sending_status", "start_date", "client", "mailing"}
    assert set(api.get(f"/api/message/{messages[0].pk}").json()) == printed


def test_a_message_shows_what_became_of_it(api: Client, clock: Clock, messages: list[Message]) -> None:
    first = api.get(f"/api/v1/messages/{messages[0].pk}").json()["engagements"]
    second = api.get(f"/api/v1/messages/{messages[1].pk}").json()["engagements"]
    third = api.get(f"/api/v1/messages/{messages[2].pk}").json()["engagements"]

    at = clock().isoformat().replace("+00:00", "Z")
    kinds = ["opened", "opened", "clicked", "unsubscribed", "purchased", "purchased", "purchased"]
    assert [each["what"] for each in first] == kinds
    assert first[2] == {"what": "clicked", "at": at, "machine": False, "link": "https://example.com/shoes"}
    assert (first[5]["amount"], first[5]["currency"], first[5]["credit"]) == ("0.50", "EUR", "last_click")
    assert [(each["what"], each["machine"]) for each in second] == [
        *(("opened", True), ("bounced", False), ("complained", False)),
    ]
    assert third == []


def test_the_timeline_shows_it_beside_each_message(api: Client, messages: list[Message]) -> None:
    lines = api.get(f"/api/v1/customers/{messages[0].customer_id}/timeline").json()["data"]

    shown: list[dict[str, Any]] = [line["engagements"] for line in lines if "message" in line]
    (happened,) = shown
    assert [(each["what"], each["times"]) for each in happened] == [  # type: ignore[index]
        *(("clicked", 1), ("opened", 2), ("unsubscribed", 1), ("purchased", 3)),
    ]


def test_a_trace_tells_it_in_order(messages: list[Message]) -> None:
    told = [moment.what for moment in traces.of_message(messages[0].pk)]

    assert told[-8:] == [
        "SENT (accepted)",
        *("opened (event 1)", "opened (event 2)", "clicked https://example.com/shoes (event 3)"),
        "unsubscribed (event 4)",
        *("purchased for 10.00 EUR, last_click (event 11)", "purchased for 0.50 EUR, last_click (event 12)"),
        "purchased for 3.00 USD, last_click (event 13)",
    ]
    assert "opened by a machine (event 6)" in [moment.what for moment in traces.of_message(messages[1].pk)]
