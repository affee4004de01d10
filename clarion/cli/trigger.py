"""`clarion trigger`: a made-up event of one type, posted to a running hub as a shop would post it."""

from typing import Annotated

import typer
from django.conf import settings

from clarion.cli import calls
from clarion.cli.output import FAILED, NOT_FOUND, WRONG_USE, now, out, stop
from clarion.cli.run import address_of
from clarion.sandbox import events


def trigger(
    event_type: Annotated[str, typer.Argument(help="Which; --list shows them.", show_default=False)] = "",
    tenant: Annotated[str, calls.TENANT] = "",
    customer: Annotated[
        str, typer.Option(help="Whom it is about: the shop's own reference.")
    ] = events.CUSTOMER,
    url: Annotated[str, calls.HUB_URL] = address_of(settings.CLARION.host, settings.CLARION.port),
    key: Annotated[str, calls.KEY] = "",
    list_types: Annotated[bool, typer.Option("--list", help="Show the types, and send nothing.")] = False,
) -> None:
    """Post a sample event to a running hub."""
    if list_types:
        out.print("\n".join(events.TYPES), markup=False)
        return
    if not event_type:
        stop(WRONG_USE, "Which type? --list shows them.")
    kind = {each.lower(): each for each in events.TYPES}.get(event_type.lower())
    if kind is None:
        stop(NOT_FOUND, "There is no such type of event; --list shows them.")
    hub = calls.hub_of(url, tenant, key)
    sample = events.sample(kind, customer=customer, now=now())
    try:
        reply = hub.post(sample.path, sample.body)
    except calls.Away as away:
        stop(FAILED, f"No hub answers at {hub.url}: {away}. make run starts one; --url names another.")
    calls.refused(reply)
    if reply.status not in (200, 201) or not reply.headers["Clarion-Seq"]:
        stop(FAILED, "What answers there is no hub of ours.")
    out.print(f"{kind} is number {reply.headers['Clarion-Seq']} of the log.", markup=False)
