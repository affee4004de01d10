"""`clarion trace <id>`: the whole life of one thing."""

import json
from typing import Annotated

import typer

from clarion.cli.output import NOT_FOUND, out, stop
from clarion.flows import traces
from clarion.lib.times import wire_time

KINDS = {
    "message": traces.of_message,
    "delivery": traces.of_delivery,
    "mailing": traces.of_mailing,
    "customer": traces.of_customer,
}


def trace(
    thing: Annotated[str, typer.Argument(help="A message's id, or delivery:3, mailing:7, customer:12.")],
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Show everything that is known of a message, a delivery, a mailing or a customer, in order."""
    kind, _, number = thing.rpartition(":")
    look = KINDS.get(kind or "message")
    if look is None or not (number.isascii() and number.isdigit() and len(number) < 19):
        stop(2, "Say a message's id (12), or delivery:3, mailing:7, customer:12.")
    try:
        moments = look(int(number))
    except traces.NothingFound as error:
        stop(NOT_FOUND, str(error))
    for moment in moments:
        at = wire_time(moment.at) if moment.at else ""
        if as_json:
            print(json.dumps({"at": at or None, "what": moment.what, "depth": moment.depth}))
        else:
            out.print(f"{at:<28}{'  ' * moment.depth}{moment.what}", markup=False)
