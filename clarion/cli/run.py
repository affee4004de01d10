"""`clarion run`: everything on one machine, ending in a card that says how to use it."""

import os
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from django.conf import settings
from django.core.checks import run_checks
from django.core.management import call_command

from clarion import checks
from clarion.checks import LOOPBACK
from clarion.cli.door import refuse, require_installation
from clarion.cli.output import FAILED, REFUSED, err, now, out, program, stop
from clarion.flows import first_start
from clarion.flows.callers import DEVELOPMENT_TENANT
from clarion.lib import parent
from clarion.settings import PACKAGE, child_environment
from clarion.supervisor import LAST_PORT, CannotListen, Child, Supervisor, probe_port, wait_until_listening

# A cold machine compiles Python files first; who has not answered after this will not, s.
STARTS_WITHIN = 60.0
# Who listens on every address is called on this one: the web process keeps IPv4 and IPv6 apart.
SHOWN = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # noqa: S104 - they are compared, not listened on


def run(
    dev: Annotated[
        bool, typer.Option("--dev", help="Development mode: loopback only, no key needed.")
    ] = False,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = settings.CLARION.host,
    port: Annotated[
        int, typer.Option(min=1, max=LAST_PORT, help="Port to listen on; PORT is read as well.")
    ] = settings.CLARION.port,
) -> None:
    """Migrate, then run web and worker until Ctrl-C."""
    is_dev = dev or settings.CLARION.dev
    if is_dev and host not in LOOPBACK:
        stop(REFUSED, f"Development mode needs no key, so it listens on loopback only, not on {host}.")
    try:
        probe_port(host, port)
    except CannotListen as error:
        stop(REFUSED, str(error))
    prepare_database()
    welcome = first_start.prepare(now())
    environment = child_environment(dev=is_dev, host=host, port=port)
    supervisor = Supervisor(
        [Child("web", ["web"]), Child("worker", ["worker"])],
        environment=environment,
        drain_seconds=settings.CLARION.drain_seconds,
    )

    shown_host = SHOWN.get(host, host)
    answered, gave_up = threading.Event(), threading.Event()

    def greet() -> None:
        if wait_until_listening(shown_host, port, patience=STARTS_WITHIN):
            answered.set()
            _card(host, port, welcome, is_dev=is_dev)
        else:
            err.print(f"The web process did not answer within {STARTS_WITHIN:.0f} s; the log above says why.")
            gave_up.set()
            supervisor.stop()

    supervisor.run(greet)
    if not answered.is_set():
        _keep(welcome)
    if gave_up.is_set():
        raise typer.Exit(FAILED)
    out.print("Stopped.")


def web(parent_fd: Annotated[int | None, typer.Option(hidden=True)] = None) -> None:
    """Run the web process alone."""
    refuse(checks.development_mode(None))
    if parent_fd is None:
        require_installation()
    refuse(checks.reasons_not_to_start())
    parent.end_with(parent_fd)
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
    """Make the folder and the keys, check what was promised about the database, bring its tables up to date."""
    try:
        # The key is there before anything is sealed or signed with it, and a bad key file stops the start.
        bool(settings.SECRET_KEYS)
    except OSError as error:
        folder = settings.CLARION.data
        stop(FAILED, f"The folder {folder} cannot be made: {error.strerror}. Set CLARION_DATA.")
    found = run_checks(include_deployment_checks=False, databases=["default"])
    errors = [message for message in found if message.is_serious()]
    if errors:
        stop(FAILED, "\n".join(f"{error.msg} {error.hint or ''}" for error in errors))
    call_command("migrate", verbosity=0, interactive=False)


def address_of(host: str, port: int) -> str:
    """Return the URL under which this machine reaches what listens there."""
    name = SHOWN.get(host, host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def _keep(welcome: first_start.Welcome) -> None:
    """Print what is made once and shown once, although there is no card."""
    if welcome.password:
        out.print(f"Keep the password of {first_start.OPERATOR}: {welcome.password}", markup=False)
    if welcome.key:
        out.print(f"Keep the API key: {welcome.key}", markup=False)


def change_password() -> str:
    """Return the command that gives the operator another password, as it works from the current folder."""
    here, python, script = Path.cwd(), Path(sys.executable), PACKAGE.parent / "manage.py"
    shown = python.relative_to(here) if python.is_relative_to(here) else python
    # An installed package has no manage.py beside it.
    way = "-m django" if not script.exists() else os.path.relpath(script)
    names = "" if script.exists() else " --settings clarion.settings"
    return f"{shown} {way} changepassword {first_start.OPERATOR}{names}"


def _card(host: str, port: int, welcome: first_start.Welcome, *, is_dev: bool) -> None:
    address = address_of(host, port)
    key = welcome.key or f"shown at the first start; {program()} keys add {DEVELOPMENT_TENANT} makes another"
    password = welcome.password or f"shown at the first start; {change_password()} sets another"
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
    if host in SHOWN:
        lines.insert(1, ("other names", "answered when CLARION_ALLOWED_HOSTS lists them"))
    out.print()
    for name, value in lines:
        out.print(f"  {name:<13} {value}", markup=False)
    out.print("\n  Try it:", markup=False)
    command = f"curl -s {address}/api/v1/clients/{header} -H 'Content-Type: application/json' -d '{body}'"
    out.print(f"  {command}\n", markup=False)
