"""What becomes of messages and mailings is told in the log: the rare always, the many while somebody asks."""

import json
from typing import Any

import pytest
from django.db import transaction

from clarion.flows import mailings
from clarion.models import Event, Message, State, Tenant
from clarion.models.moves import Move, move
from clarion.models.outgoing import Reason
from tests.conftest import Clock
from tests.flows.mails import read, sent_to, told
from tests.outbox.receivers import subscribe
from tests.outbox.rounds import due_messages

NOWHERE = "https://receiver.example.com/"


def outcomes(tenant: Tenant) -> list[tuple[str, dict[str, Any]]]:
    rows = Event.objects.of(tenant).filter(source="SYSTEM").order_by("seq").values_list("kind", "body")
    return [(kind, json.loads(body)["event_payload"]["key_attributes"]) for kind, body in rows]


def step(message: Message, clock: Clock, to: str, reason: str = "") -> None:
    with transaction.atomic():
        held = Message.objects.lock([message.pk])
        move(Message, [Move(row, to, reason, {"finished_at": clock()}) for row in held], clock())


def test_a_message_that_failed_is_told_though_nobody_asks(tenant: Tenant, clock: Clock) -> None:
    message = due_messages(tenant, clock).message_set.get()

    step(message, clock, State.FAILED, Reason.REFUSED)

    ((kind, facts),) = outcomes(tenant)
    assert kind == "MESSAGE_FAILED"
    assert facts == {
        "message_id": str(message.pk),
        "mailing_id": str(message.mailing_id),
        "status": "FAILED",
        "reason": "refused",
        "code": "",
        "gateway": "log",
    }


@pytest.mark.parametrize("asked", [False, True])
def test_a_message_that_was_sent_is_told_while_somebody_asks(
    tenant: Tenant, clock: Clock, asked: bool
) -> None:
    subscribe(tenant, NOWHERE, clock(), entity="MESSAGE_SENT" if asked else "ALL")

    sent_to(due_messages(tenant, clock, 3), clock)

    assert [kind for kind, _ in outcomes(tenant)] == ["MESSAGE_SENT"] * 3 * asked


def test_a_message_that_only_shows_a_mailing_is_not_told(tenant: Tenant, clock: Clock) -> None:
    mailing = due_messages(tenant, clock)
    shown = due_messages(tenant, clock)
    type(shown).objects.of(tenant).filter(pk=shown.pk).update(test_of=mailing)

    step(shown.message_set.get(), clock, State.FAILED, Reason.REFUSED)

    assert outcomes(tenant) == []


def test_opens_and_clicks_are_told_while_somebody_asks_and_opt_outs_always(
    tenant: Tenant, clock: Clock
) -> None:
    subscribe(tenant, NOWHERE, clock(), entity="MESSAGE_CLICKED")
    (message,) = sent_to(due_messages(tenant, clock), clock)
    clock.pass_by(minutes=5)
    events = [
        told(tenant, kind, message.customer_id, clock(), email_id=message.pk, **members)
        for kind, members in (
            ("email_open", {}),
            ("email_click", {"clicked_link": "https://shop.example.com/"}),
            ("email_unsubscribe", {}),
        )
    ]

    for _ in range(2):
        # Taken in again, it is told once.
        read(tenant, *events, now=clock())

    assert [kind for kind, _ in outcomes(tenant)] == ["CUSTOMER_UNSUBSCRIBED", "MESSAGE_CLICKED"]
    _, (_, facts) = outcomes(tenant)
    assert facts["link"] == "https://shop.example.com/"


def test_a_mailing_that_is_over_tells_what_became_of_it(tenant: Tenant, clock: Clock) -> None:
    mailing = due_messages(tenant, clock, 3)
    sent_to(mailing, clock)

    mailings.finish_due(clock())

    ((kind, facts),) = outcomes(tenant)
    assert (kind, facts["sent"]) == ("MAILING_FINISHED", "3")


def test_outcomes_are_not_what_shops_may_tell(tenant: Tenant) -> None:
    from clarion.flows.event_forms import BadEvent, entity_event

    with pytest.raises(BadEvent):
        entity_event({"event_type": "MESSAGE_SENT"}, tenant.zone)
