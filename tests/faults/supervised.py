"""`python -m tests.faults.supervised N`: Clarion's own supervisor over N workers, without a web process."""

import os
import sys
from functools import partial

import django
from django.conf import settings

if __name__ == "__main__":
    django.setup()

from clarion import supervisor, worker
from clarion.lib import logs
from clarion.supervisor import Child, Supervisor
from tests.faults import without
from tests.faults.processes import Forked


class Forking(Supervisor):
    """The same, but its workers are copies of this process: they start forty times faster."""

    def _start(self, child: Child) -> None:
        child.process = Forked(partial(_work, self._pipe_out, self._pipe_in))  # type: ignore[assignment]


def supervise(workers: int, *, forked: bool = False, lacking: str = "") -> None:
    """Keep so many workers running until SIGTERM."""
    if lacking:
        without.switch_off(lacking)
    # Kills come oftener here than any fault does; pauses between restarts would only draw the run out.
    supervisor.PAUSES = (0.0,)
    children = [Child(f"worker {number}", ["worker"]) for number in range(1, workers + 1)]
    kind = Forking if forked else Supervisor
    kind(children, environment=dict(os.environ), drain_seconds=settings.CLARION.drain_seconds).run(
        lambda: None
    )


def _work(pipe_out: int, pipe_in: int) -> None:
    # As with a started one: only the supervisor holds the writing end, and Ctrl-C is not for its children.
    os.close(pipe_in)
    os.setsid()
    worker.run(parent_fd=pipe_out)


if __name__ == "__main__":
    logs.set_up(level=settings.CLARION.log_level, form=settings.CLARION.log_format)
    supervise(int(sys.argv[1]))
