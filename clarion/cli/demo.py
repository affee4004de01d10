"""`clarion demo`: clients, a mailing and a sender that misbehaves, in a throw-away installation; then the accounts."""

import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from typing import Annotated

import typer
from rich.progress import Progress

from clarion.cli.output import FAILED, err, now, out, table
from clarion.cli.run import prepare_database
from clarion.flows import accounts, audit, mailings, tenants
from clarion.models import Customer, Mailing, Tenant
from clarion.models.outgoing import OPEN_STATES, STATUS
from clarion.sandbox import RunningSender, running_sender
from clarion.settings import child_environment

# The sender misbehaves for so long, then works again, s.
BAD_FOR = 10.0
# Everything that can arrive has arrived by then; what has not is TIMEOUT, s.
WINDOW = 90.0
# Every so many clients share a number, so that "same address twice" is seen as well.
TWICE_EVERY = 100


def demo(
    clients: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many clients.")] = 20_000,
    inside: Annotated[bool, typer.Option("--inside", hidden=True)] = False,
) -> None:
    """Watch a mailing leave through a sender that misbehaves, and every message be accounted for."""
    if not inside:
        with tempfile.TemporaryDirectory(prefix="clarion-demo-") as folder:
            environment = child_environment(data=folder, log_level="error")
            command = [sys.executable, "-m", "clarion", "demo", "--inside", "--clients", str(clients)]
            raise typer.Exit(subprocess.run(command, env=environment, check=False).returncode)
    prepare_database()
    tenant = tenants.create("demo", now=now())
    _make_clients(tenant, clients)
    with running_sender("flaky", seconds=BAD_FOR) as sender:
        settings = {"base_url": sender.base_url, "token": "demo"}
        accounts.add(tenant, name="sender", gateway="probe", settings=settings, now=now())
        draft = mailings.Draft(
            text="Hello {{ tag }}, this is a demo.",
            starts_at=now(),
            ends_at=now() + timedelta(seconds=WINDOW),
        )
        mailing = mailings.create(tenant, draft, is_test=False, now=now())
        out.print(
            f"{clients} clients; the sender misbehaves for {BAD_FOR:.0f} s: slow, garbage, 503, 429, resets."
        )
        _run_worker_until_done(mailing, clients)
        _accounts(mailing, clients, sender)


def _make_clients(tenant: Tenant, clients: int) -> None:
    rows = []
    for number in range(clients):
        same = number - 1 if number % TWICE_EVERY == TWICE_EVERY - 1 else number
        row = Customer(tenant=tenant, phone=f"7000{same:07}", timezone="UTC", created_at=now())
        row.relabel(operator_code="000", tag="friend" if number % 2 else "customer")
        rows.append(row)
    Customer.objects.bulk_create(rows, batch_size=5_000)


def _run_worker_until_done(mailing: Mailing, clients: int) -> None:
    worker = subprocess.Popen([sys.executable, "-m", "clarion", "worker"])
    try:
        with Progress(console=err) as progress:
            task = progress.add_task("Sending", total=clients)
            give_up = time.monotonic() + WINDOW + 30
            while mailing.finished_at is None and time.monotonic() < give_up:
                time.sleep(0.2)
                counts = dict(mailing.counts.by_state())
                done = sum(count for state, count in counts.items() if state not in OPEN_STATES)
                progress.update(task, completed=done)
                mailing.refresh_from_db()
    finally:
        worker.terminate()
        worker.wait()


def _accounts(mailing: Mailing, clients: int, sender: RunningSender) -> None:
    counts = list(mailing.counts.exclude(count=0).values_list("state", "reason", "count").order_by("-count"))
    rows = [(STATUS[state], reason, count) for state, reason, count in counts]
    total = sum(count for _, _, count in counts)
    table("\nThe accounts", ("status", "reason", "messages"), [*rows, ("total", "", total)], as_json=False)
    heard = sender.counts()
    out.print(f"The sender took {heard['accepted']} sends of {heard['distinct']} messages, by its own count.")
    findings = audit.run(now())
    if total != clients or findings or mailing.finished_at is None:
        for finding in findings:
            err.print(finding.sentence, markup=False)
        err.print("It does not add up.")
        raise typer.Exit(FAILED)
    out.print(f"They add up: {clients} clients, {total} messages, nothing unaccounted for.")
