"""Holds sends of a lane with a rate back until their moment. Lives in the sending thread's event loop.

The moments were given out evenly (`pace`); this keeps them apart when the process stood still meanwhile and several of
them lie in the past.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from clarion.outbox.landing import Departure

# What is late is caught up with at this multiple of the rate: below the 1.1 that no second may exceed.
CATCH_UP = 1.05
# The loop's timers know whole milliseconds; so much of the rate may leave at once, s.
GRAIN = 0.005


class Pacer:
    """The sends of one lane that wait for their moment, in order."""

    def __init__(self, loop: asyncio.AbstractEventLoop, take_off: Callable[[Departure], None]) -> None:
        self._loop = loop
        self._take_off = take_off
        self._waiting: deque[Departure] = deque()
        self._alarm: asyncio.TimerHandle | None = None
        # Not before this moment, whatever the plan says.
        self._next_at = 0.0

    def add(self, departure: Departure) -> None:
        """Let it leave at its moment."""
        self._waiting.append(departure)
        if self._alarm is None:
            self._let_go()

    def recall(self, root_id: int) -> list[Departure]:
        """Take back what still waits and leads to the account of this lane."""
        stays = deque(each for each in self._waiting if each.account.lane_id != root_id)
        back = [each for each in self._waiting if each.account.lane_id == root_id]
        self._waiting = stays
        return back

    def _let_go(self) -> None:
        self._alarm = None
        now = time.monotonic()
        while self._waiting:
            departure = self._waiting[0]
            moment = max(departure.starts_at, self._next_at)
            if moment > now:
                self._alarm = self._loop.call_later(moment - now, self._let_go)
                return
            self._waiting.popleft()
            self._next_at = max(self._next_at, now - GRAIN) + departure.gap / CATCH_UP
            self._take_off(departure)
