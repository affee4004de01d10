"""When a part of the day is open on somebody's own wall clock, and when it is not."""

from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.lib.hours import Hours
from clarion.lib.zones import find_zone
from tests.lib.minutes import DAY, changes_of, compare, kinds

DAYTIME = Hours(time(9), time(21))
NIGHT = Hours(time(22), time(6))
# A millisecond before and after the changes of the clocks is asked too.
TICK = timedelta(milliseconds=1)


def zone(name: str) -> tzinfo:
    found = find_zone(name)
    assert found is not None
    return found


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc]


def test_it_is_open_from_its_beginning_until_just_before_its_end() -> None:
    berlin = zone("Europe/Berlin")

    assert not DAYTIME.are_open(utc(2026, 7, 1, 7) - TICK, berlin)
    assert DAYTIME.are_open(utc(2026, 7, 1, 7), berlin)
    assert DAYTIME.are_open(utc(2026, 7, 1, 19) - TICK, berlin)
    assert not DAYTIME.are_open(utc(2026, 7, 1, 19), berlin)


def test_over_midnight_it_is_open_at_both_ends_of_the_day() -> None:
    berlin = zone("Europe/Berlin")

    assert NIGHT.are_open(utc(2026, 7, 1, 21), berlin)
    assert NIGHT.are_open(utc(2026, 7, 2, 3), berlin)
    assert not NIGHT.are_open(utc(2026, 7, 2, 4), berlin)
    assert NIGHT.closing(utc(2026, 7, 1, 21), berlin) == utc(2026, 7, 2, 4)


def test_what_is_open_opens_now_and_what_is_closed_closes_now() -> None:
    berlin = zone("Europe/Berlin")
    noon, midnight = utc(2026, 7, 1, 10), utc(2026, 7, 1, 22)

    assert DAYTIME.opening(noon, berlin) == noon
    assert DAYTIME.closing(midnight, berlin) == midnight


def test_distances_of_45_and_30_minutes_count() -> None:
    assert DAYTIME.opening(utc(2026, 7, 1), zone("Asia/Kathmandu")) == utc(2026, 7, 1, 3, 15)
    assert DAYTIME.opening(utc(2026, 7, 1), zone("-03:30")) == utc(2026, 7, 1, 0)
    assert DAYTIME.closing(utc(2026, 7, 1), zone("-03:30")) == utc(2026, 7, 1, 0, 30)


def test_an_opening_that_the_clocks_skip_is_when_they_do() -> None:
    # 02:00 to 03:00 does not exist on 29 March 2026 in Berlin.
    assert Hours(time(2, 30), time(4)).opening(utc(2026, 3, 29), zone("Europe/Berlin")) == utc(2026, 3, 29, 1)


def test_a_closing_that_the_clocks_skip_is_when_they_do() -> None:
    assert Hours(time(1), time(2, 30)).closing(utc(2026, 3, 29, 0, 30), zone("Europe/Berlin")) == utc(
        2026, 3, 29, 1
    )


def test_hours_that_the_clocks_skip_altogether_are_the_next_days() -> None:
    skipped = Hours(time(2), time(3))

    assert skipped.opening(utc(2026, 3, 28, 2), zone("Europe/Berlin")) == utc(2026, 3, 30)


def test_what_the_clocks_show_twice_is_open_twice() -> None:
    # 02:00 to 03:00 comes twice on 25 October 2026 in Berlin.
    early = Hours(time(2), time(2, 30))

    assert list(early.stretches(utc(2026, 10, 25), utc(2026, 10, 25, 12), zone("Europe/Berlin"))) == [
        (utc(2026, 10, 25, 0), utc(2026, 10, 25, 0, 30)),
        (utc(2026, 10, 25, 1), utc(2026, 10, 25, 1, 30)),
    ]


def test_a_stretch_over_the_change_of_the_clocks_is_one() -> None:
    new_york = zone("America/New_York")

    assert list(NIGHT.stretches(utc(2026, 3, 8), utc(2026, 3, 9), new_york)) == [
        (utc(2026, 3, 8, 3), utc(2026, 3, 8, 10))
    ]


def test_half_an_hour_of_summer_is_half_an_hour() -> None:
    lord_howe = zone("Australia/Lord_Howe")

    # 02:00 becomes 02:30 on 4 October 2026, and 02:00 becomes 01:30 on 5 April.
    assert Hours(time(2), time(3)).opening(utc(2026, 10, 3, 12), lord_howe) == utc(2026, 10, 3, 15, 30)
    assert Hours(time(1, 45), time(2)).last_closing(utc(2026, 4, 4, 15, 10), lord_howe) == utc(2026, 4, 4, 15)


def test_a_day_that_a_zone_left_out_has_no_hours() -> None:
    # Samoa went from 29 to 31 December 2011, Kwajalein from 20 to 22 August 1993.
    assert DAYTIME.opening(utc(2011, 12, 30, 8), zone("Pacific/Apia")) == utc(2011, 12, 30, 19)
    assert DAYTIME.last_closing(utc(2011, 12, 30, 19), zone("Pacific/Apia")) == utc(2011, 12, 30, 7)
    assert DAYTIME.opening(utc(1993, 8, 21, 9), zone("Pacific/Kwajalein")) == utc(1993, 8, 21, 21)


