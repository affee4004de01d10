"""`clarion readers`: how far what follows from events has come, and what it could not bear."""

from typing import Annotated

import typer

from clarion.cli.output import FAILED, NOT_FOUND, REFUSED, find_tenant, now, out, stop, table
from clarion.flows import readers as flow
from clarion.flows import replays
from clarion.flows.reading import Reader
from clarion.models import ParkedEvent
from clarion.models.readers import ParkedEvents

app = typer.Typer(help="Readers of the log: list, parked, rerun, forget, rewind.")

TENANT = Annotated[str | None, typer.Option(help="Only in this tenant's log.")]
SEQ = Annotated[int | None, typer.Option(help="Only the event with this number.")]
JSON = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@app.callback(invoke_without_command=True)
def group(context: typer.Context, tenant: TENANT = None, as_json: JSON = False) -> None:
    """Without a verb: list the readers, as `list` does."""
    if context.invoked_subcommand is None:
        list_readers(tenant=tenant, as_json=as_json)


@app.command("list")
def list_readers(tenant: TENANT = None, as_json: JSON = False) -> None:
    """List where each reader is in each tenant's log."""
    columns = ("reader", "tenant", "position", "head", "unread", "oldest unread, s", "parked")
    moment = now()
    rows = []
    for each in flow.standings(None if tenant is None else [find_tenant(tenant)]):
        age = None if each.unread_since is None else round((moment - each.unread_since).total_seconds())
        rows.append((each.reader, each.tenant, each.position, each.head, each.unread, age, each.parked))
    table("Readers", columns, rows, as_json=as_json)


@app.command()
def parked(tenant: TENANT = None, as_json: JSON = False) -> None:
    """List the events that were set aside because a reader failed on them."""
    columns = ("reader", "tenant", "seq", "event", "error", "code", "tries", "parked", "tried")
    rows = [
        (
            row.reader,
            row.tenant.name,
            row.seq,
            event,
            row.error,
            row.code,
            row.tries,
            row.parked_at,
            row.tried_at,
        )
        for row, event in _parked(tenant, None).with_events()
    ]
    table("Parked events", columns, rows, as_json=as_json)


@app.command()
def rerun(name: str, seq: SEQ = None, tenant: TENANT = None) -> None:
    """Give parked events to their reader again. Those that go are parked no more."""
    went, failed = replays.rerun(_find(name), _parked(tenant, seq), now())
    if not went and not failed:
        stop(NOT_FOUND, f"{name} has parked none of these. clarion readers parked lists what is.")
    out.print(f"{went} went, {failed} failed again.")
    if failed:
        raise typer.Exit(FAILED)


@app.command()
def forget(
    name: str,
    seq: Annotated[int, typer.Option(help="The event's number.")],
    tenant: Annotated[str, typer.Option(help="In whose log it is.")],
) -> None:
    """Give a parked event up: its reader will never have read it. The event itself stays in the log."""
    if not replays.forget(_find(name), _parked(tenant, seq)):
        stop(NOT_FOUND, f"{name} has not parked it. clarion readers parked lists what is.")
    out.print(f"Event {seq} is parked no more.")


@app.command()
def rewind(
    name: str,
    tenant: Annotated[str, typer.Option(help="In whose log.")],
    to: Annotated[int, typer.Option(min=0, help="It reads everything behind this number again.")],
) -> None:
    """Send a reader back. What follows from the events is done again, with what the reader knows today."""
    try:
        again = replays.rewind(_find(name), find_tenant(tenant), to, now())
    except replays.BadPlace as error:
        stop(REFUSED, str(error))
    out.print(f"{name} reads {again} events of {tenant} again.", markup=False)


def _find(name: str) -> Reader:
    try:
        return flow.find(name)
    except flow.NoSuchReader as error:
        stop(NOT_FOUND, str(error))


def _parked(tenant: str | None, seq: int | None) -> ParkedEvents:
    rows = ParkedEvent.objects.all() if tenant is None else ParkedEvent.objects.of(find_tenant(tenant))
    return rows if seq is None else rows.filter(seq=seq)
