"""`clarion demo`: clients from a file, a mailing, a sender that turns bad half way; then the accounts.

All of it in a throw-away installation, in a process of its own: settings are read once, and these are others.
"""

import os
import signal
import subprocess
import sys
import tempfile
from typing import Annotated

import typer

from clarion.cli.demo import clients, leaving
from clarion.cli.demo.accounts import Books
from clarion.cli.demo.workers import WorkerDied, worker
from clarion.cli.output import FAILED, err, now, out
from clarion.cli.run import prepare_database
from clarion.flows import tenants
from clarion.lib import parent
from clarion.sandbox import running_sender
from clarion.settings import child_environment

# What a shell gives whoever was interrupted.
INTERRUPTED = 128 + signal.SIGINT
# The demo ends when its messages have; nobody waits for what is under way when it is interrupted, s.
DRAIN = 1


def demo(
    rows: Annotated[
        int, typer.Option("--clients", min=1, max=1_000_000, help="How many rows the file of clients has.")
    ] = 100_000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same clients.")] = 1,
    parent_fd: Annotated[int | None, typer.Option("--inside", hidden=True)] = None,
) -> None:
    """Watch a file of clients come in, and a mailing leave through a sender that misbehaves; nothing stays behind."""
    if parent_fd is None:
        raise typer.Exit(_run_inside(rows, seed))
    parent.end_with(parent_fd)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _play(rows, seed)
    except KeyboardInterrupt:
        err.print("Stopped. Nothing is left behind.")
        raise typer.Exit(INTERRUPTED) from None
    except WorkerDied:
        err.print("The worker ended; the lines above say why.")
        raise typer.Exit(FAILED) from None


def _run_inside(rows: int, seed: int) -> int:
    """Run the demo as a process in a folder of its own; return its exit code. An interrupt is passed on, once."""
    reading, writing = os.pipe()
    with tempfile.TemporaryDirectory(prefix="clarion-demo-") as folder:
        # Whatever database and keys the settings name, the demo has its own.
        ours = {"data": folder, "database_url": "", "database_url_file": "", "keys_file": ""}
        environment = child_environment(**ours, log_level="error", drain_seconds=DRAIN)
        words = ["demo", "--clients", str(rows), "--seed", str(seed), "--inside", str(reading)]
        # A session of its own: Ctrl-C reaches this process alone, which then ends the other in order.
        child = subprocess.Popen(
            [sys.executable, "-m", "clarion", *words],
            env=environment,
            pass_fds=(reading,),
            start_new_session=True,
        )
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: _interrupt(child))
        try:
            return child.wait()
        finally:
            os.close(writing)


def _interrupt(child: "subprocess.Popen[bytes]") -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    child.send_signal(signal.SIGINT)


def _play(rows: int, seed: int) -> None:
    out.print(f"Seed {seed}: clarion demo --clients {rows} --seed {seed} shows the same again.")
    prepare_database()
    tenant = tenants.create("demo", now=now())
    with worker() as running, running_sender() as sender:
        fates = clients.write(rows, seed)
        done = clients.bring(tenant, running)
        told, mailing = leaving.make(tenant, sender, at=now())
        leaving.watch(mailing, sender, running)
        if not Books(fates, done, told, mailing, sender).show():
            raise typer.Exit(FAILED)
