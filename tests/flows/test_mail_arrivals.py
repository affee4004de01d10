"""What delivered and bounced make of a message: it is moved once, as far as the state table lets it."""

from typing import Any

import pytest

from clarion.flows import audit
from clarion.models import Message, State, Tenant
from clarion.models.engagements import Kind
from clarion.models.outgoing import Reason
from tests.conftest import Clock
from tests.flows.mails import kinds, sent_to, state, tell
from tests.outbox.rounds import due_messages

pytestmark = pytest.mark.django_db


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
