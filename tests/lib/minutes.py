"""`python -m tests.lib.minutes`: local hours against brute force, every minute of ten years in every zone there is.

The other side is as simple as can be: look at the wall clock at every minute, write down whether it is open.
"""

import sys
import time as clock
from datetime import UTC, datetime, time, timedelta, tzinfo
from itertools import pairwise
from multiprocessing import Pool
from zoneinfo import ZoneInfo, available_timezones

from clarion.lib.hours import Hours

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
DECADE = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))
# An office's hours, a night's over midnight, those inside the hours that clocks skip and repeat, all but a minute.
SOME_HOURS = [
    Hours(time(9), time(21)),
    Hours(time(22, 30), time(6, 15)),
    Hours(time(1, 30), time(2, 45)),
    Hours(time(2), time(3)),
    Hours(time(0, 1), time(0)),
]
# A prime that divides no day: in the end every minute of a day was asked.
STRIDE = 241


class Wrong(AssertionError):
    """What was said and what the wall clock shows."""


def compare(zone: tzinfo, begin: datetime, end: datetime, *, stride: int = 1) -> int:
    """Check all answers for [begin, end), the costly ones at every `stride`th minute; return the minutes looked at."""
    walls = [datetime.fromtimestamp(at, zone).time() for at in range(*_seconds(begin, end), 60)]
    for hours in SOME_HOURS:
        shown = open_minutes(hours, walls)
        _compare_stretches(hours, zone, begin, shown)
        for minute in range(0, len(shown), stride):
            _compare_moment(hours, zone, begin, shown, minute)
    return len(walls) * len(SOME_HOURS)


def open_minutes(hours: Hours, walls: list[time]) -> bytearray:
    """Return a 1 for every time that is open, otherwise a 0."""
    begins, ends = hours.begins, hours.ends
    if begins < ends:
        return bytearray(begins <= wall < ends for wall in walls)
    return bytearray(not ends <= wall < begins for wall in walls)


def _seconds(begin: datetime, end: datetime) -> tuple[int, int]:
    return int(begin.timestamp()), int(end.timestamp())


def _compare_stretches(hours: Hours, zone: tzinfo, begin: datetime, shown: bytearray) -> None:
    said = bytearray(len(shown))
    for opens, closes in hours.stretches(begin, begin + len(shown) * MINUTE, zone):
        first, last = (opens - begin) // MINUTE, (closes - begin) // MINUTE
        said[first:last] = b"\1" * (last - first)
    if said != shown:
        differing = next(at for at, pair in enumerate(zip(said, shown, strict=True)) if len({*pair}) > 1)
        raise Wrong(f"{hours} in {zone}: stretches at {begin + differing * MINUTE}")


def _compare_moment(hours: Hours, zone: tzinfo, begin: datetime, shown: bytearray, minute: int) -> None:
    at = begin + minute * MINUTE
    # The first open minute from here on, the first that is not, the one after the last open one before.
    truths = {
        "opening": (hours.opening, shown.find(1, minute)),
        "closing": (hours.closing, shown.find(0, minute)),
        "last_closing": (hours.last_closing, shown.rfind(1, 0, minute) + 1 or -1),
    }
    answers = [("are_open", hours.are_open(at, zone), bool(shown[minute]))]
    # What lies outside [begin, end) is not judged.
    answers += [
        (name, ask(at, zone), begin + then * MINUTE) for name, (ask, then) in truths.items() if then >= 0
    ]
    for name, answer, truth in answers:
        if answer != truth:
            raise Wrong(f"{hours} in {zone}: {name} at {at} is {answer}, but the clock shows {truth}")


def changes_of(zone: tzinfo, begin: datetime, end: datetime) -> list[tuple[datetime, timedelta | None]]:
    """Return the hours of [begin, end) in which a zone's distance is another than before, and the distances."""
    days = [begin + day * DAY for day in range((end - begin) // DAY + 1)]
    found = [(begin, begin.astimezone(zone).utcoffset())]
    for day, next_day in pairwise(days):
        if day.astimezone(zone).utcoffset() == next_day.astimezone(zone).utcoffset():
            continue
        for hour in range(1, 25):
            at = day + timedelta(hours=hour)
            if (distance := at.astimezone(zone).utcoffset()) != found[-1][1]:
                found.append((at, distance))
    return found


def kinds(begin: datetime, end: datetime) -> dict[tuple[object, ...], ZoneInfo]:
    """Return one zone of each kind: those that agree on every hour of [begin, end) are one."""
    zones = (ZoneInfo(name) for name in sorted(available_timezones()))
    return {tuple(changes_of(zone, begin, end)): zone for zone in zones}


def _decade(zone: ZoneInfo) -> int:
    begin, end = DECADE
    changes = [begin, *(change for change, _ in changes_of(zone, begin, end)[1:]), end]
    around = sum(compare(zone, change - DAY, change + DAY, stride=7) for change in changes)
    years = [datetime(year, 1, 1, tzinfo=UTC) for year in range(begin.year, end.year + 1)]
    return around + sum(compare(zone, *year, stride=STRIDE) for year in pairwise(years))


def main() -> None:
    began = clock.monotonic()
    zones = kinds(*DECADE)
    with Pool() as pool:
        minutes = sum(pool.imap_unordered(_decade, zones.values()))
    sys.stdout.write(
        f"local hours: {minutes:,} minutes of {len(zones)} kinds of zones ({len(available_timezones())} names) "
        f"are as the wall clock shows them; {clock.monotonic() - began:.0f} s\n"
    )


if __name__ == "__main__":
    main()
