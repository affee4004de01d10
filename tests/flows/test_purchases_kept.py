"""A purchase is counted once, also when its message was dropped before the log is read again."""

from datetime import timedelta

import pytest

from clarion.flows import audit, retention
from clarion.flows.readers import READERS, find
from clarion.flows.reading import read_on
from clarion.flows.replays import rewind
from clarion.flows.retention import keep
from clarion.models import Engagement, EngagementCount, Event, Mailing, Message, Tenant
from clarion.models.engagements import Kind
from tests.conftest import Clock
from tests.flows.mails import sent_to, told
from tests.outbox.rounds import due_messages

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def counted() -> list[tuple[int, str, int]]:
    rows = EngagementCount.objects.order_by("mailing_id", "what")
    return list(rows.values_list("mailing_id", "what", "count"))


def read_all(clock: Clock) -> None:
    while sum(read_on(reader, clock()) for reader in READERS):
        pass


def sold(tenant: Tenant, clock: Clock) -> Message:
    """Return a message of an old mailing that was bought by twice; the customer has clicked a later one as well."""
    old, later = (sent_to(due_messages(tenant, clock), clock)[0] for _ in range(2))
    # Both to the same person.
    Message.objects.filter(pk=later.pk).update(customer_id=old.customer_id)
    clock.pass_by(hours=1)
    told(tenant, "email_click", old.customer_id, clock() + HOUR, email_id=old.pk)
    told(tenant, "email_click", old.customer_id, clock(), email_id=later.pk)
    told(tenant, "purchase", old.customer_id, clock() + 2 * HOUR)
    told(tenant, "purchase", old.customer_id, clock() + 2 * HOUR, email_id=old.pk)
    clock.pass_by(days=2)
    read_all(clock)
    assert old.engagements.filter(kind=Kind.PURCHASED).count() == 2
    Mailing.objects.filter(pk=old.mailing_id).update(finished_at=clock())
    return old


def drop_messages(clock: Clock) -> None:
    clock.pass_by(days=401)
    while retention.prune_messages(clock()):
        pass


def test_a_log_that_is_read_again_behind_dropped_messages_counts_no_purchase_twice(
    tenant: Tenant, clock: Clock
) -> None:
    keep(tenant, {"keep_events_days": 0})
    old = sold(tenant, clock)
    before = counted()
    drop_messages(clock)

    rewind(find("tracking"), tenant, 0, clock())
    read_all(clock)

    assert (Message.objects.filter(pk=old.pk).exists(), counted()) == (False, before)
    assert audit.run(clock()) == []


def test_purchases_that_outlived_their_message_go_with_their_events(tenant: Tenant, clock: Clock) -> None:
    keep(tenant, {"keep_events_days": 1_000})
    old = sold(tenant, clock)
    before = counted()
    drop_messages(clock)
    left = list(Engagement.objects.filter(message_id=old.pk).values_list("kind", flat=True))

    clock.pass_by(days=1_000)
    while retention.prune_events(clock()):
        pass

    assert (left, Event.objects.count()) == ([Kind.PURCHASED, Kind.PURCHASED], 0)
    # What became of the other message, which is still there, stays beside it.
    assert set(Engagement.objects.values_list("kind", flat=True)) == {Kind.CLICKED}
    assert counted() == before


@pytest.mark.parametrize("first", ["events", "messages"])
def test_in_whichever_order_events_and_messages_go_nothing_is_left(
    tenant: Tenant, clock: Clock, first: str
) -> None:
    old = sold(tenant, clock)
    clock.pass_by(days=500)
    steps = [retention.prune_events, retention.prune_messages]

    for step in steps if first == "events" else steps[::-1]:
        while step(clock()):
            pass

    assert not Engagement.objects.filter(message_id=old.pk).exists()
