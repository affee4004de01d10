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


def capacity(
    zones: Iterable[str],
    *,
    hours: Hours | None,
    home: tzinfo,
    begin: datetime,
    end: datetime,
    rate: float | None,
) -> int | None:
    """Return how many messages can leave between `begin` and `end` at `rate` per second; None where nothing bounds it.

    With local hours only the time counts in which they are open in one of `zones`.
    """
    if rate is None or end - begin > FURTHEST:
        return None
    stretches = _stretches(zones, hours, home, begin, end)
    # One at the beginning of each stretch, and then one after each interval that still fits in.
    return sum(int((closing - opening).total_seconds() * rate) + 1 for opening, closing in stretches)


def done_at(
    count: int,
    zones: Iterable[str],
    *,
    hours: Hours | None,
    home: tzinfo,
    begin: datetime,
    end: datetime,
    rate: float,
) -> datetime | None:
    """Return when the last of `count` messages leaves, as `capacity` counts them; None where it is too far away."""
    left = max(count, 1)
    for opening, closing in _stretches(zones, hours, home, begin, min(end, begin + FURTHEST)):
        room = int((closing - opening).total_seconds() * rate) + 1
        if left <= room:
            return opening + timedelta(seconds=(left - 1) / rate)
        left -= room
    return None


def _stretches(
    zones: Iterable[str], hours: Hours | None, home: tzinfo, begin: datetime, end: datetime
) -> list[tuple[datetime, datetime]]:
    """Return from when until when sends may begin, in order and apart from each other."""
    last_start = end - LEAST_TIME
    if hours is None:
        return [(begin, last_start)] if begin < last_start else []
    places = {find_zone(zone) or home for zone in zones}
    return _joined(stretch for place in places for stretch in hours.stretches(begin, last_start, place))


def _timing(hours: Hours | None, zone: tzinfo, begin: datetime, end: datetime) -> Timing | None:
    if hours is None:
        return Timing(begin, end)
    opening = hours.opening(begin, zone)
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
