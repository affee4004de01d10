"""Which texts name a zone. Everything else is None, however it was meant."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.lib.zones import find_zone

SUMMER = datetime(2024, 7, 1)


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("Europe/Berlin", 2),
        ("America/Argentina/ComodRivadavia", -3),
        ("UTC", 0),
        ("Etc/GMT+3", -3),
        ("+03:00", 3),
        ("+0300", 3),
        ("+3", 3),
        ("+03", 3),
        ("-0330", -3.5),
        ("-3:30", -3.5),
        ("UTC+3", 3),
        ("UTC-03:30", -3.5),
        ("GMT+3", 3),
        ("+14:00", 14),
        ("-00:00", 0),
    ],
)
def test_a_name_or_a_distance_is_found(text: str, hours: float) -> None:
    zone = find_zone(text)

    assert zone is not None
    assert zone.utcoffset(SUMMER) == timedelta(hours=hours)


def test_no_distance_is_utc_itself() -> None:
    assert find_zone("+00:00") is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "string",
        "europe/berlin",
        "EUROPE/BERLIN",
        "Europe",
        "Europe/",
        "Europe/Berlin ",
        "../Europe/Berlin",
        "Europe/../Europe/Berlin",
        "/usr/share/zoneinfo/Europe/Berlin",
        "Europe/Berlin\x00",
        "posix/Europe/Berlin",
        "right/Europe/Berlin",
        "localtime",
        "posixrules",
        "Factory",
        "zone.tab",
        "tzdata.zi",
        "x" * 100_000,
        "+15",
        "+14:01",
        "-24:00",
        "+03:60",
        "+330",
        "+3:3",
        "3",
        "UTC3",
        "UTC +3",
        "+٣",
        "+",
    ],
)
def test_anything_else_is_no_zone(text: str) -> None:
    assert find_zone(text) is None


@given(st.text(max_size=60))
def test_no_text_raises(text: str) -> None:
    find_zone(text)
