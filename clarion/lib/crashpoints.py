"""Named places where a fault test lets the process die as `kill -9` would. Costs nothing that is measurable
while none is armed, and is never armed outside such tests.
"""

import os
import threading

# The exit code that a shell reports for a process killed by signal 9: both look alike to a supervisor.
KILLED = 137

POINTS = frozenset(
    {
        "export.before_slice_commit",
        "export.after_slice_commit",
        "import.received_before_commit",
        "import.before_batch_commit",
        "import.after_batch_commit",
        "mailing.created_before_commit",
        "mailing.created_after_commit",
        "materialise.before_slice_commit",
        "materialise.after_slice_commit",
        "cycle.before_commit",
        "cycle.after_commit",
        "send.before_request",
        "send.after_answer",
        "reader.before_commit",
        "reader.after_commit",
        "redelivery.before_slice_commit",
        "redelivery.after_slice_commit",
        "record.before_commit",
        "record.after_commit",
        "rescue.before_commit",
        "rescue.after_commit",
    }
)

_left: dict[str, int] = {}
_counting = threading.Lock()


class UnknownPoint(LookupError):
    """The name is not declared in POINTS."""


def crashpoint(name: str) -> None:
    """End the process here, at once, with nothing cleaned up, if this point is armed and its turn has come.

    :raises UnknownPoint: armed or not, so that a point missing in the list cannot stay unseen
    """
    if name not in POINTS:
        raise UnknownPoint(f"{name!r} is not declared in clarion/lib/crashpoints.py")
    if _left and name in _left:
        with _counting:
            _left[name] -= 1
            if _left[name] <= 0:
                os._exit(KILLED)


def arm(name: str, after: int = 1) -> None:
    """Let this process die the `after`-th time it comes to the point (1: the next time).

    :raises UnknownPoint: for an undeclared name
    :raises ValueError: for a count below 1
    """
    if name not in POINTS:
        raise UnknownPoint(f"{name!r} is not one of: {', '.join(sorted(POINTS))}")
    if after < 1:
        raise ValueError("a process can die the first time at the earliest")
    _left[name] = after
