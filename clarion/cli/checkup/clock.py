"""The clock of this machine, against the database server's and against what was stored last."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from django.db import connection, models

from clarion.cli.output import now
from clarion.cli.remarks import Remark, ok, warning, wrong
from clarion.lib.times import wire_time
from clarion.models import Customer, Mailing, Message
from clarion.outbox import claims
from clarion.outbox.gate import LEAST_TIME

# Windows and local hours are given in minutes: who is a minute off breaks them.
BROKEN = timedelta(minutes=1)
MEND = "sudo timedatectl set-ntp true"
STORED: tuple[type[models.Model], ...] = (Customer, Mailing, Message)


def look(*, with_server: bool, with_rows: bool) -> Iterator[Remark]:
    """Compare the clock with whatever of both can be asked."""
    apart = [*(_server() if with_server else ()), *(_rows() if with_rows else ())]
    yield from apart or [ok(wire_time(now()))]


def _server() -> Iterator[Remark]:
    if connection.vendor == "sqlite":
        return
    asked = now()
    told = datetime.fromtimestamp(claims.lease_clock(), UTC)
    answered = now()
    # The server read its clock somewhere between question and answer.
    off = max(asked - told, told - answered, timedelta())
    if off > LEAST_TIME:
        seen = f"this clock and the database server's are {off.total_seconds():.0f} s apart"
        yield (wrong if off > BROKEN else warning)(seen, MEND)


def _rows() -> Iterator[Remark]:
    newest = [
        made
        for model in STORED
        for made in model._default_manager.order_by("-pk").values_list("created_at", flat=True)[:1]
    ]
    ahead = max(newest, default=now()) - now()
    if ahead > LEAST_TIME:
        seen = f"this clock says {wire_time(now())}, but something was stored at {wire_time(max(newest))}"
        yield wrong(seen, MEND)
