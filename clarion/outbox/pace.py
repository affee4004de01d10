"""How fast a lane may go: when its next sends may begin, kept in the lane's row, shared by all workers.

A send gets a moment of its own, 1 / rate after the one before. Moments are given out for the next tenth of a second
only and never for the past, so that no second holds more than its share, however long everything stood still.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

# How far ahead moments are given out, s. Rounds come every 20 ms when idle and seldom take longer than this; a
# shorter horizon would leave moments unused, a longer one ties rows to a worker that may stop.
HORIZON = 0.1

# A lane that works again after its breaker was open goes slowly at first: a tenth, doubled every five seconds. What
# has just come back is met by everything that waited.
FIRST_SHARE = 0.1
DOUBLES_EVERY = timedelta(seconds=5)


@dataclass(slots=True)
class Pace:
    """The rate of one lane, and when its next send may begin, both of the clock that leases are measured by (s)."""

    lane_id: int
    per_second: float
    next_slot: float

    def first_slot(self, now: float) -> float:
        # Further ahead than was ever given out (twice, for what rounding adds): the clock began anew, or the rate was
        # lower then.
        ahead = self.next_slot > now + 2 * HORIZON + 1 / self.per_second
        return now if ahead else max(now, self.next_slot)


def has_slot(paces: Sequence[Pace], now: float) -> bool:
    """Whether a send that is bound by all these paces may begin within the horizon."""
    return all(pace.first_slot(now) <= now + HORIZON for pace in paces)


def slots(paces: Sequence[Pace], now: float, most: int) -> list[float]:
    """Return the moments at which the next sends may begin that are bound by all these paces, at most `most`."""
    if not paces:
        return [now] * most
    moment = max(pace.first_slot(now) for pace in paces)
    gap = max(1 / pace.per_second for pace in paces)
    count = min(most, int((now + HORIZON - moment) / gap) + 1) if moment <= now + HORIZON else 0
    return [moment + number * gap for number in range(count)]


def use(paces: Sequence[Pace], taken: Sequence[float]) -> None:
    """Note that the sends of these moments were begun."""
    for pace in paces:
        if taken:
            pace.next_slot = taken[-1] + 1 / pace.per_second


def share(slow_since: datetime | None, now: datetime) -> float:
    """Return which part of its speed a lane may go at: 1 unless it has just come back."""
    # Set back clocks make the past a future; then it is over.
    if slow_since is None or now < slow_since:
        return 1.0
    return min(1.0, FIRST_SHARE * 2.0 ** ((now - slow_since) // DOUBLES_EVERY))
