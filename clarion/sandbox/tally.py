"""What the stand-in sender took, by message id, and when it came: its own truth, whatever callers heard."""

import os
from array import array
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self


class Request(NamedTuple):
    """One request as it came: the wall clock (seconds since 1970), a clock that nobody sets, and what became of it."""

    message_id: int
    at: float
    steady_at: float
    accepted: bool


class Tally:
    """Counts by message id, with the first and last arrival of each (seconds since 1970, its own clock).

    With a ledger file every accepted id is written to it, one a line, before the answer leaves, so the count
    survives a killed process; a sender started on the same file goes on counting where it stopped.
    """

    def __init__(self, ledger: Path | None = None) -> None:
        # Columns, not objects: a million messages are about 150 MB this way, twice that with an object each.
        self._row_of: dict[int, int] = {}
        self._times, self._taken = array("I"), array("I")
        self._first, self._last = array("d"), array("d")
        # Every request in its order: its message's row, both clocks, whether it was accepted; 21 bytes each.
        self._rows, self._at, self._steady_at = array("I"), array("d"), array("d")
        self._was_accepted = array("b")
        self.requests = self.accepted = self.duplicates = self.malformed = 0
        self.by_profile: dict[str, dict[str, int]] = {}
        self._unwritten: list[int] = []
        self._ledger: int | None = None
        if ledger is not None:
            self._open(ledger)

    def arrived(self, message_id: int, *, at: float, steady_at: float) -> int:
        """Note a request for this message; return how many came before it."""
        self.requests += 1
        row = self._row_of.get(message_id)
        is_new = row is None
        if row is None:
            row = self._add(message_id, at)
        self._rows.append(row)
        self._at.append(at)
        self._steady_at.append(steady_at)
        self._was_accepted.append(0)
        if is_new:
            return 0
        before = self._times[row]
        self._times[row] = before + 1
        self._last[row] = at
        if not before:
            self._first[row] = at  # known from the ledger only
        return before

    def decided(self, message_id: int, profile: str, *, accepted: bool) -> None:
        """Note what was decided on the message that just arrived."""
        split = self.by_profile.get(profile)
        if split is None:
            split = self.by_profile[profile] = {"requests": 0, "accepted": 0}
        split["requests"] += 1
        if accepted:
            split["accepted"] += 1
            self._was_accepted[-1] = 1
            self._take(self._row_of[message_id])
            if self._ledger is not None:
                self._unwritten.append(message_id)

    def write_ledger(self) -> None:
        """Hand what was accepted since the last call to the operating system, in one write."""
        if self._unwritten and self._ledger is not None:
            os.write(self._ledger, b"".join(b"%d\n" % message_id for message_id in self._unwritten))
            self._unwritten.clear()

    def counts(self) -> dict[str, object]:
        """Return the totals; `duplicates` are acceptances beyond the first of each message."""
        return {
            "requests": self.requests,
            "accepted": self.accepted,
            "distinct": self.accepted - self.duplicates,
            "duplicates": self.duplicates,
            "malformed": self.malformed,
            "by_profile": {name: dict(split) for name, split in self.by_profile.items()},
        }

    def accepted_times(self) -> Iterator[tuple[int, int]]:
        """Yield message id and times accepted, for messages accepted at least once."""
        for message_id, row in self._row_of.items():
            if taken := self._taken[row]:
                yield message_id, taken

    def arrivals(self) -> Iterator[tuple[int, float, float]]:
        """Yield message id, first and last arrival, of every message seen since this process started."""
        for message_id, row in self._row_of.items():
            if self._times[row]:
                yield message_id, self._first[row], self._last[row]

    def log(self) -> Iterator[Request]:
        """Yield every request for a message since this process started, in the order in which they came."""
        ids = list(self._row_of)
        columns = (self._rows, self._at, self._steady_at, self._was_accepted)
        for row, at, steady_at, accepted in zip(*columns, strict=True):
            yield Request(ids[row], at, steady_at, bool(accepted))

    def close(self) -> None:
        """Write what is left and let go of the ledger."""
        self.write_ledger()
        if self._ledger is not None:
            os.close(self._ledger)
            self._ledger = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, ledger: Path) -> None:
        for message_id, taken in read_ledger(ledger).items() if ledger.exists() else ():
            row = self._add(message_id, 0.0)
            self._times[row] = 0
            for _ in range(taken):
                self._take(row)
        # Owner only: the ids say which messages went out.
        self._ledger = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def _add(self, message_id: int, at: float) -> int:
        row = self._row_of[message_id] = len(self._times)
        self._times.append(1)
        self._taken.append(0)
        self._first.append(at)
        self._last.append(at)
        return row

    def _take(self, row: int) -> None:
        self.accepted += 1
        self.duplicates += self._taken[row] > 0
        self._taken[row] += 1


def read_ledger(path: Path) -> Counter[int]:
    """Return times accepted by message id, from a ledger file; a last line cut by a crash is left out."""
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    return Counter(int(line) for line in whole.split(b"\n") if line)
