"""An audience at a glance says of it what counting one by one says."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clarion.models import Customer, Tenant
from clarion.models.audiences import MOST_LABELS, Overview, look_over
from clarion.models.conditions import filter_of
from tests.factories import make_customer

pytestmark = pytest.mark.django_db

people = st.fixed_dictionaries(
    {
        "phone": st.sampled_from(["70000000001", "70000000002", "70000000003"]),
        "operator_code": st.sampled_from(["900", "901", "Beeline", "BEELINE", "ß", "SS"]),
        "tag": st.sampled_from([None, "", "vip", "VIP", "A", "a", "\x1f"]),
        "timezone": st.sampled_from(["", "nowhere", "Europe/Berlin", "Asia/Tokyo", "+03:00"]),
        "attributes": st.fixed_dictionaries({"n": st.integers(0, 1)}),
    }
)


def look(tenant: Tenant, audience: Any = None, *, by_zone: bool = True) -> Overview:
    everybody = Customer.objects.of(tenant)
    return look_over(everybody, everybody if audience is None else audience, by_zone=by_zone)


@pytest.mark.slow
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(crowd=st.lists(people, max_size=12))
def test_it_counts_as_one_counts_one_by_one(tenant: Tenant, crowd: list[dict[str, Any]]) -> None:
    Customer.objects.of(tenant).delete()
    for person in crowd:
        make_customer(tenant, **person)
    audience = Customer.objects.of(tenant).where(filter_of({"field": "attributes.n", "eq": 1}))

    overview = look(tenant, audience)

    rows = list(audience.order_by("id"))
    assert overview.count == len(rows)
    assert dict(overview.zones) == Counter(row.zone for row in rows)
    assert sorted(each.customers for each in overview.operators) == sorted(
        Counter(row.operator_key for row in rows).values()
    )
    assert sorted(each.customers for each in overview.tags) == sorted(
        Counter(row.tag_key for row in rows).values()
    )
    seen: set[str] = set()
    twins: Counter[str] = Counter()
    for row in rows:
        twins[row.zone] += row.phone in seen
        seen.add(row.phone)
    assert overview.twins == {zone: count for zone, count in twins.items() if count}
    picked = [row.pk for row in overview.picked]
    assert picked == sorted(set(picked))
    assert set(picked) <= {row.pk for row in rows}
    assert bool(picked) is bool(rows)


def test_labels_are_shown_as_most_wrote_them_the_most_frequent_first(tenant: Tenant) -> None:
    for tag in (None, "vip", "VIP", "new", "", "VIP"):
        make_customer(tenant, tag=tag, operator_code="MTS" if tag else "mts")

    overview = look(tenant)

    assert [tuple(each) for each in overview.tags] == [("VIP", 3), (None, 2), ("new", 1)]
    assert [tuple(each) for each in overview.operators] == [("MTS", 6)]


def test_of_very_many_labels_the_most_frequent_are_named(tenant: Tenant) -> None:
    for number in range(MOST_LABELS + 5):
        make_customer(tenant, tag=f"tag {number}")
    for _ in range(2):
        make_customer(tenant, tag="last")

    overview = look(tenant)

    assert len(overview.tags) == MOST_LABELS
    assert tuple(overview.tags[0]) == ("last", 2)
    assert overview.count == MOST_LABELS + 7


def test_customers_are_picked_from_all_over_it(tenant: Tenant) -> None:
    rows = [make_customer(tenant) for _ in range(100)]

    overview = look(tenant)

    assert overview.picked == rows[::10]


def test_it_sees_nobody_of_another_tenant(tenant: Tenant, other_tenant: Tenant) -> None:
    mine = make_customer(tenant, phone="70000000001")
    make_customer(other_tenant, phone="70000000001")
    make_customer(tenant, phone="70000000001")

    overview = look(tenant)

    assert (overview.count, sum(overview.twins.values()), overview.picked[0]) == (2, 1, mine)


def test_nobody_at_all_is_nothing_to_look_over(tenant: Tenant) -> None:
    assert look(tenant) == Overview()


def test_where_zones_do_not_matter_all_live_in_one(tenant: Tenant) -> None:
    for zone in ("Europe/Berlin", "Asia/Tokyo"):
        make_customer(tenant, phone="70000000001", timezone=zone)

    overview = look(tenant, by_zone=False)

    assert (overview.zones, overview.twins) == ({"": 2}, {"": 1})
