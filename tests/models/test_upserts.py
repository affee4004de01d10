"""Who a row means and what it changes: by external id, by phone, or nobody yet; always as if rows came one by one."""

from collections.abc import Sequence
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clarion.models import Customer, Tenant
from clarion.models.upserts import CREATED, REFUSED, UNCHANGED, UPDATED, Wish, upsert
from tests.conftest import Clock
from tests.factories import make_customer

pytestmark = pytest.mark.django_db

P, Q = "70000000001", "70000000002"


def wish(phone: str = "", ref: str = "", /, attributes: dict[str, Any] | None = None, **fields: Any) -> Wish:
    named = {"phone": phone, "external_id": ref}
    return Wish({**{name: value for name, value in named.items() if value}, **fields}, attributes or {})


def put(tenant: Tenant, clock: Clock, *wishes: Wish, as_text: bool = True) -> list[str]:
    return [outcome.what for outcome in upsert(tenant, wishes, as_text=as_text, now=clock())]


def people(tenant: Tenant) -> list[tuple[str, str | None, str | None]]:
    return list(Customer.objects.of(tenant).order_by("id").values_list("phone", "external_id", "tag"))


def test_a_row_about_nobody_makes_a_client(tenant: Tenant, clock: Clock) -> None:
    assert put(tenant, clock, wish(P, attributes={"City": "Köln"})) == [CREATED]

    row = Customer.objects.get()
    assert (row.phone, row.operator_code, row.tag, row.timezone, row.external_id) == (
        P,
        "000",
        None,
        "",
        None,
    )
    assert (row.attributes, row.created_at) == ({"City": "Köln"}, clock())


def test_a_client_from_a_file_is_like_one_from_the_api(tenant: Tenant, clock: Clock) -> None:
    attributes = {"City": "Köln", "orders": 5, "vip": True}
    made = make_customer(tenant, phone=P, operator_code="Ab", tag="VIP", timezone="Europe/Berlin")
    made.describe(attributes)
    made.save()

    put(
        tenant, clock, wish(Q, operator_code="Ab", tag="VIP", timezone="Europe/Berlin", attributes=attributes)
    )

    derived = ("operator_key", "tag_key", "zone", "attributes", "facts")
    one, other = Customer.objects.order_by("id").values(*derived)
    assert one == other


def test_an_external_id_outweighs_a_phone(tenant: Tenant, clock: Clock) -> None:
    put(tenant, clock, wish(P, "a"), wish(Q, "b"))

    assert put(tenant, clock, wish(Q, "a", tag="moved")) == [UPDATED]
    assert people(tenant) == [(Q, "a", "moved"), (Q, "b", None)]


def test_without_an_external_id_the_oldest_with_the_phone_is_meant(tenant: Tenant, clock: Clock) -> None:
    for tag in ("old", "young"):
        make_customer(tenant, phone=P, tag=tag)

    assert put(tenant, clock, wish(P, tag="new")) == [UPDATED]
    assert [tag for _, _, tag in people(tenant)] == ["new", "young"]


def test_an_external_id_is_given_to_the_oldest_who_has_none(tenant: Tenant, clock: Clock) -> None:
    put(tenant, clock, wish(P, "a"))
    make_customer(tenant, phone=P)

    assert put(tenant, clock, wish(P, "b")) == [UPDATED]
    assert [ref for _, ref, _ in people(tenant)] == ["a", "b"]


def test_two_who_share_a_phone_and_have_their_own_ids_stay_two(tenant: Tenant, clock: Clock) -> None:
    family = [wish(P, "mother", tag="m"), wish(P, "child", tag="c")]

    assert put(tenant, clock, *family) == [CREATED, CREATED]
    assert put(tenant, clock, *family) == [UNCHANGED, UNCHANGED]


def test_of_two_rows_about_one_person_the_later_wins(tenant: Tenant, clock: Clock) -> None:
    outcomes = put(tenant, clock, wish(P, "a", tag="1"), wish(P, "a", tag="2"), wish(P, tag="2"))

    assert outcomes == [CREATED, UPDATED, UNCHANGED]
    assert people(tenant) == [(P, "a", "2")]


