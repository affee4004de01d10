"""`clarion sandbox`: the outside sender's stand-in, a real server on loopback."""

from pathlib import Path
from typing import Annotated

import typer

from clarion.cli.output import REFUSED, err, stop
from clarion.sandbox import PROFILES, NotLoopback, UnknownProfile, serve


def sandbox(
    profile: Annotated[str, typer.Option(help=f"How it behaves: {', '.join(PROFILES)}.")] = "fine",
    host: Annotated[str, typer.Option(help="Loopback only.")] = "127.0.0.1",
    port: Annotated[int, typer.Option()] = 8010,
    ledger: Annotated[
        Path | None, typer.Option(help="File that gets the id of every accepted message.")
    ] = None,
) -> None:
    """Stand in for the outside sender: take messages, count them, misbehave as told."""
    try:
        serve(host, port, profile, ledger, on_ready=_say)
    except (NotLoopback, UnknownProfile) as error:
        stop(REFUSED, str(error))
    except OSError as error:
        stop(REFUSED, f"Port {port} on {host} cannot be had ({error.strerror}). Choose another: --port")


def _say(base_url: str) -> None:
    err.print(f"The stand-in sender listens at {base_url}. GET {base_url}/_sandbox/counts says what it took.")
