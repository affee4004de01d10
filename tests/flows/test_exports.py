"""Clients go out as a file that comes in again: whole, in order, no cell a formula, and equal on the other side."""

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clarion.flows import exports
from clarion.flows.exports import Wanted
from clarion.lib.filters import BadFilter
from clarion.models import Customer, Export, Tenant
from clarion.models.upserts import Wish, upsert
from tests.conftest import Clock
from tests.factories import make_customer
from tests.flows.files import counts, known, read, stored

pytestmark = pytest.mark.django_db


def exported(tenant: Tenant, clock: Clock, kind: str = "csv", **wanted: Any) -> bytes:
    row = exports.create(tenant, Wanted(kind, **wanted), now=clock())
    while exports.run_due(clock()):
        pass
    row.refresh_from_db()
    assert (row.state, row.why) == (Export.DONE, "")
    assert row.file is not None
    assert row.file.is_whole
    data = b"".join(row.file.pieces())
    assert row.file.size == len(data)
    return data


def cells(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def make(tenant: Tenant, attributes: dict[str, Any], **fields: Any) -> Customer:
    row = make_customer(tenant, **fields)
    row.describe(attributes)
    row.save()
    return row


def test_a_csv_file_has_a_column_for_every_attribute_that_anybody_has(tenant: Tenant, clock: Clock) -> None:
    one = make(tenant, {"city": "Köln", "orders": 5}, phone="70000000001", tag="vip", timezone="+03:00")
    other = make(tenant, {"vip": True}, phone="70000000002", operator_code="900")

    assert cells(exported(tenant, clock)) == [
        ["clarion_id", "phone", "operator_code", "tag", "timezone", "external_id", "city", "orders", "vip"],
        [str(one.pk), "70000000001", "000", "vip", "'+03:00", "", "Köln", "5", ""],
        [str(other.pk), "70000000002", "900", "", "UTC", "", "", "", "true"],
    ]


def test_lines_of_json_have_the_members_of_a_client(tenant: Tenant, clock: Clock) -> None:
    row = make(tenant, {"orders": 5, "city": None}, phone="70000000001")
    make(tenant, {}, phone="70000000002")

    first, second = map(json.loads, exported(tenant, clock, "ndjson").splitlines())

    assert first == {
        "id": row.pk,
        "phone": "70000000001",
        "operator_code": "000",
        "tag": None,
        "timezone": "UTC",
        "attributes": {"orders": 5, "city": None},
    }
    assert "attributes" not in second


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
def test_slices_add_up_to_everybody_there_was(
    tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(exports, "SLICE", {})
    monkeypatch.setattr(exports, "SERVER_SLICE", 3)
    for number in range(9):
        make(tenant, {str(number): "x"})
    row = exports.create(tenant, Wanted(kind), now=clock())
    late = make(tenant, {"late": "x"})

    while exports.run_due(clock()):
        pass

    row.refresh_from_db()
    assert row.file is not None
    text = b"".join(row.file.pieces()).decode("utf-8-sig")
    assert (row.rows, late.phone in text) == (9, False)
    assert len(text.splitlines()) == 9 + (kind == "csv")


@pytest.mark.parametrize("later", [0, 2])
def test_an_attribute_given_while_the_file_is_written_has_its_column(
    tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch, later: int
) -> None:
    """The first client's row is written already, the last one's is not."""
    monkeypatch.setattr(exports, "SLICE", {})
    monkeypatch.setattr(exports, "SERVER_SLICE", 1)
    monkeypatch.setattr(exports, "ROUND", 1)
    people = [make(tenant, {"city": "Rome"}) for _ in range(3)]
    row = exports.create(tenant, Wanted("csv"), now=clock())
    while row.rows < 1:
        assert exports.run_due(clock())
        row.refresh_from_db()

    people[later].describe({"city": "Rome", "shoes": "42"})
    people[later].save()
    while exports.run_due(clock()):
        pass

    row.refresh_from_db()
    assert row.file is not None
    header, *lines = cells(b"".join(row.file.pieces()))
    assert (row.state, row.rows, len(lines)) == (Export.DONE, 3, 3)
    # Who was written before is in the file as they were then.
    assert any("shoes" in name for name in header) == (later == 2)
    assert ("42" in lines[2]) == (later == 2)


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
def test_progress_only_ever_grows(
    tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(exports, "SLICE", {})
    monkeypatch.setattr(exports, "SERVER_SLICE", 1)
    monkeypatch.setattr(exports, "ROUND", 1)
    for _ in range(3):
        make(tenant, {})
    row = exports.create(tenant, Wanted(kind), now=clock())
    seen = [row.progress]

    while exports.run_due(clock()):
        row.refresh_from_db()
        seen.append(row.progress)

    assert seen == sorted(seen)
    assert (seen[0], seen[-1], len(set(seen)) > 3) == (0, 1, True)


def test_nobody_is_a_file_too(tenant: Tenant, clock: Clock) -> None:
    assert len(cells(exported(tenant, clock))) == 1
    assert exported(tenant, clock, "ndjson") == b""


def test_only_those_who_were_asked_for_are_in_it(tenant: Tenant, other_tenant: Tenant, clock: Clock) -> None:
    make(tenant, {"n": 1}, phone="70000000001", tag="VIP", operator_code="900")
    make(tenant, {"n": 2}, phone="70000000002", tag="vip", operator_code="901")
    make(other_tenant, {}, phone="70000000003", tag="vip", operator_code="900")

    def phones(**wanted: Any) -> list[str]:
        return [
            json.loads(line)["phone"] for line in exported(tenant, clock, "ndjson", **wanted).splitlines()
        ]

    assert phones() == phones(tag="vip") == ["70000000001", "70000000002"]
    assert phones(operator_code="900", tag="vip") == ["70000000001"]
    assert phones(filter={"field": "attributes.n", "gt": 1}) == ["70000000002"]


def test_a_filter_that_is_none_is_refused_at_once(tenant: Tenant, clock: Clock) -> None:
    with pytest.raises(BadFilter):
        exports.create(tenant, Wanted("csv", filter={"field": "no such"}), now=clock())

    assert not Export.objects.exists()


def test_a_slice_that_another_worker_wrote_is_not_written_again(
    tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tenant, {}, phone="70000000001")
    exports.create(tenant, Wanted("ndjson"), now=clock())
    writing = exports._written

    def write_and_be_late(row: Export) -> Any:
        found = writing(row)
        monkeypatch.setattr(exports, "_written", writing)
        assert exports.run_due(clock()) == 1
        return found

    monkeypatch.setattr(exports, "_written", write_and_be_late)

    assert exports.run_due(clock()) == 0
    row = Export.objects.get()
    assert row.file is not None
    assert (row.rows, b"".join(row.file.pieces()).count(b"\n")) == (1, 1)


def test_too_many_columns_are_refused_with_a_way_out(
    tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "MOST_COLUMNS", 7)
    make(tenant, {"a": 1, "b": 2})
    row = exports.create(tenant, Wanted("csv"), now=clock())

    exports.run_due(clock())

    row.refresh_from_db()
    assert row.state == Export.FAILED
    assert "take ndjson" in row.why


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
def test_a_file_of_our_own_changes_nothing_where_it_came_from(
    tenant: Tenant, clock: Clock, kind: str
) -> None:
    make(tenant, {"orders": 5, "half": 1.5, "vip": True, "city": "", "note": "=1+1", "phone": "x"}, tag="")
    make(tenant, {}, tag=" -x ")
    before = stored(tenant)

    row = read(tenant, exported(tenant, clock, kind), now=clock())

    assert counts(row) == (0, 0, 2, 0)
    assert stored(tenant) == before


def test_clients_of_many_kinds_come_back_too(tenant: Tenant, other_tenant: Tenant, clock: Clock) -> None:
    """More columns together than one of them may have attributes."""
    for kind in range(4):
        make(tenant, {f"{kind}-{number}": "x" for number in range(30)})

    row = read(other_tenant, exported(tenant, clock), now=clock())

    assert (len(row.columns), counts(row)) == (6 + 120, (4, 0, 0, 0))
    assert known(other_tenant) == known(tenant)


# Whatever a client may have, as texts: a CSV file knows nothing else.
texts = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\x00")
    | st.sampled_from("'=+-@\t\r\n \";,"),
    max_size=12,
)
names = texts.filter(lambda name: name != "")
people = st.lists(
    st.fixed_dictionaries(
        {
            "phone": st.from_regex(r"7000000[0-9]{4}", fullmatch=True),
            "operator_code": names,
            "tag": st.none() | names,
            "timezone": texts,
            "external_id": names,
            "attributes": st.dictionaries(names, names, max_size=3),
        }
    ),
    unique_by=lambda person: person["external_id"],
    max_size=4,
)


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(people=people, kind=st.sampled_from(["csv", "ndjson"]))
def test_what_went_out_comes_in_equal_on_the_other_side(
    tenant: Tenant, other_tenant: Tenant, clock: Clock, people: list[dict[str, Any]], kind: str
) -> None:
    Customer.objects.all().delete()
    wishes = [Wish({**person, "attributes": None}, person["attributes"]) for person in people]
    for wish in wishes:
        del wish.fields["attributes"]  # type: ignore[attr-defined]
    upsert(tenant, wishes, as_text=False, now=clock())

    file = exported(tenant, clock, kind)
    if file:
        row = read(other_tenant, file, now=clock())
        assert (row.state, row.refused) == ("done", 0), row.why

    assert known(other_tenant) == known(tenant)
