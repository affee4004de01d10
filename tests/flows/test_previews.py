"""A preview tells what comes: of the same audience, with the same texts, by the same rules."""

from collections import Counter
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from clarion.flows import accounts, mailings
from clarion.flows.drafts import Draft
from clarion.flows.previews import Preview, preview
from clarion.models import GatewayAccount, Mailing, Message, State, Tenant
from clarion.models.outgoing import Reason
from tests.factories import make_customer

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


def draft(**fields: Any) -> Draft:
    return Draft(
        **{"text": "Hello {{ tag }}", "starts_at": NOW, "ends_at": NOW + timedelta(hours=2), **fields}
    )


def seen(tenant: Tenant, now: datetime = NOW, **fields: Any) -> Preview:
    return preview(tenant, draft(**fields), is_test=False, now=now)


def crowd(tenant: Tenant) -> None:
    """Forty people in five zones; every fifth has the number of somebody before."""
    zones = ["UTC", "Asia/Tokyo", "America/New_York", "Asia/Kathmandu", "nowhere"]
    for number in range(40):
        make_customer(
            tenant,
            phone=f"7000000{number - number % 5 // 4:04}",
            timezone=zones[number % 5],
            tag="vip" if number % 3 else None,
            operator_code=str(900 + number % 2),
            attributes={"visits": number},
        )


MAILINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "of a filter": {"filter": {"field": "attributes.visits", "gt": 7}},
    "of everything at once": {
        "operator_code_filter": "900",
        "tag_filter": "VIP",
        "filter": {"not": {"field": "timezone", "prefix": "Asia/"}},
    },
    "for nobody": {"tag_filter": "nobody's"},
    "with local hours": {"local_from": time(13), "local_until": time(14)},
    "with hours that open nowhere": {"local_from": time(3), "local_until": time(3, 30)},
    "with local hours and a slow rate": {
        "local_from": time(12),
        "local_until": time(20),
        "rate_per_second": 0.1,
        "ends_at": NOW + timedelta(seconds=92),
    },
    "with a slow rate": {"rate_per_second": 0.1, "ends_at": NOW + timedelta(seconds=152)},
    "whose window is over": {"ends_at": NOW + timedelta(seconds=1)},
}


@pytest.mark.parametrize("fields", MAILINGS.values(), ids=MAILINGS)
def test_what_it_tells_is_what_materialising_makes(tenant: Tenant, fields: dict[str, Any]) -> None:
    crowd(tenant)

    told = seen(tenant, **fields)

    mailing = mailings.create(tenant, draft(**fields), is_test=False, now=NOW)
    mailings.start_due(NOW)
    while mailings.materialise_due(NOW):
        pass
    made = Counter(Message.objects.filter(mailing=mailing).values_list("state", "reason"))
    assert told.counts == made
    assert told.overview.count == made.total()


def test_it_stores_nothing(tenant: Tenant) -> None:
    crowd(tenant)

    seen(tenant, rate_per_second=5)

    assert (Mailing.objects.count(), Message.objects.count()) == (0, 0)


def test_the_texts_are_those_of_customers_from_all_over_the_audience(tenant: Tenant) -> None:
    rows = [make_customer(tenant, tag=f"number {number}") for number in range(20)]

    told = seen(tenant)

    assert [(each.customer_id, each.text) for each in told.samples] == [
        (row.pk, f"Hello {row.tag}") for row in rows[::2]
    ]


def test_a_text_that_cannot_be_made_for_somebody_says_why(tenant: Tenant) -> None:
    make_customer(tenant, attributes={"city": "Berlin"})
    make_customer(tenant)

    told = seen(tenant, text="Hello\n{{ attributes.city }}")

    assert [each.text for each in told.samples] == ["Hello\nBerlin", ""]
    assert told.samples[1].problem.startswith("line 2, column 4: ")


def test_without_a_rate_nobody_can_tell_how_long_it_takes(tenant: Tenant) -> None:
    make_customer(tenant)

    told = seen(tenant)

    assert (told.rate, told.seconds, told.done_at) == (None, None, None)


def test_the_lower_of_the_rates_of_mailing_and_account_holds(tenant: Tenant) -> None:
    for _ in range(11):
        make_customer(tenant)
    account = GatewayAccount.objects.of(tenant).filter(is_test=False).get()
    accounts.change(account, rate=2)

    slow, fast = seen(tenant, rate_per_second=0.5), seen(tenant, rate_per_second=100)

    assert (slow.rate, slow.seconds, slow.done_at) == (0.5, 20, NOW + timedelta(seconds=20))
    assert (fast.rate, fast.seconds, fast.done_at) == (2, 5, NOW + timedelta(seconds=5))


def test_what_starts_later_is_done_later(tenant: Tenant) -> None:
    for _ in range(3):
        make_customer(tenant)
    start = NOW + timedelta(hours=1)

    told = seen(tenant, starts_at=start, rate_per_second=1)

    assert (told.begins_at, told.done_at) == (start, start + timedelta(seconds=2))


def test_it_waits_for_the_hours_of_the_customers(tenant: Tenant) -> None:
    """Two people in Tokyo (nine hours ahead), one message in ten seconds, and an hour that opens at 15:00 UTC."""
    for _ in range(2):
        make_customer(tenant, timezone="Asia/Tokyo")

    told = seen(
        tenant,
        local_from=time(0),
        local_until=time(1),
        rate_per_second=0.1,
        ends_at=NOW + timedelta(days=1),
    )

    assert (told.seconds, told.done_at) == (10, datetime(2026, 3, 10, 15, 0, 10, tzinfo=UTC))


def test_it_goes_on_the_next_day_where_the_hours_are_too_short(tenant: Tenant) -> None:
    for _ in range(10):
        make_customer(tenant)

    told = seen(
        tenant,
        local_from=time(13),
        local_until=time(13, 1),
        rate_per_second=0.1,
        ends_at=NOW + timedelta(days=3),
    )

    # Six in the first minute: at once, and after each ten seconds that leave a send its two.
    assert told.done_at == datetime(2026, 3, 11, 13, 0, 30, tzinfo=UTC)
    assert told.counts == {(State.WAITING, ""): 10}


def test_zones_whose_hours_do_not_open_are_named(tenant: Tenant) -> None:
    for zone in ("Asia/Tokyo", "Asia/Tokyo", "UTC", "nowhere"):
        make_customer(tenant, timezone=zone)

    told = seen(tenant, local_from=time(22), local_until=time(23))

    assert told.closed_zones == {"": 1, "UTC": 1}
    assert told.counts == {(State.WAITING, ""): 2, (State.EXPIRED, Reason.NO_LOCAL_HOURS): 2}


def test_nobody_to_send_to_is_done_never(tenant: Tenant) -> None:
    told = seen(tenant, rate_per_second=1)

    assert (told.overview.count, told.counts, told.samples) == (0, {}, [])
    assert (told.seconds, told.done_at) == (0, None)
