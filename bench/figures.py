"""What a measurement says, and how a table says it."""

import json
import math
import os
import platform
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

HEAD = "| what | database | size | measured | goal | |\n|---|---|---|---|---|---|"
# Turns of the loop that says how fast this machine is at the moment: long enough to outlast a scheduler's slice.
TURNS = 3_000_000


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. A goal is the least that is wanted, or with `is_most` the most; none: only told."""

    what: str
    value: float
    unit: str
    size: str = ""
    goal: float | None = None
    is_most: bool = False

    def line(self, database: str) -> str:
        cells = [self.what, database, self.size, _told(self.value, self.unit), "", ""]
        if self.goal is not None:
            is_reached = self.value <= self.goal if self.is_most else self.value >= self.goal
            cells[4] = ("≤ " if self.is_most else "≥ ") + _told(self.goal, self.unit)
            cells[5] = "reached" if is_reached else "missed"
        return "| " + " | ".join(cells) + " |"


def say(figures: Iterable[Figure]) -> None:
    """Print the figures as the last line of this process; `heard` reads them in the other one."""
    print(json.dumps([asdict(figure) for figure in figures]))


def heard(printed: str) -> list[Figure]:
    return [Figure(**each) for each in json.loads(printed.splitlines()[-1])]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share (0 to 1) of all do not exceed."""
    return sorted(values)[max(math.ceil(len(values) * share) - 1, 0)]


def peak_mb(pid: int | str = "self") -> float:
    """Return the most memory a process has held (VmHWM), MB; not a number where /proc does not say."""
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), math.nan)


def cpu_seconds(pid: int) -> float:
    """Return the processor time a process has used; not a number where /proc does not say."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return math.nan
    user, system = stat.read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def family_seconds(pid: int) -> float:
    """Return the processor time that a process and those that it started have used, as far as they still run."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    children = map(int, listed.read_text().split()) if listed.exists() else ()
    return cpu_seconds(pid) + sum(map(family_seconds, children))


def machine() -> str:
    """Return the machine in words, with how fast it is right now: others may be using it, too."""
    # Not the best of them: what the measurements get is the usual, too.
    pace = median(_turn() for _ in range(5))
    return (
        f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}; "
        f"a turn of an empty Python loop took {pace:.0f} ns"
    )


def _turn() -> float:
    began = time.perf_counter()
    for _ in range(TURNS):
        pass
    return (time.perf_counter() - began) / TURNS * 1e9


def _told(value: float, unit: str) -> str:
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}".strip()
