"""The demo's worker: a process as in earnest, that lasts as long as a block."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings

# Beyond its own time to drain, s.
GRACE = 5.0

StillRuns = Callable[[], None]


class WorkerDied(Exception):
    """It ended, and nobody had asked it to."""


@contextmanager
def worker() -> Iterator[StillRuns]:
    """Run a worker; give a function that raises when it has ended.

    :raises WorkerDied: by that function
    """
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "clarion", "worker", "--parent-fd", str(reading)],
        pass_fds=(reading,),
        start_new_session=True,
    )

    def still_runs() -> None:
        if process.poll() is not None:
            raise WorkerDied

    try:
        yield still_runs
    finally:
        process.terminate()
        try:
            process.wait(settings.CLARION.drain_seconds + GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(reading)
        os.close(writing)
