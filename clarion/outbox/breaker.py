"""The breaker of each lane: what counts against a sender, when its lane closes, for how long, when it opens again.

Outcomes are counted in each worker's memory; what follows from them is written to the lane's row, so that it holds for
all workers and after a restart.
"""

import random
from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta

from clarion.lib.retry import honoured
from clarion.lib.sending import InDoubt, Misconfigured, NotSent, Receipt, Refused, Throttled
from clarion.models import Lane
from clarion.outbox.landing import Landing, kept

# Half of the last hundred sends, of at least ten: a sender that fails one in three is slow, not away.
REMEMBERED, LEAST, RATIO = 100, 10, 0.5
# Older outcomes say nothing about now.
WINDOW = timedelta(seconds=60)
# In a row, whatever the ratio: a lane with few messages does not need ten to learn that nobody is there.
IN_A_ROW = 5
# The first break, and the longest: doubled each time the trial fails. The half of it is random, so that workers and
# lanes that broke together do not come back together.
FIRST_BREAK, LONGEST_BREAK = timedelta(seconds=15), timedelta(minutes=5)
# So many sends have to go right, one at a time, before all others follow.
PASSES = 5
# While a send on trial is under way the lane stays closed for everybody else; longer than any send takes.
TRIAL = timedelta(seconds=30)
# An account that is refused is asked again this often: often enough to notice a mended key, too rarely to be banned.
REFUSED_ACCOUNT_PAUSE = timedelta(minutes=5)
# A provider that asks us to slow down without saying for how long.
THROTTLED_PAUSE = timedelta(seconds=1)


class Breaker:
    """What one worker remembers of one lane."""

    def __init__(self) -> None:
        self._outcomes: deque[tuple[datetime, bool]] = deque()
        self._failed = 0
        self._unreached = 0

    def note(self, landing: Landing) -> bool:
        """Remember how a send ended; True when that is one too many.

        Who refuses us, or asks us to wait, is there: that closes the lane in another way.
        """
        result = landing.result
        if not isinstance(result, Receipt | Refused | NotSent | InDoubt):
            return False
        failed = isinstance(result, NotSent | InDoubt)
        self._unreached = self._unreached + 1 if isinstance(result, NotSent) else 0
        self._outcomes.append((landing.ended_at, failed))
        self._failed += failed
        while len(self._outcomes) > REMEMBERED or self._outcomes[0][0] < landing.ended_at - WINDOW:
            self._failed -= self._outcomes.popleft()[1]
        if not failed:
            return False
        many = len(self._outcomes) >= LEAST and self._failed >= RATIO * len(self._outcomes)
        return many or self._unreached >= IN_A_ROW


def record(
    lane: Lane, landings: Sequence[Landing], *, broke: bool, now: datetime, rng: random.Random
) -> None:
    """Write what these answers say onto the locked lane; the caller saves it. `broke`: its breaker says enough.

    While the lane is closed only the one on trial opens it or closes it for longer; what left before says nothing new.
    """
    is_open = lane.closed_until is None
    for landing in landings:
        on_trial = landing.departure.is_trial and not is_open
        if on_trial:
            lane.closed_until = now
        match landing.result:
            case Misconfigured() as error:
                _close(lane, landing.ended_at + REFUSED_ACCOUNT_PAUSE, error.detail, now)
            case Throttled() as error:
                pause = max(timedelta(seconds=honoured(error.retry_after)), THROTTLED_PAUSE)
                _close(lane, landing.ended_at + pause, error.detail, now)
            case NotSent() | InDoubt() as error if on_trial or (is_open and broke):
                broke = False
                _break(lane, error.detail, now, rng)
            case Receipt() | Refused() if on_trial:
                _pass(lane, now)


def begin_trial(lane: Lane, now: datetime) -> None:
    """Let one send try whether the lane works again; for everybody else it stays closed meanwhile."""
    lane.closed_at, lane.closed_until = now, now + TRIAL


def end_trial(lane: Lane, now: datetime) -> None:
    """Nothing was there to try with after all."""
    lane.closed_until = now


def reopen(lane: Lane) -> None:
    """Open it at full speed, whatever it was closed for."""
    lane.closed_at, lane.closed_until, lane.closed_because = None, None, ""
    lane.breaks, lane.passed, lane.slow_since = 0, 0, None


def _close(lane: Lane, until: datetime, because: str, now: datetime) -> None:
    # An answer that was long under way must not open what another one closed for longer.
    if lane.closed_until is None or lane.closed_until < until:
        lane.closed_at, lane.closed_until, lane.closed_because = now, until, kept(because, 200)
        lane.passed = 0


def _break(lane: Lane, because: str, now: datetime, rng: random.Random) -> None:
    longest = min(LONGEST_BREAK, FIRST_BREAK * 2**lane.breaks)
    lane.breaks += 1
    _close(lane, now + longest * rng.uniform(0.5, 1.0), because, now)


def _pass(lane: Lane, now: datetime) -> None:
    lane.passed += 1
    # Who was closed for another reason than its breaker has shown with one that it works again.
    if lane.breaks and lane.passed < PASSES:
        lane.closed_until = now
        return
    was_broken = bool(lane.breaks)
    reopen(lane)
    lane.slow_since = now if was_broken else None
