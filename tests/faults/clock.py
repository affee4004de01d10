"""A wall clock that the test sets, for every process of a run: libfaketime reads what it says from a file, each time.

`time.monotonic` and the boot clock stay what they are, as they do when somebody sets a machine's clock.
"""

import os
import select
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

# Where Debian, Fedora and those who build it themselves have it.
PLACES = ("lib/*/faketime", "lib*/faketime", "local/lib*/faketime")
# A running clock is set this often, s.
TICK = 0.01


class Leap(NamedTuple):
    """One setting of the clock: when (time.monotonic), and by how much, s."""

    steady_at: float
    by: float


class Clock:
    """Sets the wall clock of this process and of all that share its environment."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ahead = 0.0
        self.leaps: list[Leap] = []

    @classmethod
    def of_this_run(cls) -> "Clock":
        return cls(Path(os.environ["FAKETIME_TIMESTAMP_FILE"]))

    @staticmethod
    def let_sleep() -> None:
        """Let this process and those forked from it sleep.

        libfaketime 0.9.10 takes the moment until which `time.sleep` waits, of a clock it leaves alone, to be of its own.
        """
        time.sleep = lambda seconds: select.select([], [], [], seconds) and None

    def now(self) -> datetime:
        return datetime.now(UTC)

    def leap(self, by: timedelta) -> None:
        """Set it forward or back."""
        # Noted before: somebody may read the new time before we are back.
        self.leaps.append(Leap(time.monotonic(), by.total_seconds()))
        self._set(self._ahead + by.total_seconds())

    def leap_to(self, moment: datetime) -> None:
        self.leap(moment - self.now())

    def run_to(self, moment: datetime, *, seconds: float) -> None:
        """Let it run evenly until it shows `moment`, which takes so many seconds."""
        begin, began = self.now(), time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            time.sleep(min(TICK, seconds - passed))
            part = min(1.0, (time.monotonic() - began) / seconds)
            shown = begin + (moment - begin) * part
            self._set(self._ahead + (shown - self.now()).total_seconds())

    def _set(self, ahead: float) -> None:
        # Renamed into place: nobody may read half of it.
        news = self._path.with_suffix(".new")
        news.write_text(f"{ahead:+.6f}\n")
        news.rename(self._path)
        self._ahead = ahead


def library() -> Path | None:
    """Return libfaketime for programs with threads, if it is installed."""
    found = (path for place in PLACES for path in Path("/usr").glob(f"{place}/libfaketimeMT.so.1"))
    return next(found, None)


def environment(folder: Path, preload: Path) -> dict[str, str]:
    """Return what makes processes read their wall clock from a new file in `folder`."""
    path = folder / "clock"
    path.write_text("+0\n")
    return {
        "LD_PRELOAD": str(preload),
        "FAKETIME_TIMESTAMP_FILE": str(path),
        "FAKETIME_NO_CACHE": "1",
        # The names of several versions; without the last a thread that waits for its turn keeps a core busy.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        "NO_FAKE_STAT": "1",
    }
