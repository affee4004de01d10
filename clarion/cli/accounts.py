"""`clarion accounts`: a tenant's ways to its providers. Settings go in and never come out."""

import json
import sys
from typing import Annotated

import typer

from clarion import gateways
from clarion.cli.output import REFUSED, find_tenant, now, out, stop, table
from clarion.flows import tenants
from clarion.models import GatewayAccount

app = typer.Typer(help="Gateway accounts: list, add, kinds.", no_args_is_help=True)


@app.command("list")
def list_accounts(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """List the accounts, without their settings."""
    columns = ("tenant", "name", "gateway", "in doubt", "closed until", "because")
    rows = GatewayAccount.objects.select_related("tenant", "lane").order_by("id")
    listed = [
        (
            row.tenant.name,
            row.name,
            row.gateway,
            row.doubt or gateways.find(row.gateway).doubt,
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


@app.command()
def add(
    tenant: str,
    name: str,
    gateway: str,
    settings: Annotated[
        str, typer.Option(help="JSON object; - reads it from standard input, where no shell keeps it.")
    ] = "{}",
    doubt: Annotated[str, typer.Option(help="resend or hold: what a lost answer leads to.")] = "",
) -> None:
    """Add an account; the tenant's mailings use it from now on where they name none."""
    try:
        values = json.loads(sys.stdin.read() if settings == "-" else settings)
        if not isinstance(values, dict):
            raise ValueError("not an object")
        tenants.add_account(
            find_tenant(tenant), name=name, gateway=gateway, settings=values, doubt=doubt, now=now()
        )
    except json.JSONDecodeError:
        stop(REFUSED, "The settings are not JSON.")
    except (ValueError, tenants.AccountExists) as error:
        stop(REFUSED, str(error))
    out.print(f"Account {name} is there; mailings of {tenant} leave through it.", markup=False)
