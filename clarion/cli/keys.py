"""`clarion keys`: credentials for machines. A key is shown once, when it is made."""

from typing import Annotated

import typer

from clarion.cli.output import NOT_FOUND, REFUSED, err, find_tenant, now, out, stop, table
from clarion.flows import callers
from clarion.models import ApiKey

app = typer.Typer(help="API keys: list, add, revoke.", no_args_is_help=True)


@app.command("list")
def list_keys(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """List the keys, by their last characters."""
    columns = ("id", "tenant", "name", "key", "scopes", "revoked")
    rows = ApiKey.objects.select_related("tenant").order_by("id")
    listed = [
        (row.pk, row.tenant.name, row.name, row.hint, " ".join(row.scopes), row.revoked_at) for row in rows
    ]
    table("API keys", columns, listed, as_json=as_json)


@app.command()
def add(
    tenant: str,
    name: Annotated[str, typer.Option(help="What the key is for.")] = "key",
    scope: Annotated[
        list[str] | None, typer.Option(help="May be given several times; all but admin if not.")
    ] = None,
    test: Annotated[
        bool, typer.Option("--test", help="A test key: nothing it causes reaches a provider.")
    ] = False,
) -> None:
    """Make a key and print it, once."""
    scopes = scope or [known for known in callers.SCOPES if known != "admin"]
    try:
        _, key = callers.create_key(find_tenant(tenant), name=name, scopes=scopes, is_test=test, now=now())
    except callers.BadScope as error:
        stop(REFUSED, str(error))
    err.print("Keep it: it is not shown again.")
    out.print(key, markup=False)


@app.command()
def revoke(key_id: int) -> None:
    """Make a key worthless from now on."""
    if not ApiKey.objects.filter(pk=key_id, revoked_at=None).update(revoked_at=now()):
        stop(NOT_FOUND, f"There is no valid key {key_id}. clarion keys list shows them.")
    out.print(f"Key {key_id} is revoked.")
