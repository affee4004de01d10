"""When the messages of a mailing may leave, told beforehand: per time zone, and how many its rate allows until the end.

Asked when messages are made, so that what cannot make it is told at once, and by previews. The gate and the lanes
decide again at the moment of each send.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple

from clarion.lib.hours import Hours
from clarion.lib.zones import find_zone
from clarion.models import Mailing, State
from clarion.models.materialising import Fate
from clarion.models.outgoing import Reason
from clarion.outbox.gate import LEAST_TIME, is_too_late

# Windows longer than this are not looked through hour by hour: their rate bounds nothing that anybody waits for.
FURTHEST = timedelta(days=60)


class Timing(NamedTuple):
    """From when and until when a message may leave. Both in UTC."""

    due_at: datetime
    deadline_at: datetime


def timings(
    zones: Iterable[str], *, hours: Hours | None, home: tzinfo, begin: datetime, end: datetime
) -> dict[str, Timing | None]:
    """Return the timing for customers of each zone (as `Customer.zone` names them, empty: `home`, the tenant's).

    None: their hours do not open between `begin` and `end` for as long as a send takes.
    """
    return {zone: _timing(hours, find_zone(zone) or home, begin, end) for zone in zones}


def fates(mailing: Mailing, zones: Iterable[str], now: datetime) -> dict[str, Fate]:
    """Return what becomes of the messages to customers of each zone that are made `now`."""
    if is_too_late(mailing.ends_at, now):
        over = Fate(State.EXPIRED, Reason.WINDOW_OVER, now, mailing.ends_at)
        return dict.fromkeys(zones, over)
    found = timings(zones, hours=mailing.hours, home=mailing.tenant.zone, begin=now, end=mailing.ends_at)
    never = Fate(State.EXPIRED, Reason.NO_LOCAL_HOURS, now, mailing.ends_at)
    return {zone: Fate(State.WAITING, "", *timing) if timing else never for zone, timing in found.items()}


def slower(*rates: float | None) -> float | None:
    """Return the rate that bounds where several do; None where none does."""
    return min((rate for rate in rates if rate), default=None)


class Openings(NamedTuple):
    """When sends may begin: from when until when, in order and apart from each other.

    `is_cut`: the window goes on beyond what was looked through (`FURTHEST`).
    """

    stretches: list[tuple[datetime, datetime]]
    is_cut: bool

    def capacity(self, rate: float | None) -> int | None:
        """Return how many messages can leave at `rate` per second; None where nothing bounds it."""
        if rate is None or self.is_cut:
            return None
        return sum(_room(stretch, rate) for stretch in self.stretches)

    def done_at(self, count: int, rate: float) -> datetime | None:
        """Return when the last of `count` messages leaves, as `capacity` counts them; None where it is too far away.

        It is the earliest that it can be: with local hours somebody may have to wait for a zone that opens later.
        """
        left = max(count, 1)
        for stretch in self.stretches:
            room = _room(stretch, rate)
            if left <= room:
                return stretch[0] + timedelta(seconds=(left - 1) / rate)
            left -= room
        return None


def openings(
    zones: Iterable[str], *, hours: Hours | None, home: tzinfo, begin: datetime, end: datetime
) -> Openings:
    """Return when a send to somebody in one of `zones` may begin, so that it is over before its hours and `end` are."""
    until = min(end, begin + FURTHEST)
    if hours is None:
        stretches = [(begin, until)]
    else:
        places = {find_zone(zone) or home for zone in zones}
        stretches = [each for place in places for each in hours.stretches(begin, until, place)]
    starts = [(opening, closing - LEAST_TIME) for opening, closing in stretches]
    return Openings(_joined(each for each in starts if each[0] <= each[1]), is_cut=until < end)


def _room(stretch: tuple[datetime, datetime], rate: float) -> int:
    # One at its beginning, and then one after each interval that still fits in.
    opening, closing = stretch
    return int((closing - opening).total_seconds() * rate) + 1


def _timing(hours: Hours | None, zone: tzinfo, begin: datetime, end: datetime) -> Timing | None:
    if hours is None:
        return Timing(begin, end)
    opening, _ = hours.open_for(LEAST_TIME, begin, zone)
    if opening + LEAST_TIME > end:
        return None
    return Timing(opening, hours.last_closing(end, zone))


def _joined(stretches: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Join stretches that overlap, so that no second counts twice."""
    joined: list[tuple[datetime, datetime]] = []
    for opening, closing in sorted(stretches):
        if joined and opening <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], closing))
        else:
            joined.append((opening, closing))
    return joined
