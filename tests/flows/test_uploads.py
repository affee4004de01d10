"""A file arrives: kept in parts, looked at on the way; what is no table, or breaks off, leaves nothing to import."""

import codecs
from collections.abc import Iterator

import pytest

from clarion.flows import uploads
from clarion.flows.uploads import BadHint, EmptyFile, Hints, receive
from clarion.lib.guesses import NoTable
from clarion.lib.records import Form
from clarion.models import FilePart, Import, StoredFile, Tenant
from tests.conftest import Clock

pytestmark = pytest.mark.django_db

TABLE = "phone;name\n70000000001;Ирина\n70000000002;Самара\n"


def taken(tenant: Tenant, clock: Clock, data: bytes, **hints: str) -> Import:
    # In small pieces, which cut lines and letters.
    pieces = (data[at : at + 7] for at in range(0, len(data), 7))
    return receive(tenant, pieces, Hints(**hints), now=clock())


@pytest.mark.parametrize("encoding", ["utf-8", "cp1251", "utf-8-sig", "utf-16"])
def test_a_file_is_kept_and_its_form_is_known(tenant: Tenant, clock: Clock, encoding: str) -> None:
    row = taken(tenant, clock, TABLE.encode(encoding), name="clients.csv")

    assert row.form == Form("csv", encoding, ";", "\n")
    assert (row.name, row.state, row.created_at) == ("clients.csv", Import.WAITING, clock())
    assert row.file is not None
    assert row.file.is_whole
    assert row.file.read(row.position, row.size).decode(row.form.codec) == TABLE


def test_json_lines_need_no_guess(tenant: Tenant, clock: Clock) -> None:
    assert taken(tenant, clock, b'{"phone": "70000000001"}\n').form == Form("ndjson")


@pytest.mark.parametrize(
    ("hints", "form"),
    [
        ({"delimiter": "|"}, Form("csv", "utf-8", "|", "\n")),
        ({"delimiter": "tab"}, Form("csv", "utf-8", "\t", "\n")),
        ({"encoding": "windows-1251"}, Form("csv", "cp1251", ";", "\n")),
        ({"format": "ndjson"}, Form("ndjson")),
        ({"media_type": "application/x-ndjson"}, Form("ndjson")),
        ({"media_type": "application/octet-stream"}, Form("csv", "utf-8", ";", "\n")),
        ({"media_type": "application/x-ndjson", "format": "csv"}, Form("csv", "utf-8", ";", "\n")),
    ],
)
def test_what_is_said_about_a_file_outweighs_a_guess(
    tenant: Tenant, clock: Clock, hints: dict[str, str], form: Form
) -> None:
    assert taken(tenant, clock, TABLE.encode(), **hints).form == form


def test_a_mark_outweighs_what_is_said(tenant: Tenant, clock: Clock) -> None:
    row = taken(tenant, clock, TABLE.encode("utf-8-sig"), encoding="cp1251")

    assert (row.encoding, row.position) == ("utf-8-sig", len(codecs.BOM_UTF8))


@pytest.mark.parametrize(
    ("name", "value"), [("format", "xls"), ("encoding", "utf-99"), ("encoding", "rot13"), ("delimiter", "ab")]
)
def test_a_hint_that_cannot_be_is_named(name: str, value: str) -> None:
    with pytest.raises(BadHint) as bad:
        Hints(**{name: value})

    assert bad.value.name == name


@pytest.mark.parametrize(
    ("data", "error"), [(b"", EmptyFile), (codecs.BOM_UTF16_LE, EmptyFile), (b"PK\x03\x04", NoTable)]
)
def test_what_is_no_table_is_not_kept(
    tenant: Tenant, clock: Clock, data: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error):
        taken(tenant, clock, data)

    assert (StoredFile.objects.count(), FilePart.objects.count()) == (0, 0)


def test_an_upload_that_breaks_off_is_no_import(tenant: Tenant, clock: Clock) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"phone\n"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        receive(tenant, pieces(), Hints(), now=clock())

    assert not Import.objects.exists()
    assert [file.is_whole for file in StoredFile.objects.all()] == [False]


def test_a_long_file_is_read_piece_by_piece(tenant: Tenant, clock: Clock) -> None:
    """Each piece is stored before the next one is asked for."""
    stored: list[int] = []

    def pieces() -> Iterator[bytes]:
        for _ in range(4):
            stored.append(FilePart.objects.count())
            yield b"phone\n" * 10

    receive(tenant, pieces(), uploads.Hints(), now=clock())

    assert stored == [0, 1, 2, 3]
