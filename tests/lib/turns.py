"""What the tests of the turnstile ask from outside: is the turn free, and has something come to pass."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from clarion.lib.turnstile import Turnstile, TurnTimeout


def free(path: Path) -> bool:
    """Whether another thread of this process would get a turn at once."""
    answers = []

    def ask() -> None:
        try:
            Turnstile(path).turn(timeout=0).release()
        except TurnTimeout:
            answers.append(False)
        else:
            answers.append(True)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    return answers[0]


def until(true: Callable[[], bool]) -> None:
    limit = time.monotonic() + 10
    while not true():
        assert time.monotonic() < limit, "it did not come to pass"
        time.sleep(0.001)
