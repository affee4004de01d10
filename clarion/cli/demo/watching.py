"""What the demo shows while messages leave: a live picture on a terminal, elsewhere a line now and then."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from clarion.cli.output import err
from clarion.models import Lane, Mailing
from clarion.models.outgoing import OPEN_STATES, STATUS, STATUSES
from clarion.outbox import breaker, pace

# A rate is that of so many seconds, so that it neither flickers nor lags.
RATE_OVER = 2.0
# Without a terminal: a line so often, and one whenever sender or account change, s.
LINE_EVERY = 5.0


class Sight(NamedTuple):
    """What there is to see at one moment."""

    counts: dict[str, int]
    total: int
    done: int
    sender: str
    account: str


def look(mailing: Mailing, *, total: int, sender: str, now: datetime) -> Sight:
    """Return what the database says of a mailing and the account it leaves by."""
    states = dict(mailing.counts.by_state())
    counts: dict[str, int] = {}
    for state, count in states.items():
        counts[STATUS[state]] = counts.get(STATUS[state], 0) + count
    done = sum(count for state, count in states.items() if state not in OPEN_STATES)
    lane = Lane.objects.get(pk=mailing.account.lane_id)
    return Sight(counts, total, done, sender, _account(lane, now))


def _account(lane: Lane, now: datetime) -> str:
    if lane.closed_until is None:
        share = pace.share(lane.slow_since, now)
        return "open" if share == 1 else f"open, at {share:.0%} of its speed after the break"
    left = (lane.closed_until - now).total_seconds()
    is_on_trial = lane.closed_at is not None and lane.closed_until - lane.closed_at == breaker.TRIAL
    if left <= 0 or is_on_trial:
        return "on trial: one send at a time asks whether it works again"
    return f"closed for {left:.0f} s: {lane.closed_because}"


class Screen:
    """Draws each sight that it is given."""

    def __init__(self, live: Live | None) -> None:
        self._live = live
        self._began = time.monotonic()
        self._seen: deque[tuple[float, int]] = deque()
        self._said_at = float("-inf")
        self._said = ("", "")

    def show(self, sight: Sight) -> None:
        at = time.monotonic()
        self._seen.append((at, sight.done))
        while at - self._seen[0][0] > RATE_OVER and len(self._seen) > 2:
            self._seen.popleft()
        if self._live is not None:
            self._live.update(self._drawn(sight), refresh=True)
        elif at - self._said_at >= LINE_EVERY or self._said != _news(sight):
            self._said_at, self._said = at, _news(sight)
            err.print(self._line(sight), markup=False)

    @property
    def _rate(self) -> float:
        (first_at, first), (last_at, last) = self._seen[0], self._seen[-1]
        return (last - first) / (last_at - first_at) if last_at > first_at else 0.0

    def _line(self, sight: Sight) -> str:
        seconds = time.monotonic() - self._began
        return (
            f"{seconds:5.1f} s  {sight.done:>7} of {sight.total}  {self._rate:6.0f}/s  "
            f"sender: {sight.sender}; account: {sight.account}"
        )

    def _drawn(self, sight: Sight) -> RenderableType:
        facts = Table.grid(padding=(0, 2))
        facts.add_row("sender", sight.sender)
        facts.add_row("account", sight.account)
        for status in STATUSES:
            if sight.counts.get(status):
                facts.add_row(status, f"{sight.counts[status]:>9}")
        seconds = time.monotonic() - self._began
        facts.add_row("done", f"{sight.done:>9} of {sight.total}, {self._rate:.0f}/s, {seconds:.0f} s")
        return Group(facts, ProgressBar(total=max(sight.total, 1), completed=sight.done, width=60))


def _news(sight: Sight) -> tuple[str, str]:
    # Not how long it is still closed: that changes every second.
    return sight.sender, sight.account.partition(" ")[0]


@contextmanager
def screen() -> Iterator[Screen]:
    """Give a screen for as long as the block lasts; what it showed last stays."""
    if not err.is_terminal:
        yield Screen(None)
        return
    with Live(console=err, auto_refresh=False) as live:
        yield Screen(live)
