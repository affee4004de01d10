"""`clarion tenants`: whose data it is."""

from typing import Annotated

import typer

from clarion.cli.output import REFUSED, now, out, stop, table
from clarion.flows import tenants
from clarion.lib.zones import find_zone
from clarion.models import Tenant

app = typer.Typer(help="Tenants: list, add.", no_args_is_help=True)


@app.command("list")
def list_tenants(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """List the tenants."""
    rows = Tenant.objects.order_by("name").values_list("name", "timezone", "created_at")
    table("Tenants", ("name", "timezone", "created"), list(rows), as_json=as_json)


@app.command()
def add(
    name: str,
    timezone: Annotated[str, typer.Option(help="Zone of times that name none.")] = "UTC",
) -> None:
    """Make a tenant."""
    if find_zone(timezone) is None:
        stop(REFUSED, f"There is no time zone {timezone}. Use an IANA name such as Europe/Berlin.")
    try:
        tenants.create(name, timezone=timezone, now=now())
    except (tenants.TenantExists, tenants.BadTenantName) as error:
        stop(REFUSED, str(error))
    out.print(f"Tenant {name} is there. clarion keys add {name} makes a key for it.", markup=False)
