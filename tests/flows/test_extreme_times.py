"""Events of the first and the last moments there are: intake takes them, so a reader has to bear them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clarion.flows import consents, events, mail_events
from clarion.flows.event_forms import BadEvent, mail_event
from clarion.flows.events import Arrival
from clarion.flows.readers import READERS
from clarion.flows.reading import read_slice
from clarion.models import Engagement, Event, Message, ParkedEvent, ReaderPosition, Tenant
from tests.conftest import Clock
from tests.flows.mails import tell

pytestmark = pytest.mark.django_db

(TRACKING,) = (reader for reader in READERS if reader.name == "tracking")
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
# What shops send where they have no date, and what is as far as an offset can take it.
EXTREMES = {
    "0001-01-01": FIRST,
    "01-01-0001T00:00:00": FIRST,
    "0001-01-01T00:00:00.000001-14:00": FIRST + timedelta(hours=14, microseconds=1),
    "0001-01-01T14:00:00+14:00": FIRST,
    "9999-12-31T23:59:59.999999Z": LAST,
    "9999-12-31T23:59:59.999999+14:00": LAST - timedelta(hours=14),
    "9999-12-31T11:59:59.999999-12:00": LAST,
}
extreme = pytest.mark.parametrize("sent", EXTREMES)


def came_in(tenant: Tenant, kind: str, customer: int, sent: str, clock: Clock, **members: Any) -> Event:
    """Let an event come in as a caller wrote it, now."""
    document = {"event_type": kind, "customer_id": customer, "timestamp": sent, **members}
    if kind == "email_click":
        document["clicked_link"] = "https://example.com/"
    if kind == "purchase":
        document |= {"product_id": 7, "amount": "10.00"}
    (outcome,) = events.append([Arrival(tenant, mail_event(document, tenant.zone))], clock())
    return Event.objects.of(tenant).get(seq=outcome.seq)


def read_all(tenant: Tenant, clock: Clock) -> None:
    while read_slice(TRACKING, tenant, clock()) is not None:
        pass
    assert not ParkedEvent.objects.exists()
    assert ReaderPosition.objects.get().retry_at is None
    assert ReaderPosition.objects.get().seq == Event.objects.count()


@extreme
def test_mail_events_of_any_moment_pass_through_the_reader(
    tenant: Tenant, clock: Clock, message: Message, sent: str
) -> None:
    tied = []
    for kind in mail_events.KINDS:
        tied.append(came_in(tenant, kind, message.customer_id, sent, clock, email_id=message.pk))
        came_in(tenant, kind, message.customer_id, sent, clock, email_id="none of ours")
        came_in(tenant, kind, 10**9, sent, clock, email_id="nobody's")

    read_all(tenant, clock)

    assert {event.happened_at for event in tied} == {EXTREMES[sent]}
    # What is told of a time ahead counts from when it came.
    kept = Engagement.objects.filter(seq__in=[event.seq for event in tied])
    assert list(kept.values_list("at", flat=True)) == [min(EXTREMES[sent], clock())] * len(tied)
    # What the gate and the page of consents make of it can be asked for.
    assert len(consents.about(tenant, str(message.customer_id)).holding()) == 4


@extreme
def test_a_purchase_of_any_moment_is_put_down_to_what_led_to_it(
    tenant: Tenant, clock: Clock, message: Message, sent: str
) -> None:
    clicked = came_in(tenant, "email_click", message.customer_id, sent, clock, email_id=message.pk)
    bought = came_in(tenant, "purchase", message.customer_id, sent, clock)
    usual = tell(tenant, "email_open", message.customer_id, clock(), email_id=message.pk)

    read_all(tenant, clock)

    credit = dict(Engagement.objects.values_list("seq", "credit"))
    assert credit == {clicked.seq: "", bought.seq: "last_click", usual.seq: ""}


@pytest.mark.parametrize("sent", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_a_moment_that_its_offset_moves_out_of_the_calendar_never_comes_in(
    tenant: Tenant, clock: Clock, sent: str
) -> None:
    for kind in mail_events.KINDS:
        with pytest.raises(BadEvent) as refused:
            came_in(tenant, kind, 7, sent, clock, email_id="1")
        assert [error["loc"] for error in refused.value.errors] == [["timestamp"]]

    assert not Event.objects.exists()
