"""A web process of a fault run, and a caller who asks it for a mailing, with the same words each time."""

import http.client
import importlib
import json
from datetime import UTC, datetime, timedelta

from clarion.cli import run
from clarion.flows import callers
from clarion.supervisor import wait_until_listening
from tests.faults.processes import Process, fork, spawn
from tests.faults.rig import PROCESS_PATIENCE, WINDOW, Rig, Stuck
from tests.servers import free_port

PATH = "/api/v1/mailings"


def start_web(rig: Rig, *, crash_at: str = "") -> tuple[Process, int]:
    """Start a web process; give it and its port when it listens."""
    port = free_port()
    changes = {"host": "127.0.0.1", "port": port, "crash_at": crash_at}
    if rig.plan.forked:
        importlib.import_module("clarion.asgi")  # once, instead of in every copy
        process = rig.keep(fork(run.web, log=rig.log, **changes))
    else:
        process = rig.keep(spawn("clarion", "web", log=rig.log, **changes))
    if not wait_until_listening("127.0.0.1", port, patience=PROCESS_PATIENCE):
        raise Stuck("the web process did not start")
    return process, port


class Caller:
    """Asks for one mailing to everybody, as often as it likes."""

    def __init__(self, rig: Rig, *, key: str) -> None:
        now = datetime.now(UTC)
        _, secret = callers.create_key(rig.tenant, name=str(now), scopes=["mailings"], is_test=False, now=now)
        self._headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        if key:
            self._headers["Idempotency-Key"] = key
        window = {"start_time": now.isoformat(), "end_time": (now + timedelta(seconds=WINDOW)).isoformat()}
        self._body = json.dumps({"text": "Hello.", **window})

    def ask(self, port: int) -> int | None:
        """Return the status of the answer; None when the connection ended without one."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PROCESS_PATIENCE)
        try:
            connection.request("POST", PATH, self._body, self._headers)
            return connection.getresponse().status
        except (ConnectionError, http.client.HTTPException):
            return None
        finally:
            connection.close()
