"""`clarion run`: everything on one machine, ending in a card that says how to use it."""

import os
import signal
import sys
import threading
from typing import Annotated

import typer
import uvicorn
from django.conf import settings
from django.core import checks
from django.core.management import call_command

from clarion.checks import LOOPBACK
from clarion.cli.output import FAILED, REFUSED, err, now, out, stop
from clarion.flows import first_start
from clarion.flows.callers import DEVELOPMENT_TENANT
from clarion.settings import child_environment
from clarion.supervisor import Child, PortTaken, Supervisor, probe_port, wait_until_listening

# A cold machine compiles Python files first; who has not answered after this will not, s.
STARTS_WITHIN = 60.0


def run(
    dev: Annotated[
        bool, typer.Option("--dev", help="Development mode: loopback only, no key needed.")
    ] = False,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = settings.CLARION.host,
    port: Annotated[
        int, typer.Option(help="Port to listen on; PORT is read as well.")
    ] = settings.CLARION.port,
) -> None:
    """Migrate, then run web and worker until Ctrl-C."""
    is_dev = dev or settings.CLARION.dev
    if is_dev and host not in LOOPBACK:
        stop(REFUSED, f"Development mode needs no key, so it listens on loopback only, not on {host}.")
    try:
        probe_port(host, port)
    except PortTaken as error:
        stop(REFUSED, str(error))
    prepare_database()
    welcome = first_start.prepare(now())
    environment = child_environment(dev=is_dev, host=host, port=port)
    supervisor = Supervisor(
        [Child("web", ["web"]), Child("worker", ["worker"])],
        environment=environment,
        drain_seconds=settings.CLARION.drain_seconds,
    )

    def greet() -> None:
        if wait_until_listening(host, port, patience=STARTS_WITHIN):
            _card(f"http://{host}:{port}", welcome, is_dev=is_dev)
        else:
            err.print(f"The web process did not answer within {STARTS_WITHIN:.0f} s; the log above says why.")
            supervisor.stop()

    supervisor.run(greet)
    out.print("Stopped.")


def web(parent_fd: Annotated[int | None, typer.Option(hidden=True)] = None) -> None:
    """Run the web process alone."""
    if parent_fd is not None:
        threading.Thread(target=_stop_with_parent, args=(parent_fd,), daemon=True).start()
    uvicorn.run(
        "clarion.asgi:application",
        host=settings.CLARION.host,
        port=settings.CLARION.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
    )


def prepare_database() -> None:
    """Check what was promised about the database, then bring its tables up to date."""
    found = checks.run_checks(include_deployment_checks=False, databases=["default"])
    errors = [message for message in found if message.is_serious()]
    if errors:
        stop(FAILED, "\n".join(f"{error.msg} {error.hint or ''}" for error in errors))
    call_command("migrate", verbosity=0, interactive=False)


def _card(address: str, welcome: first_start.Welcome, *, is_dev: bool) -> None:
    # As it was called: a fresh checkout's own one is not on the PATH.
    program = os.path.relpath(sys.argv[0]) if os.sep in sys.argv[0] else sys.argv[0]
    key = welcome.key or f"shown at the first start; {program} keys add {DEVELOPMENT_TENANT} makes another"
    password = welcome.password or "shown at the first start"
    header = "" if is_dev else f" -H 'Authorization: Bearer {welcome.key or 'YOUR-KEY'}'"
    body = '{"phone":"70000000001","operator_code":"900","timezone":"Europe/Berlin"}'
    lines = [
        ("Clarion runs", address + ("  (development mode: no key needed)" if is_dev else "")),
        ("API", f"{address}/docs"),
        ("admin", f"{address}/admin/  user {first_start.OPERATOR}, password {password}"),
        ("API key", key),
        ("data", str(settings.CLARION.data.resolve())),
        ("stop", "Ctrl-C"),
    ]
    out.print()
    for name, value in lines:
        out.print(f"  {name:<13} {value}", markup=False)
    out.print("\n  Try it:", markup=False)
    command = f"curl -s {address}/api/v1/clients/{header} -H 'Content-Type: application/json' -d '{body}'"
    out.print(f"  {command}\n", markup=False)


def _stop_with_parent(fd: int) -> None:
    """Nothing is ever written to the pipe: reading ends when the supervisor does, however it ended."""
    os.read(fd, 1)
    os.kill(os.getpid(), signal.SIGTERM)
