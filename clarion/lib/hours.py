"""A part of the day on everybody's own wall clock, found in the one time line of all.

Exact to the microsecond, also where clocks are put forward or back: inside a day of UTC a zone's distance changes at
most once (in the whole zone database two changes are never nearer than 95 hours), so a day has one or two pieces, and
in a piece the wall clock simply runs along.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from functools import lru_cache

# Times are whole microseconds since 1970 in here: wall clocks are then a sum and a remainder.
_START = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
_FIRST, _LAST = ((edge.replace(tzinfo=UTC) - _START) // _MICROSECOND for edge in (datetime.min, datetime.max))
# Nearer than this to an end of the calendar (years 1 and 9999) a local time may have no date; zones do not change there.
_EDGE = 2 * _DAY
# Of each of the 600 zones the days that one mailing asks about; a piece takes 0.2 kB.
_REMEMBERED = 4096

Piece = tuple[int, int, int]  # from, to, what the wall clock is ahead of UTC


@dataclass(frozen=True, slots=True)
class Hours:
    """From `begins` until just before `ends` on the wall clock of a zone; over midnight when `ends` is earlier.

    Open is what the wall clock says: an hour that comes twice is open twice, one that is skipped not at all. Moments
    are aware, in any zone; answers are in UTC. Where the calendar ends, at the years 1 and 9999, so does every answer.

    :raises ValueError: when both are the same, which could be the whole day or nothing
    """

    begins: time
    ends: time

    def __post_init__(self) -> None:
        if self.begins == self.ends:
            raise ValueError("hours begin and end at different times")

    def are_open(self, at: datetime, zone: tzinfo) -> bool:
        """Whether the wall clock of `zone` shows a time of these hours."""
        _, _, ahead = _piece(_count(at), zone)
        return self._left(_count(at) + ahead) > 0

    def opening(self, at: datetime, zone: tzinfo) -> datetime:
        """Return `at` itself when open, otherwise the first later moment that is; it is at most three days away."""
        now = _count(at)
        while now < _LAST:
            _, end, ahead = _piece(now, zone)
            found = now + self._wait(now + ahead)
            if found < end:
                return _moment(found)
            now = end
        return _moment(_LAST)

    def closing(self, at: datetime, zone: tzinfo) -> datetime:
        """Return the first moment from `at` on that is not open."""
        now = _count(at)
        while now < _LAST:
            _, end, ahead = _piece(now, zone)
            found = now + self._left(now + ahead)
            if found < end:
                return _moment(found)
            now = end
        return _moment(_LAST)

    def open_for(self, least: timedelta, at: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
        """Return from when, `at` or later, and until when it is open for at least so long.

        Hours shorter than `least` are as long as they are: the second stretch is the answer then.
        """
        opens = self.opening(at, zone)
        closes = self.closing(opens, zone)
        if closes - opens < least:
            opens = self.opening(closes, zone)
            closes = self.closing(opens, zone)
        return opens, closes

    def last_closing(self, before: datetime, zone: tzinfo) -> datetime:
        """Return the end of the last stretch that begins before `before`; that itself, when the stretch lasts until then."""
        last = _count(before) - 1
        while last > _FIRST:
            begin, _, ahead = _piece(last, zone)
            found = last - self._since(last + ahead)
            if found >= begin:
                return _moment(found + 1)
            last = begin - 1
        return _moment(_FIRST)

    def stretches(self, begin: datetime, end: datetime, zone: tzinfo) -> Iterator[tuple[datetime, datetime]]:
        """Yield what is open inside [begin, end) in order, each stretch as its beginning and its end; none touch."""
        opens = self.opening(begin, zone)
        while opens < end:
            closes = self.closing(opens, zone)
            yield opens, min(closes, end).astimezone(UTC)
            opens = self.opening(closes, zone)

    def _left(self, wall: int) -> int:
        """How long it stays open if the wall clock runs on; 0 when it is not open."""
        return max(0, self._length() - (wall - _since_midnight(self.begins)) % _DAY)

    def _wait(self, wall: int) -> int:
        """How long until it opens if the wall clock runs on; 0 when it is open."""
        past = (wall - _since_midnight(self.begins)) % _DAY
        return 0 if past < self._length() else _DAY - past

    def _since(self, wall: int) -> int:
        """How long ago it was open, if the wall clock ran until now; 0 when it is open."""
        past = (wall - _since_midnight(self.begins)) % _DAY
        return max(0, past - self._length() + 1)

    def _length(self) -> int:
        return (_since_midnight(self.ends) - _since_midnight(self.begins)) % _DAY


def _piece(at: int, zone: tzinfo) -> Piece:
    """Return the piece that `at` is in: a day of UTC, or its part before or after a change of the clocks."""
    pieces = _pieces(at // _DAY, zone)
    return pieces[0] if at < pieces[0][1] else pieces[1]


@lru_cache(_REMEMBERED)
def _pieces(day: int, zone: tzinfo) -> tuple[Piece, ...]:
    begin, end = day * _DAY, (day + 1) * _DAY
    before, after = _ahead(begin, zone), _ahead(end, zone)
    if before == after:
        return ((begin, end, before),)
    # Clocks change at whole seconds of UTC. `same` still has the old distance, `changed` the new one.
    same, changed = begin // _SECOND, end // _SECOND
    while changed - same > 1:
        middle = (same + changed) // 2
        if _ahead(middle * _SECOND, zone) == before:
            same = middle
        else:
            changed = middle
    change = changed * _SECOND
    return ((begin, change, before), (change, end, after)) if change < end else ((begin, end, before),)


def _ahead(at: int, zone: tzinfo) -> int:
    inside = min(max(at, _FIRST + _EDGE), _LAST - _EDGE)
    distance = _moment(inside).astimezone(zone).utcoffset()
    return (distance or timedelta()) // _MICROSECOND


def _since_midnight(wall: time) -> int:
    return ((wall.hour * 60 + wall.minute) * 60 + wall.second) * _SECOND + wall.microsecond


def _count(moment: datetime) -> int:
    return (moment - _START) // _MICROSECOND


def _moment(count: int) -> datetime:
    return _START + count * _MICROSECOND
