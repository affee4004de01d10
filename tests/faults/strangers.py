"""`make fuzz`: requests made up from the API's own description, right ones and wrong ones; none may be a fault of ours.

`python -m tests.faults.strangers [--cases 20000] [--seed N]`. The requests are schemathesis's; the web process is a real
one, and afterwards no larger than it was. Then a web process that lets mistakes through, to see that one is noticed.
Exit code 0: every answer was in order.
"""

import argparse
import contextlib
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from tests.hub import PROJECT, wait_until
from tests.servers import free_port

# A cold start compiles every module, s; and no answer takes longer.
PATIENCE = 30.0
# The web process is measured when everything has been asked for once, after this part of the cases.
WARM_AFTER = 0.2
# What it may grow by from there on, bytes: pools and caches fill up, and no allocator gives everything back.
MOST_GROWTH = 32 * 1024 * 1024
MEMORY = re.compile(rb"^process_resident_memory_bytes (\S+)$", re.MULTILINE)
# What is there when it begins; each has the id 1.
TIMES = {"start_time": "9000-01-01T00:00:00Z", "end_time": "9000-01-02T00:00:00Z"}
SAMPLES: dict[str, dict[str, Any]] = {
    "/api/v1/clients": {"phone": "70000000001", "operator_code": "900", "tag": "VIP", "timezone": "UTC"},
    "/api/v1/mailings": {**TIMES, "text": "hello"},
    "/api/v1/events": {"event_type": "PRODUCT", "id": 1, "entity_id": "p-1"},
    "/receive_event": {
        "id": 2,
        "event_type": "email_open",
        "customer_id": 1,
        "email_id": 1,
        "timestamp": "2023-10-24",
    },
}
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


@dataclass
class Findings:
    """What was answered. `faults`: what may not be, with the command that asks it again."""

    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest: float = 0.0
    before: int = 0
    after: int = 0

    @property
    def cases(self) -> int:
        return sum(self.statuses.values())

    @property
    def growth(self) -> int:
        return self.after - self.before


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.strangers", description="Ask anything.")
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="clarion-fuzz-") as name, running_web(Path(name)) as port:
        began = time.monotonic()
        found = ask(port, chosen.cases, chosen.seed)
        said = (Path(name) / "log").read_text(errors="replace")
    print(
        f"{found.cases} requests in {time.monotonic() - began:.0f} s, the slowest took {found.slowest:.2f} s"
    )
    print("answers: " + ", ".join(f"{status}: {times}" for status, times in sorted(found.statuses.items())))
    print(f"memory: {found.before / 2**20:.0f} MiB, at the end {found.after / 2**20:.0f} MiB")
    for fault in found.faults:
        print(f"   BROKEN: {fault}")
    if found.faults:
        print(f"the log ends: {said[-3_000:]}")
    with (
        tempfile.TemporaryDirectory(prefix="clarion-fuzz-") as name,
        running_web(Path(name), "limits") as port,
    ):
        seen = bool(ask(port, 100, chosen.seed, under="/api/v1/clients").faults)
    print("   without limits: " + ("seen" if seen else "BROKEN, NOT SEEN"))
    return int(bool(found.faults) or not seen)


def ask(port: int, cases: int, number: int, *, under: str = "/") -> Findings:
    """Send about so many requests, the same number to each route; half of them are meant to be wrong.

    `under`: the beginning of the routes that are asked.
    """
    found = Findings()
    address = f"http://127.0.0.1:{port}"
    with requests.Session() as session:
        session.headers["X-TWC-Tenant"] = "strangers"
        schema = schemathesis.openapi.from_dict(_open(session.get(f"{address}/openapi.json").json()))
        operations = [each.ok() for each in schema.get_all_operations()]
        # To find out what may be sent takes far longer than to send it.
        sources = [
            operation.as_strategy(generation_mode=mode)
            for operation in operations
            if operation.path.startswith(under)
            for mode in MODES
        ]
        for path, body in SAMPLES.items():
            assert session.post(f"{address}{path}", json=body, timeout=PATIENCE).status_code == 201, path
        for part, rounds in enumerate((WARM_AFTER, 1 - WARM_AFTER)):
            each = max(1, round(cases * rounds / len(sources)))
            for place, source in enumerate(sources):
                _draw(
                    source,
                    each,
                    number + 1_000 * part + place,
                    lambda case: _send(case, session, address, found),
                )
            found.before, found.after = found.after, memory_of(port)
    if found.growth > MOST_GROWTH:
        found.faults.append(f"the web process grew by {found.growth / 2**20:.0f} MiB")
    return found


