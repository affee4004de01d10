"""Refused rows come back as a file like the one that was sent: mended, it is sent again as it is."""

import csv
import io
import json

import pytest

from clarion.flows import refusals
from clarion.models import Import, Tenant
from tests.conftest import Clock
from tests.flows.files import counts, known, read

pytestmark = pytest.mark.django_db


def written(row: Import) -> bytes:
    return b"".join(refusals.pieces(row))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251", "utf-16"])
def test_the_file_has_the_form_of_the_one_that_was_sent(tenant: Tenant, clock: Clock, encoding: str) -> None:
    sent = 'Телефон;город;note\r\n70000000001;Тверь;\r\n8000;Самара;"a;\r\nb"\r\n'

    file = written(read(tenant, sent.encode(encoding), now=clock()))

    assert file == (
        "clarion_line;clarion_reason;Телефон;город;note\r\n"
        '3;"phone: must be 7 and ten more digits";8000;Самара;"a;\r\nb"\r\n'
    ).encode(encoding)


def test_bytes_that_are_no_letters_come_back_as_they_were(tenant: Tenant, clock: Clock) -> None:
    row = read(tenant, b"phone,a\n70000000001,\xff\xfe\n", now=clock(), encoding="utf-8")

    assert written(row).endswith(b'2,"not valid UTF-8",70000000001,\xff\xfe\n')


@pytest.mark.parametrize(
    ("sent", "wrong", "right"),
    [
        ("phone;a\n8000;x\n70000000002;y\n", "8000", "70000000001"),
        ("phone;a\n70000000001;x;\n", ";x;", ";x"),
        ('phone;a\n70000000001;"x\n', '"x', "x"),
        ('{"phone": "8000", "tag": "x"}\n', "8000", "70000000001"),
        ('{"phone": "70000000001", "tag": "x"\n', '"x"', '"x"}'),
    ],
)
def test_a_mended_file_is_taken(tenant: Tenant, clock: Clock, sent: str, wrong: str, right: str) -> None:
    first = read(tenant, sent, now=clock(), name="clients")
    mended = written(first).decode().replace(wrong, right)

    second = read(tenant, mended, now=clock())

    assert (first.refused, second.state, counts(second)) == (1, Import.DONE, (1, 0, 0, 0))
    assert "70000000001" in {each["phone"] for each in known(tenant)}
    assert not any(name.startswith("clarion") for each in known(tenant) for name in each["attributes"])


@pytest.mark.parametrize("sent", ["phone;a\n8000;x\n", '{"phone": "8000"}\n', "{}\n", "{\n", '{"a'])
def test_a_file_that_is_sent_again_unmended_comes_back_the_same(
    tenant: Tenant, clock: Clock, sent: str
) -> None:
    first = written(read(tenant, sent, now=clock()))

    assert written(read(tenant, first, now=clock())) == first.replace(
        b'"clarion_line": 1', b'"clarion_line": 1'
    )


def test_what_is_no_object_is_wrapped_into_one(tenant: Tenant, clock: Clock) -> None:
    row = read(tenant, '"x"\n[1]\n', now=clock(), format="ndjson")

    assert [json.loads(line) for line in written(row).splitlines()] == [
        {"clarion_line": 1, "clarion_reason": "not a JSON object", "clarion_raw": '"x"'},
        {"clarion_line": 2, "clarion_reason": "not a JSON object", "clarion_raw": "[1]"},
    ]


def test_many_refusals_are_all_there(tenant: Tenant, clock: Clock) -> None:
    row = read(tenant, "phone,a\n" + "".join(f'{number},"x"\n' for number in range(350)), now=clock())

    lines = list(csv.reader(io.StringIO(written(row).decode())))

    assert [line[2] for line in lines[1:]] == [str(number) for number in range(350)]
    assert {line[1] for line in lines[1:]} == {"phone: must be 7 and ten more digits"}


def test_nothing_refused_is_a_header_alone(tenant: Tenant, clock: Clock) -> None:
    assert (
        written(read(tenant, "phone\n70000000001\n", now=clock())) == b"clarion_line,clarion_reason,phone\n"
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("clients.csv", "clients.refused.csv"),
        ("a/b", "b.refused.csv"),
        ("", "import-{id}.refused.csv"),
        (".csv", ".csv.refused.csv"),
    ],
)
def test_the_file_is_called_after_the_one_that_was_sent(
    tenant: Tenant, clock: Clock, name: str, expected: str
) -> None:
    row = read(tenant, "phone\n", now=clock(), name=name)

    assert refusals.name_of(row) == expected.format(id=row.pk)
