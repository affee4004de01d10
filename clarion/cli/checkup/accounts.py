"""The gateway accounts: their gateways are installed, their settings are whole, their lanes are open."""

import shlex
from collections.abc import Iterator

from clarion import gateways
from clarion.cli.output import now, program
from clarion.cli.remarks import Remark, ok, warning, wrong
from clarion.lib.times import wire_time
from clarion.models import GatewayAccount


def look() -> Iterator[Remark]:
    accounts = list(GatewayAccount.objects.select_related("tenant").order_by("id"))
    strange = [account for account in accounts if account.gateway not in gateways.kinds()]
    for account in strange:
        seen = f"{_name(account)} sends through {account.gateway}, a gateway that is not installed"
        yield wrong(seen, f"pip install THE-PACKAGE-WITH-{account.gateway}")
    if not strange:
        yield ok(f"{len(accounts)} gateway accounts, each with its gateway installed")


def lanes() -> Iterator[Remark]:
    """Nothing leaves by a lane that is closed."""
    moment = now()
    closed = GatewayAccount.objects.select_related("tenant", "lane").filter(lane__closed_until__gt=moment)
    for account in closed.order_by("id"):
        until, because = wire_time(account.lane.closed_until or moment), account.lane.closed_because
        command = f"{program()} accounts change {shlex.join([account.tenant.name, account.name])}"
        yield warning(f"{_name(account)} is closed until {until} because: {because}", command)
    if not closed:
        yield ok("all are open")


def _name(account: GatewayAccount) -> str:
    return f"{account.tenant.name}/{account.name}"
