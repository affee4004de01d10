"""`clarion tenants`: whose data it is."""

from typing import Annotated, Any

import typer

from clarion.cli.output import REFUSED, find_tenant, now, out, stop, table
from clarion.flows import retention, tenants
from clarion.lib.zones import find_zone
from clarion.models import Tenant

app = typer.Typer(help="Tenants: list, add, keep.", no_args_is_help=True)

FOR_EVER, AS_SET = "forever", "default"


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


def _amount(units: str) -> Any:
    return typer.Option(
        metavar="NUMBER", help=f"{units}, {FOR_EVER}, or {AS_SET}: as the installation has it."
    )


@app.command()
def keep(
    name: str,
    events: Annotated[str | None, _amount("Days")] = None,
    messages: Annotated[str | None, _amount("Days from the end of their mailing")] = None,
    deliveries: Annotated[str | None, _amount("Days from their end")] = None,
    attempts: Annotated[str | None, _amount("Days")] = None,
    answers: Annotated[str | None, _amount("Hours, at least 24")] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Say how long a tenant's rows are kept, or show it. What is kept shorter from now on is dropped at once."""
    tenant = find_tenant(name)
    given = dict(zip(retention.UNITS, (events, messages, deliveries, attempts, answers), strict=True))
    try:
        changes = {what: _read(text) for what, text in given.items() if text is not None}
        retention.keep(tenant, changes)
    except (ValueError, retention.BadRetention) as error:
        stop(REFUSED, str(error))
    rows = []
    for what in retention.UNITS:
        _, of, unit = what.split("_")
        whose = "installation" if getattr(tenant, what) is None else "tenant"
        rows.append((of, retention.kept(tenant, what) or FOR_EVER, unit, whose))
    table(f"What is kept of {name}", ("rows", "for", "unit", "set for"), rows, as_json=as_json)


def _read(text: str) -> int | None:
    if text in (FOR_EVER, AS_SET):
        return 0 if text == FOR_EVER else None
    if not (text.isascii() and text.isdigit() and 0 < len(text) < len(str(2**31)) and int(text)):
        raise ValueError(f"{text} is neither a number above 0 nor {FOR_EVER} nor {AS_SET}.")
    return int(text)
