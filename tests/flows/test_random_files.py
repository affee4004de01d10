"""Whatever file is sent, the import ends: every row is a client or a refusal, and nothing is a mistake of ours."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clarion.flows import refusals
from clarion.lib.guesses import NoTable
from clarion.models import Customer, Import, Refusal, Tenant
from tests.conftest import Clock
from tests.flows.files import read

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]

MANY = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

phones = st.from_regex(r"7000000[0-9]{3}", fullmatch=True)
texts = st.text(max_size=8) | st.sampled_from(
    ["\x00", "ß" * 64, "x" * 300, "=1", '"', ";", "\r", "Europe/Berlin"]
)
headings = st.sampled_from(
    ["phone", "Tel", "tag", "ref", "zone", "operator", "city", "", "clarion_x", "attributes.tag"]
)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.just("\ud800")
values = leaves | st.lists(leaves, max_size=2) | st.dictionaries(texts, leaves, max_size=2)
members = (
    st.sampled_from(["tag", "timezone", "operator_code", "external_id", "id", "attributes", "clarion_line"])
    | texts
)
objects = st.dictionaries(members, values, max_size=4) | st.builds(
    lambda phone, more: {**more, "phone": phone}, phones, st.dictionaries(members, values, max_size=3)
)


def csv_of(header: list[str], rows: list[list[str]]) -> bytes:
    lines = [";".join(header), *(";".join(row) for row in rows)]
    return "\n".join(lines).encode()


def check(tenant: Tenant, clock: Clock, data: bytes, **hints: str) -> None:
    Customer.objects.all().delete()
    try:
        row = read(tenant, data, now=clock(), **hints)
    except NoTable:
        return
    assert row.state in (Import.DONE, Import.FAILED)
    assert "mistake" not in row.why
    assert Refusal.objects.filter(origin=row).count() == row.refused
    assert Customer.objects.count() == row.created
    b"".join(refusals.pieces(row))


def test_any_rows(tenant: Tenant, clock: Clock) -> None:
    @MANY
    @given(
        header=st.lists(headings, min_size=1, max_size=4),
        rows=st.lists(st.lists(phones | texts, min_size=1, max_size=4), max_size=5),
    )
    def holds(header: list[str], rows: list[list[str]]) -> None:
        check(tenant, clock, csv_of(["phone", *header], rows))

    holds()


def test_any_objects(tenant: Tenant, clock: Clock) -> None:
    @MANY
    @given(lines=st.lists(objects | values, min_size=1, max_size=5))
    def holds(lines: list[Any]) -> None:
        check(tenant, clock, "\n".join(map(json.dumps, lines)).encode(), format="ndjson")

    holds()


@pytest.mark.parametrize("encoding", ["", "shift_jis"])
def test_any_bytes(tenant: Tenant, clock: Clock, encoding: str) -> None:
    @MANY
    @given(data=st.binary(min_size=1, max_size=60))
    def holds(data: bytes) -> None:
        check(tenant, clock, b"phone;a\n70000000001;" + data, encoding=encoding)
        check(tenant, clock, data, encoding=encoding, format="csv")

    holds()
