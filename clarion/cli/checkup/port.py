"""The port: free, or held by our own web process, which says whether it is ready."""

import contextlib
import http.client
import json
from collections.abc import Iterator
from typing import Any

from django.conf import settings

from clarion import __version__
from clarion.cli.output import program
from clarion.cli.remarks import Remark, ok, warning, wrong
from clarion.cli.run import SHOWN
from clarion.supervisor import LAST_PORT, CannotListen, PortTaken, probe_port

# A web process answers within milliseconds; one that is busy with a long page within this, s.
PATIENCE = 5.0
# More than our own answers have, bytes: a stranger's may have no end.
MOST = 65_536


def look() -> Iterator[Remark]:
    host, port = settings.CLARION.host, settings.CLARION.port
    try:
        probe_port(host, port)
        yield ok(f"{port} on {host} is free: no web process runs here")
    except PortTaken:
        yield _held(host, port)
    except CannotListen as error:
        yield wrong(str(error), f"{program()} run --host 127.0.0.1 --port {LAST_PORT - 1}")


def _held(host: str, port: int) -> Remark:
    """Say who has it: ours is known by what it answers."""
    for name in _names():
        version = _ask(host, port, name, "/healthz").get("version")
        if version == __version__:
            return _readiness(port, _ask(host, port, name, "/readyz"))
        if version is not None:
            seen = f"the web process on {port} is Clarion {version}, and this is {__version__}"
            return warning(seen, f"{program()} run, after the running one was stopped")
    other = port + 1 if port < LAST_PORT else port - 1
    return wrong(f"{port} on {host} is held by another program", f"PORT={other} {program()} run")


def _readiness(port: int, answer: dict[str, Any]) -> Remark:
    if answer.get("status") == "ready":
        return ok(f"{port} is held by our web process, which is ready")
    seen = f"our web process on {port} is not ready: {answer.get('detail', 'it gives no reason')}"
    return wrong(seen, f"{program()} migrate")


def _names() -> list[str]:
    """Return under which names a web process of ours may answer; in development mode it is this machine's alone."""
    named = [name.lstrip(".") for name in settings.CLARION.allowed_hosts if name != "*"]
    return list(dict.fromkeys([*named[:1], "localhost"]))


def _ask(host: str, port: int, name: str, path: str) -> dict[str, Any]:
    """Return the JSON object at this path; an empty one for whatever else is answered."""
    wire = http.client.HTTPConnection(SHOWN.get(host, host), port, timeout=PATIENCE)
    try:
        with contextlib.closing(wire):
            wire.request("GET", path, headers={"Host": name})
            answer = json.loads(wire.getresponse().read(MOST))
    except (OSError, http.client.HTTPException, ValueError):
        return {}
    return answer if isinstance(answer, dict) else {}
