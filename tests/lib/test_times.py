"""Every form of a time that a caller may send, and that nothing else gets further than a clear refusal."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.lib.times import LONGEST_TIME, BadTime, parse_time, wire_time

BERLIN = ZoneInfo("Europe/Berlin")
THAT_AFTERNOON = datetime(2023, 10, 25, 15, 33, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2023-10-25T15:33:00Z",
        "2023-10-25t15:33:00z",
        "2023-10-25 15:33:00Z",
        "2023-10-25T15:33:00",
        "2023-10-25 15:33:00",
        "2023-10-25T15:33",
        "2023-10-25T15:33Z",
        "2023-10-25T17:33:00+02:00",
        "2023-10-25T17:33:00+0200",
        "2023-10-25T17:33:00+02",
        "2023-10-25T12:03:00-03:30",
        "2023-10-25T15:33:00-00:00",
        "25-10-2023T15:33:00",
        "25-10-2023 15:33:00",
        "25-10-2023T15:33",
        "25-10-2023 15:33",
        "25-10-2023T17:33:00+02:00",
    ],
)
def test_every_accepted_form_names_the_same_moment(text: str) -> None:
    assert parse_time(text, UTC) == THAT_AFTERNOON


@pytest.mark.parametrize("text", ["2023-10-25", "25-10-2023"])
def test_a_bare_date_is_its_midnight_in_the_given_zone(text: str) -> None:
    assert parse_time(text, BERLIN) == datetime(2023, 10, 24, 22, tzinfo=UTC)


def test_the_zone_counts_only_where_the_text_names_none() -> None:
    assert parse_time("2023-10-25 17:33:00", BERLIN) == THAT_AFTERNOON
    assert parse_time("2023-10-25 15:33:00Z", BERLIN) == THAT_AFTERNOON


def test_the_answer_is_always_in_utc() -> None:
    assert parse_time("2023-10-25T17:33:00+02:00", BERLIN).tzinfo is UTC


@pytest.mark.parametrize(
    ("fraction", "microsecond"),
    [("5", 500_000), ("000001", 1), ("123456", 123_456), ("1234569", 123_456), ("999999999", 999_999)],
)
def test_fractions_are_cut_to_microseconds_and_never_rounded(fraction: str, microsecond: int) -> None:
    assert parse_time(f"2023-10-25T15:33:00.{fraction}Z", UTC).microsecond == microsecond


def test_a_local_time_that_the_clocks_skip_is_moved_forward() -> None:
    assert parse_time("2024-03-31T02:30:00", BERLIN) == parse_time("2024-03-31T03:30:00", BERLIN)


def test_a_local_time_that_comes_twice_is_the_first_of_the_two() -> None:
    assert parse_time("2024-10-27T02:30:00", BERLIN) == datetime(2024, 10, 27, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2016-12-31T23:59:60Z", "2017-01-01T05:29:60.9+05:30"])
def test_a_leap_second_is_the_moment_after_it(text: str) -> None:
    assert parse_time(text, UTC) == datetime(2017, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "string",
        "1698247980",
        "2023-10-25T",
        "2023-10-25Z",
        "2023-10-25T15",
        "2023-10-25T15:33:00 Z",
        " 2023-10-25",
        "2023-10-25\n",
        "2023-1-5",
        "10/25/2023",
        "2023-13-01",
        "2023-02-30",
        "30-02-2023",
        "0000-01-01",
        "2023-10-25T24:00:00",
        "2023-10-25T15:60:00",
        "2023-10-25T15:33:61",
        "2023-10-25T15:33:60Z",
        "2023-06-30T23:59:60+02:00",
        "2023-10-25T15:33:00.Z",
        "2023-10-25T15:33:00.1234567890Z",
        "2023-10-25T15:33:00+24:00",
        "2023-10-25T15:33:00+02:60",
        "2023-10-25T15:33:00+2",
        "2023-10-25T15:33:00-",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "9999-12-31T23:59:60Z",
        "٢٠٢٣-١٠-٢٥",  # digits, but not ASCII ones
        "２０２３-10-25",
        "2023-10-25T15:33:00Z\x00",
        "2023-10-25T15:33:00Z" + " " * 100_000,
    ],
)
def test_anything_else_is_refused_in_a_short_sentence(text: str) -> None:
    with pytest.raises(BadTime) as refusal:
        parse_time(text, UTC)

    sentence = str(refusal.value)
    assert sentence.endswith(".")
    assert sentence.isascii()
    assert len(sentence) < 600


def test_the_edges_of_the_calendar_are_refused_in_zones_too() -> None:
    with pytest.raises(BadTime):
        parse_time("0001-01-01", ZoneInfo("Asia/Tokyo"))
    with pytest.raises(BadTime):
        parse_time("9999-12-31T23:59:59", ZoneInfo("America/New_York"))


def test_a_time_goes_out_in_utc_with_z() -> None:
    moment = datetime(2023, 10, 25, 17, 33, tzinfo=timezone(timedelta(hours=2)))

    assert wire_time(moment) == "2023-10-25T15:33:00Z"


def test_a_fraction_goes_out_only_when_there_is_one() -> None:
    assert wire_time(THAT_AFTERNOON.replace(microsecond=120)) == "2023-10-25T15:33:00.000120Z"


def test_a_time_without_zone_never_goes_out() -> None:
    with pytest.raises(ValueError, match="without zone"):
        wire_time(datetime(2023, 10, 25))


ZONES = st.sampled_from([UTC, BERLIN, ZoneInfo("Pacific/Kiritimati"), ZoneInfo("America/St_Johns")])
LOOKS_LIKE_A_TIME = st.from_regex(
    r"[0-9]{2,4}-[0-9]{2}-[0-9]{2,4}"
    r"([Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?([Zz]|[+-][0-9:]{2,5})?)?",
    fullmatch=True,
)


@given(text=st.text(max_size=LONGEST_TIME + 5) | LOOKS_LIKE_A_TIME, zone=ZONES)
def test_no_text_raises_anything_but_bad_time(text: str, zone: ZoneInfo) -> None:
    try:
        moment = parse_time(text, zone)
    except BadTime:
        return

    assert moment.tzinfo is UTC


@given(moment=st.datetimes(timezones=st.just(UTC)), zone=ZONES)
def test_what_goes_out_comes_back_as_the_same_moment(moment: datetime, zone: ZoneInfo) -> None:
    assert parse_time(wire_time(moment), zone) == moment
