"""An import is read batch by batch: every row once, good ones kept, wrong ones named, and twice changes nothing."""

from pathlib import Path

import pytest

from clarion.models import Import, Tenant
from clarion.sandbox import people
from tests.conftest import Clock
from tests.flows.files import HEADER, counts, in_small_batches, known, numbers, read, refused, stored, table

pytestmark = pytest.mark.django_db


@pytest.fixture
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    in_small_batches(monkeypatch)


def test_rows_become_clients(tenant: Tenant, clock: Clock) -> None:
    row = read(tenant, table("+7 000 000-00-01"), now=clock())

    assert (row.state, counts(row), row.rows) == (Import.DONE, (1, 0, 0, 0), 1)
    assert known(tenant) == [
        {
            "phone": "70000000001",
            "operator_code": "000",
            "tag": "vip",
            "timezone": "",
            "external_id": None,
            "attributes": {"city": "Köln"},
        }
    ]


def test_wrong_rows_are_named_and_good_ones_kept(tenant: Tenant, clock: Clock) -> None:
    data = (
        HEADER.encode() + b"70000000001;a;b\n\n8000;a;b\n70000000002;a\n70000000003;a;\xff\n70000000004;a;b\n"
    )

    row = read(tenant, data, now=clock(), encoding="utf-8")

    assert counts(row) == (2, 0, 0, 3)
    assert refused(row) == [
        (4, "phone: must be 7 and ten more digits"),
        (5, "2 cells, and the header has 3"),
        (6, "not valid UTF-8"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "cp1251"])
def test_a_dirty_file_comes_to_what_was_meant(
    tenant: Tenant, clock: Clock, tmp_path: Path, encoding: str
) -> None:
    file = tmp_path / "clients.csv"
    fates = people.write(file, 300, encoding=encoding)

    row = read(tenant, file.read_bytes(), now=clock())

    assert (row.encoding, row.state) == (encoding, Import.DONE)
    assert (row.created, row.refused) == (fates[people.NEW], fates[people.REFUSED])
    assert row.updated + row.unchanged == fates[people.AGAIN]
    assert {name for each in known(tenant) for name in each["attributes"]} == {
        "name",
        "city",
        "orders",
        "note",
    }


@pytest.mark.usefixtures("_small_batches")
def test_the_same_file_twice_changes_nothing(tenant: Tenant, clock: Clock, tmp_path: Path) -> None:
    file = tmp_path / "clients.csv"
    people.write(file, 60)
    first, before = read(tenant, file.read_bytes(), now=clock()), stored(tenant)
    clock.pass_by(days=1)

    second = read(tenant, file.read_bytes(), now=clock())

    assert stored(tenant) == before
    assert (second.created, second.refused) == (0, first.refused)


@pytest.mark.usefixtures("_small_batches")
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_batches_add_up_to_the_file(tenant: Tenant, clock: Clock, line_end: str) -> None:
    phones = numbers(10)
    data = table(*phones).replace("\n", line_end)

    row = read(tenant, data, now=clock())

    assert counts(row) == (10, 0, 0, 0)
    assert [each["phone"] for each in known(tenant)] == phones


@pytest.mark.usefixtures("_small_batches")
def test_a_quoted_line_end_and_a_batchs_end_do_not_meet(tenant: Tenant, clock: Clock) -> None:
    rows = [f'{phone};"two\nlines";\n' for phone in numbers(8)]

    row = read(tenant, HEADER + "".join(rows) + "8000;;\n", now=clock())

    assert counts(row) == (8, 0, 0, 1)
    assert {each["tag"] for each in known(tenant)} == {"two\nlines"}
    assert refused(row)[0][0] == 18


@pytest.mark.usefixtures("_small_batches")
def test_a_line_of_megabytes_costs_itself(tenant: Tenant, clock: Clock) -> None:
    data = table(*numbers(4)) + "x" * 1_000_000 + "\n" + table(*numbers(4, first=4)).removeprefix(HEADER)

    row = read(tenant, data, now=clock())

    assert counts(row) == (8, 0, 0, 1)
    assert refused(row) == [(6, "longer than 131072 bytes; only its beginning is kept")]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("name;city\nAnn;Köln\n", "no column phone, and no external_id. It names: 'name', 'city'."),
        ("phone;tel\n1;2\n", "Two columns are the phone"),
        ("\n \n", "blank lines only"),
        ('"phone\n', "never closed"),
    ],
)
def test_a_file_that_cannot_be_understood_fails_with_the_reason(
    tenant: Tenant, clock: Clock, data: str, why: str
) -> None:
    row = read(tenant, data, now=clock())

    assert (row.state, counts(row), row.finished_at) == (Import.FAILED, (0, 0, 0, 0), clock())
    assert why in row.why


def test_a_header_alone_is_a_file_of_nobody(tenant: Tenant, clock: Clock) -> None:
    row = read(tenant, "phone\n", now=clock())

    assert (row.state, row.rows) == (Import.DONE, 0)


def test_lines_of_json_keep_the_kinds_of_their_values(tenant: Tenant, clock: Clock) -> None:
    data = '{"phone": "70000000001", "attributes": {"orders": 5, "vip": true}}\nnot json\n'

    row = read(tenant, data, now=clock())

    assert counts(row) == (1, 0, 0, 1)
    assert known(tenant)[0]["attributes"] == {"orders": 5, "vip": True}


def test_a_file_without_phones_changes_those_it_knows(tenant: Tenant, clock: Clock) -> None:
    read(tenant, "phone;ref\n70000000001;a\n", now=clock())

    row = read(tenant, "ref;tag\na;vip\nb;vip\n", now=clock())

    assert counts(row) == (0, 1, 0, 1)
    assert refused(row) == [(3, "there is no client with this external_id, and no phone to make one")]