def test_stretches_are_cut_to_what_was_asked_for() -> None:
    berlin = zone("Europe/Berlin")

    assert list(DAYTIME.stretches(utc(2026, 7, 1, 10), utc(2026, 7, 2, 8), berlin)) == [
        (utc(2026, 7, 1, 10), utc(2026, 7, 1, 19)),
        (utc(2026, 7, 2, 7), utc(2026, 7, 2, 8)),
    ]
    assert list(DAYTIME.stretches(utc(2026, 7, 1, 20), utc(2026, 7, 1, 21), berlin)) == []


def test_the_last_closing_is_cut_at_its_limit() -> None:
    berlin = zone("Europe/Berlin")

    assert DAYTIME.last_closing(utc(2026, 7, 1, 10), berlin) == utc(2026, 7, 1, 10)
    assert DAYTIME.last_closing(utc(2026, 7, 1, 7), berlin) == utc(2026, 6, 30, 19)


def test_moments_may_come_in_any_zone_and_go_back_in_utc() -> None:
    india = timezone(timedelta(hours=5, minutes=30))
    at = datetime(2026, 7, 1, 6, tzinfo=india)

    found = DAYTIME.opening(at, zone("Europe/Berlin"))

    assert found == utc(2026, 7, 1, 7)
    assert found.tzinfo is UTC
    begin = datetime(2026, 7, 1, 13, 30, tzinfo=india)
    assert [
        each.tzinfo
        for each in next(DAYTIME.stretches(begin, begin + timedelta(hours=1), zone("Europe/Berlin")))
    ] == [UTC, UTC]


@pytest.mark.parametrize("name", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "UTC", "Europe/Berlin"])
@pytest.mark.parametrize("edge", [datetime.min, datetime.max])
def test_the_ends_of_the_calendar_are_ends_and_no_errors(edge: datetime, name: str) -> None:
    at = edge.replace(tzinfo=UTC)

    for hours in (DAYTIME, NIGHT):
        hours.are_open(at, zone(name))
        assert at <= hours.opening(at, zone(name)) <= hours.closing(hours.opening(at, zone(name)), zone(name))
        assert hours.last_closing(at, zone(name)) <= at
        assert list(hours.stretches(at, at, zone(name))) == []


def test_hours_without_length_are_refused() -> None:
    with pytest.raises(ValueError, match="different"):
        Hours(time(9), time(9))


@given(
    begins=st.times(),
    ends=st.times(),
    at=st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)),
    place=st.sampled_from(["Europe/Berlin", "Africa/Cairo", "America/St_Johns", "Pacific/Apia", "+05:45"]),
)
def test_openings_are_open_closings_are_not_and_between_them_nothing_changes(
    begins: time, ends: time, at: datetime, place: str
) -> None:
    if begins == ends:
        return
    hours, there, least = Hours(begins, ends), zone(place), timedelta(microseconds=1)

    opens = hours.opening(at, there)
    closes = hours.closing(opens, there)

    assert hours.are_open(opens, there)
    assert not hours.are_open(closes, there)
    assert opens == at or not hours.are_open(opens - least, there)
    assert hours.are_open(closes - least, there)
    assert hours.opening(opens + (closes - opens) / 2, there) == opens + (closes - opens) / 2
    assert hours.last_closing(closes + least, there) == closes
    assert opens - at < timedelta(days=3)
    assert at - hours.last_closing(at, there) < timedelta(days=3)


@pytest.mark.parametrize(
    ("name", "year"),
    [
        ("Europe/Berlin", 2026),
        ("America/New_York", 2026),
        ("America/St_Johns", 2026),
        ("Australia/Lord_Howe", 2026),
        ("Antarctica/Troll", 2026),
        ("Africa/Casablanca", 2026),
        ("Pacific/Apia", 2011),
        ("Pacific/Kwajalein", 1993),
        ("Asia/Kathmandu", 1986),
        ("America/Caracas", 2016),
    ],
)
def test_around_every_change_of_the_clocks_each_minute_is_as_the_wall_clock_shows_it(
    name: str, year: int
) -> None:
    there = ZoneInfo(name)
    changes = changes_of(there, utc(year - 1, 12, 30), utc(year + 1, 1, 2))

    assert len(changes) > 1
    for change, _ in changes[1:]:
        compare(there, change - DAY, change + DAY, stride=37)


@pytest.mark.thorough
def test_around_every_change_of_a_year_in_every_zone_each_minute_is_as_the_wall_clock_shows_it() -> None:
    begin, end = utc(2026, 1, 1), utc(2027, 1, 1)

    for there in kinds(begin, end).values():
        for change, _ in changes_of(there, begin, end):
            compare(there, change - DAY, change + DAY, stride=37)
