"""`clarion secrets`: the keys that seal credentials at rest, changed while everything runs. Shows none of them."""

from typing import Annotated

import typer
from django.conf import settings

from clarion.cli.output import FAILED, REFUSED, now, out, program, stop
from clarion.flows import secrets as flow

app = typer.Typer(help="Keys of what is sealed: rotate.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Keys of what is sealed."""


@app.command()
def rotate(
    key_only: Annotated[
        bool,
        typer.Option(
            "--key-only",
            help="Make the key and seal nothing anew: first copy the file to your other machines.",
        ),
    ] = False,
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="Take away the keys that open nothing any more.")
    ] = False,
) -> None:
    """Make a new first key and seal everything anew with it; what broke off is finished instead."""
    path = settings.CLARION.keys_path
    if drop_old:
        _drop(key_only=key_only)
        return
    made_key, resealed, lost = flow.rotate(path, key_only=key_only)
    out.print(
        f"{path} has a new first key; the others still open."
        if made_key
        else f"An earlier rotation of {path} was not finished, so there is no other key.",
        markup=False,
    )
    if key_only:
        again = f"{program()} secrets rotate"
        out.print(f"Copy it to every machine that runs Clarion, then: {again}", markup=False)
        return
    out.print(f"{resealed} sealed settings were sealed anew.")
    if lost:
        stop(FAILED, f"{lost} sealed settings open with no key of the file: {program()} doctor names them.")
    out.print(
        f"When no backup that you may want back needs the old keys: {program()} secrets rotate --drop-old"
    )


def _drop(*, key_only: bool) -> None:
    path = settings.CLARION.keys_path
    if key_only:
        stop(REFUSED, "--key-only and --drop-old are two steps.")
    try:
        dropped = flow.drop_old(path, now=now())
    except flow.StillNeeded as error:
        stop(REFUSED, f"No key was taken away: {error}. {program()} secrets rotate seals them anew.")
    except flow.TooSoon as error:
        stop(REFUSED, f"No key was taken away: {error}. Try again in a minute.")
    out.print(f"{dropped} keys were taken out of {path}." if dropped else "There was one key, and it stays.")
