"""What a sender's own record of requests says about how fast they came."""

from collections.abc import Sequence


def peak(times: Sequence[float], seconds: float = 1.0) -> int:
    """Return the most requests that any stretch of so many seconds holds. `times` are in order."""
    most = first = 0
    for last, at in enumerate(times):
        while times[first] <= at - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def between(times: Sequence[float], begin: float, end: float) -> list[float]:
    """Return those of [begin, end)."""
    return [at for at in times if begin <= at < end]
