"""What a mailing earned is a number of 64 bits: whatever purchases say, it does not overflow, and agrees with its rows."""

import pytest

from clarion.flows import audit, reading
from clarion.flows.mail_events import LARGEST_PRICE
from clarion.models import Engagement, EngagementCount, Message, Tenant, engagements
from clarion.models.engagements import FULL_SUM, MONEY_PARTS, REVENUE
from tests.conftest import Clock
from tests.flows.mails import sent_to, tell
from tests.outbox.rounds import due_messages

pytestmark = pytest.mark.django_db

# What one slice of the log can add at most, in ten-thousandths.
MOST_OF_A_SLICE = reading.MOST_EVENTS * LARGEST_PRICE * MONEY_PARTS


@pytest.fixture
def message(tenant: Tenant, clock: Clock) -> Message:
    """One that left an hour ago."""
    (message,) = sent_to(due_messages(tenant, clock), clock)
    clock.pass_by(hours=1)
    return message


def earned(message: Message) -> dict[str, int]:
    counts = message.mailing.engagement_counts.filter(what=REVENUE)
    return dict(counts.values_list("currency", "count"))


def test_the_largest_slice_behind_an_almost_full_sum_is_kept_exactly(
    tenant: Tenant, message: Message
) -> None:
    for by in (FULL_SUM - 1, MOST_OF_A_SLICE):
        EngagementCount.objects.of(tenant).shift({(message.mailing_id, REVENUE, "EUR", tenant.pk): by})

    assert earned(message) == {"EUR": FULL_SUM - 1 + MOST_OF_A_SLICE}
    assert EngagementCount.objects.of(tenant).full({message.mailing_id}) == {(message.mailing_id, "EUR")}


def test_to_a_full_sum_no_amount_is_added_and_its_purchases_still_count(
    tenant: Tenant, message: Message, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engagements, "FULL_SUM", 2 * LARGEST_PRICE * MONEY_PARTS)
    tell(tenant, "email_click", message.customer_id, clock(), email_id=message.pk)
    # By turns those that name the message, and those that are put down to its click.
    for number in range(4):
        names = {"email_id": message.pk} if number % 2 else {}
        tell(tenant, "purchase", message.customer_id, clock(), amount=LARGEST_PRICE, currency="EUR", **names)
    tell(tenant, "purchase", message.customer_id, clock(), amount=3, currency="USD")

    amounts = Engagement.objects.of(tenant).filter(kind="purchased").order_by("seq")
    largest = LARGEST_PRICE * MONEY_PARTS
    assert list(amounts.values_list("amount", flat=True)) == [largest, largest, None, None, 3 * MONEY_PARTS]
    assert earned(message) == {"EUR": 2 * largest, "USD": 3 * MONEY_PARTS}
    bought = message.mailing.engagement_counts.filter(what="purchased").order_by("currency")
    assert list(bought.values_list("count", flat=True)) == [4, 1]
    assert audit.run(clock()) == []
