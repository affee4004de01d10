"""When to try again: full jitter, what the other side asked for, and a deadline that is kept.

Only arithmetic. Times are given and returned; nothing waits, nothing reads a clock.
"""

import math
import random
from dataclasses import dataclass
from datetime import datetime, timedelta

# A Retry-After beyond a day is a mistake or an insult; asked again after a day, it may say so again.
LONGEST_RETRY_AFTER = 86_400.0
# Last tries are spread over this share of the time left, so that a whole mailing does not end in one second.
LAST_TRY_SPREAD = 0.1


@dataclass(frozen=True, slots=True)
class Policy:
    """Seconds: the ceilings of the waits, one after the other, and the least wait of any.

    `counts_trials`: a send that tried for all others whether the other side is back uses up a try of its own. Where waits
    are short, who is the first in line would use up all of its tries in an outage.
    """

    ceilings: tuple[float, ...]
    floor: float
    counts_trials: bool = False

    @property
    def most_tries(self) -> int:
        """How many counted tries there are in all."""
        return len(self.ceilings) + 1


# 5 s doubling to 10 minutes keeps a mailing moving inside its window. The eleven waits are 25 minutes on average, 51 at
# most; what does not work by then needs a person, not a thirteenth try. Floor: not twice in the same second.
MAILING = Policy(ceilings=(5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 600.0, 600.0, 600.0, 600.0), floor=1.0)
# Half of each is what Standard Webhooks asks senders for: at once, after seconds, minutes, hours, 75 hours in all on
# average. A receiver that is broken on a Friday evening has until Monday.
FORWARDING = Policy(
    ceilings=(
        10.0,
        600.0,
        3600.0,
        4 * 3600.0,
        10 * 3600.0,
        20 * 3600.0,
        28 * 3600.0,
        40 * 3600.0,
        48 * 3600.0,
    ),
    floor=1.0,
    counts_trials=True,
)


def next_try(
    now: datetime,
    counted_tries: int,
    policy: Policy,
    retry_after: float | None,
    deadline: datetime | None,
    margin: float,
    rng: random.Random,
) -> datetime | None:
    """Return the moment of the next try, or None when none can make the deadline.

    `retry_after` is in seconds, as the other side said; what is no sensible number is ignored. `margin` is
    the time in seconds that a send needs before its deadline. A wait that would pass the deadline becomes a
    last try shortly before it, if that is at least the floor (and what the other side asked for) away.
    Whether `most_tries` are used up is for the caller to ask first: that is another end, with another name.
    """
    asked = honoured(retry_after)
    due = now + timedelta(seconds=max(asked, delay(counted_tries, policy, rng=rng)))
    if deadline is None:
        return due
    latest = deadline - timedelta(seconds=margin)
    if due <= latest:
        return due
    least = max(asked, policy.floor)
    left = (latest - now).total_seconds()
    if left < least:
        return None
    spread = min(left - least, left * LAST_TRY_SPREAD)
    return latest - timedelta(seconds=rng.uniform(0.0, spread))


def delay(tries: int, policy: Policy, *, rng: random.Random) -> float:
    """Return the seconds to wait after `tries` counted tries: the floor, and anything up to the ceiling.

    After none it is as after the first: a refusal for speed is no try. The whole width is random ("full jitter"),
    because what failed together must not come back together.
    """
    ceiling = policy.ceilings[min(max(tries, 1), len(policy.ceilings)) - 1]
    return policy.floor + rng.uniform(0.0, ceiling)


def honoured(retry_after: float | None) -> float:
    """Return the seconds the other side asked for, at most a day; 0 for what is no sensible number."""
    # An adapter may give anything.
    if not isinstance(retry_after, int | float) or not math.isfinite(retry_after) or retry_after < 0:
        return 0.0
    return min(retry_after, LONGEST_RETRY_AFTER)
