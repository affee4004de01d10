"""`clarion accounts`: a tenant's ways to its providers. Settings go in and never come out."""

import json
import sys
from typing import Annotated, Any

import typer

from clarion import gateways
from clarion.cli.output import NOT_FOUND, REFUSED, find_tenant, now, out, stop, table
from clarion.flows import accounts as flow
from clarion.models import GatewayAccount
from clarion.outbox.doubt import policy

app = typer.Typer(help="Gateway accounts: list, kinds, add, change.", no_args_is_help=True)


@app.command("list")
def list_accounts(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """List the accounts, without their settings."""
    columns = ("tenant", "name", "gateway", "in doubt", "rate", "closed until", "because")
    rows = GatewayAccount.objects.select_related("tenant", "lane").order_by("id")
    listed = [
        (
            row.tenant.name,
            row.name,
            row.gateway,
            policy(row),
            row.lane.rate_per_second,
            row.lane.closed_until,
            row.lane.closed_because,
        )
        for row in rows
    ]
    table("Gateway accounts", columns, listed, as_json=as_json)


@app.command()
def kinds() -> None:
    """List the gateways and the settings each needs."""
    for kind in sorted(gateways.kinds()):
        members = gateways.find(kind).Config.model_json_schema().get("properties", {})
        out.print(f"{kind}: {', '.join(members) or 'no settings'}", markup=False)


SETTINGS = typer.Option(help="JSON object; - reads it from standard input, where no shell keeps it.")
DOUBT = typer.Option(help="resend or hold: what a lost answer leads to.")
RATE = typer.Option(help="Sends begun in a second, by all workers together; 0: as many as go.")


@app.command()
def add(
    tenant: str,
    name: str,
    gateway: str,
    settings: Annotated[str, SETTINGS] = "{}",
    doubt: Annotated[str, DOUBT] = "",
    rate: Annotated[float, RATE] = 0,
) -> None:
    """Add an account; the tenant's mailings use it from now on where they name none."""
    values = _values(settings)
    try:
        flow.add(
            find_tenant(tenant),
            name=name,
            gateway=gateway,
            settings=values,
            doubt=doubt,
            rate=rate,
            now=now(),
        )
    except (flow.BadAccount, flow.AccountExists) as error:
        stop(REFUSED, str(error))
    out.print(f"Account {name} is there; mailings of {tenant} leave through it.", markup=False)


@app.command()
def change(
    tenant: str,
    name: str,
    settings: Annotated[str | None, SETTINGS] = None,
    doubt: Annotated[str | None, DOUBT] = None,
    rate: Annotated[float | None, RATE] = None,
) -> None:
    """Change an account, and let what waits for it leave at once; without options only the latter."""
    account = GatewayAccount.objects.of(find_tenant(tenant)).filter(name=name).first()
    if account is None:
        stop(NOT_FOUND, f"Tenant {tenant} has no account {name}. clarion accounts list shows them.")
    try:
        values = None if settings is None else _values(settings)
        flow.change(account, settings=values, doubt=doubt, rate=rate)
    except flow.BadAccount as error:
        stop(REFUSED, str(error))
    out.print(f"Account {name} is changed and open.", markup=False)


def _values(text: str) -> dict[str, Any]:
    try:
        values = json.loads(sys.stdin.read() if text == "-" else text)
    except ValueError:
        stop(REFUSED, "The settings are not JSON.")
    if not isinstance(values, dict):
        stop(REFUSED, "The settings are no JSON object.")
    return values