def test_only_what_a_row_names_is_changed(tenant: Tenant, clock: Clock) -> None:
    put(
        tenant,
        clock,
        wish(P, "a", tag="vip", timezone="UTC", operator_code="900", attributes={"x": "1", "y": "2"}),
    )

    assert put(tenant, clock, wish("", "a", attributes={"y": None, "z": "3"})) == [UPDATED]

    row = Customer.objects.get()
    assert (row.phone, row.tag, row.timezone, row.operator_code) == (P, "vip", "UTC", "900")
    assert row.attributes == {"x": "1", "z": "3"}


def test_a_cell_that_says_what_is_there_changes_nothing(tenant: Tenant, clock: Clock) -> None:
    put(tenant, clock, wish(P, attributes={"n": 5, "t": True, "f": 1.5, "e": ""}, tag=""))
    cells = wish(P, attributes={"n": "5", "t": "true", "f": "1.5", "e": None, "none": None}, tag=None)

    assert put(tenant, clock, cells) == [UNCHANGED]
    assert put(tenant, clock, cells, as_text=False) == [UPDATED]
    assert Customer.objects.get().attributes == {"n": "5", "t": "true", "f": "1.5"}


@pytest.mark.parametrize("values", [(1, True), (0, False), (1, 1.0), ("1", 1)])
def test_values_that_only_python_takes_for_equal_are_told_apart(
    tenant: Tenant, clock: Clock, values: tuple[Any, Any]
) -> None:
    one, other = (wish(P, attributes={"a": value}) for value in values)
    put(tenant, clock, one, as_text=False)

    assert put(tenant, clock, other, as_text=False) == [UPDATED]


def test_a_reference_to_nobody_without_a_phone_is_refused(tenant: Tenant, clock: Clock) -> None:
    outcome, *_ = upsert(tenant, [wish("", "nobody", tag="x")], as_text=True, now=clock())

    assert outcome.what == REFUSED
    assert "no phone to make one" in outcome.why
    assert not Customer.objects.exists()


def test_a_client_has_no_more_than_fifty_attributes(tenant: Tenant, clock: Clock) -> None:
    put(tenant, clock, wish(P, attributes={str(number): "x" for number in range(50)}))

    assert put(tenant, clock, wish(P, attributes={"one more": "x"})) == [REFUSED]
    assert put(tenant, clock, wish(P, attributes={"0": "y"})) == [UPDATED]
    assert put(tenant, clock, wish(P, attributes={"0": None, "one more": "x"})) == [UPDATED]


def test_another_tenants_clients_are_nobody(tenant: Tenant, other_tenant: Tenant, clock: Clock) -> None:
    put(other_tenant, clock, wish(P, "a", tag="theirs"))

    assert put(tenant, clock, wish(P, "a", tag="ours")) == [CREATED]
    assert people(other_tenant) == [(P, "a", "theirs")]


def test_a_batch_takes_as_many_statements_however_long_it_is(tenant: Tenant, clock: Clock) -> None:
    """Half of the rows are about clients that are there."""

    def statements(count: int) -> int:
        wishes = [wish(f"7000{count:03}{number:04}", f"{count}-{number}", tag="x") for number in range(count)]
        put(tenant, clock, *(each._replace(fields={**each.fields, "tag": "y"}) for each in wishes[::2]))
        with CaptureQueriesContext(connection) as queries:
            assert put(tenant, clock, *wishes) == [UPDATED, CREATED] * (count // 2)
        # SQLite lists every row of an executemany; it is one trip all the same.
        return len({query["sql"].partition("VALUES")[0].partition("SET")[0] for query in queries})

    assert statements(20) == statements(200)


phones, refs, tags = st.sampled_from([P, Q]), st.sampled_from(["", "a", "b"]), st.sampled_from(["1", "2"])
wishes_of_few = st.lists(st.builds(lambda p, r, t: wish(p, r, tag=t), phones, refs, tags), max_size=7)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=wishes_of_few, wishes=wishes_of_few)
def test_a_batch_comes_to_what_its_rows_come_to_one_by_one(
    tenant: Tenant, other_tenant: Tenant, clock: Clock, before: Sequence[Wish], wishes: Sequence[Wish]
) -> None:
    Customer.objects.all().delete()
    for owner in (tenant, other_tenant):
        for each in before:
            put(owner, clock, each)

    together = put(tenant, clock, *wishes)
    apart = [put(other_tenant, clock, each)[0] for each in wishes]

    assert (together, people(tenant)) == (apart, people(other_tenant))
