"""Files in the database: read from any place, given out part by part, and dropped when nobody needs them."""

import pytest

from clarion.models import FilePart, StoredFile, Tenant
from clarion.models.files import MOST_OF_PART
from tests.conftest import Clock

pytestmark = pytest.mark.django_db


def stored(tenant: Tenant, clock: Clock, *pieces: bytes) -> StoredFile:
    file = StoredFile.objects.create(tenant=tenant, name="x", media_type="text/csv", created_at=clock())
    for piece in pieces:
        file.append(piece)
    return file


def test_a_file_is_read_from_any_place(tenant: Tenant, clock: Clock) -> None:
    pieces = [b"abc", b"x" * (MOST_OF_PART + 5), b"", b"def"]
    file, whole = stored(tenant, clock, *pieces), b"".join(pieces)

    for starts_at in (0, 1, 3, 4, MOST_OF_PART + 2, MOST_OF_PART + 3, len(whole) - 4, len(whole)):
        for size in (1, 7, MOST_OF_PART, 3 * MOST_OF_PART):
            assert file.read(starts_at, size) == whole[starts_at : starts_at + size]


def test_a_file_is_given_out_as_it_came_in(tenant: Tenant, clock: Clock) -> None:
    pieces = [bytes([number]) * 3 for number in range(20)]
    file = stored(tenant, clock, *pieces)

    assert b"".join(file.pieces()) == b"".join(pieces)
    assert file.size == 60


def test_no_part_is_longer_than_a_write_may_take(tenant: Tenant, clock: Clock) -> None:
    stored(tenant, clock, b"x" * (3 * MOST_OF_PART))

    assert {len(part.data) for part in FilePart.objects.all()} == {MOST_OF_PART}
