"""Sends with a moment of their own leave at it, and not all at once when the process stood still meanwhile."""

import time
from datetime import timedelta

from clarion.outbox.dispatch import Dispatch
from clarion.sandbox import RunningSender
from tests.conftest import Clock
from tests.outbox import rounds
from tests.outbox.test_dispatch import account_at, dispatch, landings

__all__ = ["dispatch"]


def leave(
    dispatch: Dispatch, sender: RunningSender, clock: Clock, starts_at: list[float], gap: float
) -> None:
    """Let sends with these moments leave, and wait for their answers."""
    account, deadline = account_at(sender), clock() + timedelta(seconds=60)
    numbered = enumerate(starts_at, 1)
    dispatch.start(
        [
            rounds.departure(account, deadline, id=number, starts_at=moment, gap=gap)
            for number, moment in numbered
        ]
    )
    landings(dispatch, len(starts_at))


def test_sends_leave_at_their_moments(dispatch: Dispatch, sender: RunningSender, clock: Clock) -> None:
    began = time.monotonic()

    leave(dispatch, sender, clock, [began + 0.05, began + 0.1], 0.05)

    assert time.monotonic() - began >= 0.099


def test_sends_that_are_late_leave_no_faster_than_the_rate_allows(
    dispatch: Dispatch, sender: RunningSender, clock: Clock
) -> None:
    began, gap = time.monotonic(), 0.02

    leave(dispatch, sender, clock, [began - 1] * 8, gap)

    # Seven gaps, each a twentieth shorter at most; the first few milliseconds count for one.
    assert time.monotonic() - began >= 7 * gap / 1.05 - 0.006
