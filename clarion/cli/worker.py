"""`clarion worker`: one worker process, or one tick of it."""

from typing import Annotated

import typer

from clarion import checks, worker
from clarion.cli.door import refuse


def work(
    once: Annotated[bool, typer.Option("--once", help="Do what is due now, then end.")] = False,
    parent_fd: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Start mailings when their time comes, and send what is due."""
    refuse(checks.reasons_not_to_start())
    if once:
        worker.tick(worker.utc_now)
    else:
        worker.run(parent_fd=parent_fd)