def _open(document: Any) -> Any:
    """Leave the credentials out, which nobody needs here: made-up ones would be all that is ever refused."""
    document["components"].pop("securitySchemes", None)
    for operations in document["paths"].values():
        for operation in operations.values():
            operation.pop("security", None)
    return document


def _draw(source: Any, cases: int, number: int, send: Callable[[Any], None]) -> None:
    """Send so many cases of a source."""

    # A finding is printed, not made smaller: that would be another load.
    @seed(number)
    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=source)
    def sends(case: Any) -> None:
        send(case)

    # Where nothing is asked for, nothing can be wrong.
    with contextlib.suppress(Unsatisfiable):
        sends()


def _send(case: Any, session: Any, address: str, found: Findings) -> None:
    if case.path_parameters and found.cases % 2:
        # Nobody guesses an id; what is there has to be met as well.
        case.path_parameters.update(dict.fromkeys(case.path_parameters, 1))
    began = time.monotonic()
    try:
        answer = case.call(base_url=address, session=session, timeout=PATIENCE)
    except requests.exceptions.RequestException as error:
        found.statuses[0] += 1
        # What cannot be sent at all is schemathesis's own.
        if not isinstance(error, requests.exceptions.InvalidHeader | requests.exceptions.InvalidURL):
            found.faults.append(f"{type(error).__name__}: {case.method} {case.formatted_path}")
        return
    found.slowest = max(found.slowest, time.monotonic() - began)
    found.statuses[answer.status_code] += 1
    if answer.status_code >= 500:
        found.faults.append(f"{answer.status_code}: {case.as_curl_command()[:2_000]}")
    elif answer.status_code >= 400 and "problem+json" not in str(answer.headers.get("content-type")):
        found.faults.append(f"{answer.status_code} is no problem: {case.as_curl_command()[:2_000]}")


def memory_of(port: int) -> int:
    """How much memory the web process says it has, bytes."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        said = MEMORY.search(answer.read())
    return int(float(said[1])) if said else 0


def _is_up(port: int) -> bool:
    try:
        return memory_of(port) > 0
    except OSError:
        return False


@contextlib.contextmanager
def running_web(folder: Path, lacking: str = "") -> Iterator[int]:
    """Run a web process in development mode while the block lasts, on a database of its own; give its port."""
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CLARION_")},
        "DJANGO_SETTINGS_MODULE": "clarion.settings",
        "CLARION_DATA": str(folder / "data"),
        "CLARION_PORT": str(port),
        "CLARION_LOG_LEVEL": "error",
        "CLARION_LOG_FORMAT": "json",
    }
    command = [sys.executable, "-m", "tests.faults.lacking", lacking]
    with (folder / "log").open("wb") as log:
        subprocess.run(
            [*command, "migrate"], check=True, cwd=PROJECT, env=environment, stdout=log, stderr=log
        )
        environment["CLARION_DEV"] = "true"
        web = subprocess.Popen([*command, "web"], cwd=PROJECT, env=environment, stdout=log, stderr=log)
    try:
        assert wait_until(lambda: _is_up(port), patience=PATIENCE), (folder / "log").read_text()
        yield port
    finally:
        web.terminate()
        web.wait(PATIENCE)


if __name__ == "__main__":
    sys.exit(main())
