"""Local hours in the nights in which the clocks change: sent when the customer's wall clock allows it, and only then."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from clarion.models import GatewayAccount, Mailing, Message, State, Tenant
from clarion.models.outgoing import Reason
from clarion.outbox.cycle import Outbox
from tests.conftest import Clock
from tests.factories import make_customer
from tests.outbox.rounds import due_messages, settle, until_landed

pytestmark = pytest.mark.django_db

# Inside the hours that Berlin and New York skip and repeat, and around those of Lord Howe, which are half as long.
FROM, UNTIL = time(1, 45), time(2, 40)
LEAST_TIME = timedelta(seconds=2)
NIGHTS = {
    "an ordinary night in Kathmandu": ("Asia/Kathmandu", datetime(2026, 3, 28, 19, tzinfo=UTC)),
    "Berlin goes forward": ("Europe/Berlin", datetime(2026, 3, 29, 0, tzinfo=UTC)),
    "Berlin goes back": ("Europe/Berlin", datetime(2026, 10, 24, 23, tzinfo=UTC)),
    "New York goes forward": ("America/New_York", datetime(2026, 3, 8, 6, tzinfo=UTC)),
    "New York goes back": ("America/New_York", datetime(2026, 11, 1, 5, tzinfo=UTC)),
    "Lord Howe goes forward": ("Australia/Lord_Howe", datetime(2026, 10, 3, 14, 45, tzinfo=UTC)),
    "Lord Howe goes back": ("Australia/Lord_Howe", datetime(2026, 4, 4, 14, 15, tzinfo=UTC)),
}
# So long each night is looked at, and so often; the steps meet openings and closings as well as what is between.
LENGTH, STEP = timedelta(hours=3), timedelta(minutes=5)


def started_mailing(tenant: Tenant, clock: Clock, zones: Sequence[str]) -> Mailing:
    """Return a mailing of two days to one customer in each of these zones."""
    for zone in zones:
        make_customer(tenant, timezone=zone, tag="audience 0")
    ends_at = clock() + timedelta(days=2)
    return due_messages(tenant, clock, 0, ends_at=ends_at, local_from=FROM, local_until=UNTIL)


def is_open(at: datetime, zone: str) -> bool:
    """What the wall clock says, now and until a send that begins now is over."""
    there = ZoneInfo(zone)
    return all(FROM <= moment.astimezone(there).time() < UNTIL for moment in (at, at + LEAST_TIME))


@pytest.mark.parametrize("night", NIGHTS)
def test_at_each_moment_of_the_night_it_is_sent_when_the_wall_clock_allows_it_and_only_then(
    night: str, tenant: Tenant, probe: GatewayAccount, clock: Clock, open_outbox: Callable[..., Outbox]
) -> None:
    zone, clock.now = NIGHTS[night]
    one_at_a_time = open_outbox(slots=1)
    mailing = started_mailing(tenant, clock, [zone] * (LENGTH // STEP))
    sent, allowed = [], []
    for _ in range(LENGTH // STEP):
        # As after a pause or an outage: everything is looked at again.
        Message.objects.filter(state=State.WAITING).update(due_at=clock())
        one_at_a_time.cycle(now=clock())
        if Message.objects.filter(state=State.SENDING).exists():
            until_landed(one_at_a_time, 1)
            sent.append(clock())
            one_at_a_time.cycle(now=clock(), take=False)
        if is_open(clock(), zone):
            allowed.append(clock())
        clock.now += STEP

    assert sent == allowed
    assert allowed
    assert mailing.message_set.filter(state=State.ACCEPTED).count() == len(sent)


@pytest.mark.parametrize(
    ("night", "opening"),
    [
        ("an ordinary night in Kathmandu", datetime(2026, 3, 28, 20, tzinfo=UTC)),
        ("Berlin goes forward", datetime(2026, 3, 29, 0, 45, tzinfo=UTC)),
        ("Berlin goes back", datetime(2026, 10, 24, 23, 45, tzinfo=UTC)),
        ("New York goes forward", datetime(2026, 3, 8, 6, 45, tzinfo=UTC)),
        ("Lord Howe goes forward", datetime(2026, 10, 3, 15, 15, tzinfo=UTC)),
        ("Lord Howe goes back", datetime(2026, 4, 4, 14, 45, tzinfo=UTC)),
    ],
)
def test_a_message_is_due_at_the_first_opening_and_sent_once_however_often_the_night_opens(
    night: str, opening: datetime, tenant: Tenant, probe: GatewayAccount, clock: Clock, outbox: Outbox
) -> None:
    zone, clock.now = NIGHTS[night]
    mailing = started_mailing(tenant, clock, [zone])

    settle(outbox, clock)
    (message,) = mailing.message_set.all()
    assert (message.state, message.due_at) == (State.WAITING, opening)
    clock.now = opening - timedelta(microseconds=1)
    settle(outbox, clock)
    message.refresh_from_db()
    assert message.state == State.WAITING
    clock.now = opening
    settle(outbox, clock)
    message.refresh_from_db()
    assert (message.state, message.sending_at) == (State.ACCEPTED, opening)
    clock.now += timedelta(days=1)
    settle(outbox, clock)
    message.refresh_from_db()
    assert message.tries == 1


def test_everybody_has_hours_of_their_own(
    tenant: Tenant, probe: GatewayAccount, clock: Clock, outbox: Outbox
) -> None:
    clock.now = datetime(2026, 3, 28, 12, tzinfo=UTC)
    zones = ("Asia/Kathmandu", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "nonsense")
    started_mailing(tenant, clock, zones)
    sent_at = {}
    while len(sent_at) < len(zones):
        settle(outbox, clock)
        for pk in Message.objects.filter(state=State.ACCEPTED).values_list("customer_id", flat=True):
            sent_at.setdefault(pk, clock())
        clock.now += timedelta(minutes=15)

    # The tenant's own zone is UTC; who names none that there is lives there.
    assert [f"{at:%d %H:%M}" for _, at in sorted(sent_at.items())] == [
        "28 20:00",
        "29 00:45",
        "29 05:45",
        "28 14:45",
        "29 01:45",
    ]


def test_what_cannot_be_over_before_the_hours_end_waits_for_the_next_day(
    tenant: Tenant, probe: GatewayAccount, clock: Clock, outbox: Outbox
) -> None:
    closing = datetime(2026, 7, 1, 0, 40, tzinfo=UTC)
    clock.now = closing - LEAST_TIME + timedelta(microseconds=1)
    mailing = started_mailing(tenant, clock, ["Europe/Berlin"])
    Message.objects.update(due_at=clock())

    settle(outbox, clock)

    (message,) = mailing.message_set.all()
    assert (message.state, message.reason) == (State.WAITING, Reason.LOCAL_HOURS)
    assert message.due_at == closing + timedelta(days=1) - timedelta(minutes=55)


def test_who_moves_is_reached_in_the_hours_of_where_they_live_now(
    tenant: Tenant, probe: GatewayAccount, clock: Clock, outbox: Outbox
) -> None:
    """The last hours in Tokyo are over long before those in Sao Paulo begin."""
    clock.now = datetime(2026, 6, 1, 3, tzinfo=UTC)
    customer = make_customer(tenant, timezone="Asia/Tokyo", tag="audience 0")
    hours = {"local_from": time(9), "local_until": time(20)}
    mailing = due_messages(tenant, clock, 0, ends_at=clock() + timedelta(hours=20), **hours)
    planned = mailing.message_set.get().deadline_at
    customer.locate("America/Sao_Paulo")
    customer.save()

    settle(outbox, clock)
    waiting = mailing.message_set.get()
    clock.now = waiting.due_at
    settle(outbox, clock)

    assert planned == datetime(2026, 6, 1, 11, tzinfo=UTC)
    assert (waiting.due_at, waiting.reason) == (datetime(2026, 6, 1, 12, tzinfo=UTC), Reason.LOCAL_HOURS)
    assert mailing.message_set.get().state == State.ACCEPTED
