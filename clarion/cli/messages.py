"""`clarion messages`: settle what is in doubt."""

from typing import Annotated

import typer

from clarion.cli.output import NOT_FOUND, now, out, stop
from clarion.flows import doubts

app = typer.Typer(help="Messages in doubt: settle.", no_args_is_help=True)


@app.command()
def settle(
    ids: list[int],
    arrived: Annotated[
        bool, typer.Option("--arrived/--send-again", help="It arrived; or send it again, perhaps twice.")
    ],
) -> None:
    """Say what became of messages whose answer was lost."""
    settled = doubts.settle(ids, arrived=arrived, now=now())
    if not settled:
        stop(NOT_FOUND, "None of these is in doubt.")
    out.print(f"{settled} settled.")


@app.callback()
def group() -> None:
    """Messages in doubt."""
