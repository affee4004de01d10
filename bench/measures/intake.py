"""How many posted events a second one web process keeps, and how many the usual ways do.

`python -m bench.measures.intake DATABASE SECONDS PAIRS`. All servers wait side by side and are driven one after
another, round by round, so that they meet the same machine; the median of the rounds counts. Ours checks the
credential, validates, numbers, and tells a repeated event from a new one; the rivals do none of it. Without their
packages only ours is measured.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from itertools import islice
from statistics import median
from typing import NamedTuple

import django

django.setup()

from django.conf import settings  # noqa: E402 - Django comes first

from bench import load, samples  # noqa: E402
from bench.figures import Figure, cpu_seconds, percentile, say  # noqa: E402
from bench.installation import process, run, running_web, wait_until_listening  # noqa: E402
from bench.load import Load  # noqa: E402
from clarion.flows import callers, tenants  # noqa: E402
from clarion.settings import child_environment  # noqa: E402
from tests import servers  # noqa: E402

GOAL = {"sqlite": 8_000.0, "postgres": 12_000.0}
GOAL_P99 = {"sqlite": 30.0, "postgres": 20.0}
GOAL_BATCH = {"sqlite": 25_000.0, "postgres": 50_000.0}
GOAL_DRF = {"sqlite": 10.0, "postgres": 9.0}
GOAL_EMPTY, GOAL_BULK = 0.3, 4.0
# Beside a page that is loaded in a loop: of the idle rate, and ms.
GOAL_BESIDE, GOAL_BESIDE_P99 = 0.4, 30.0
CONNECTIONS, BATCH_CONNECTIONS = 64, 4
# Before the measuring: connections, plans, modules; s.
WARM_UP = 1.0
# No server takes more; bodies are made beforehand, not while the clock runs.
MOST_A_SECOND = 20_000
GUNICORN = ("-m", "gunicorn", "bench.rivals.django_events.wsgi", "--worker-class", "gthread")
# Its own 2 s end connections whose request has waited so long for a thread.
GUNICORN += ("--workers", "2", "--threads", "4", "--keep-alive", "60", "--log-level", "error")
UVICORN = (
    "-m",
    "uvicorn",
    "--loop",
    "uvloop",
    "--http",
    "httptools",
    "--log-level",
    "error",
    "--no-access-log",
)


class Server(NamedTuple):
    """One who is measured: where its events are posted, and the process whose time is asked."""

    name: str
    port: int
    path: str
    pid: int


def main(database: str, seconds: float, pairs: int) -> None:
    tenant = tenants.create("bench", now=datetime.now(UTC))
    scopes = ["events:write", "events:read"]
    _, key = callers.create_key(tenant, name="bench", scopes=scopes, is_test=False, now=datetime.now(UTC))
    with ExitStack() as stack:
        port, pid = stack.enter_context(running_web(child_environment()))
        ours = Server("ours", port, "/api/v1/events", pid)
        has_rivals = find_spec("rest_framework") is not None
        rivals = list(_rivals(stack, database)) if has_rivals else []
        figures = [
            *_singles(database, ours, rivals, key, seconds, pairs),
            *_batches(database, ours, key, seconds, pairs, has_rivals=has_rivals),
            *_beside(ours, key, seconds, pairs),
        ]
    say(figures)


def _singles(
    database: str, ours: Server, rivals: list[Server], key: str, seconds: float, pairs: int
) -> Iterator[Figure]:
    size = f"{CONNECTIONS} connections"
    rates: dict[str, list[float]] = {}
    times: list[float] = []
    used = answered = 0.0
    for server in (ours, *rivals):
        _drive(server, key, WARM_UP)
    for _ in range(pairs):
        for server in (ours, *rivals):
            before = cpu_seconds(server.pid)
            driven = _drive(server, key, seconds)
            rates.setdefault(server.name, []).append(driven.rate)
            if server is ours:
                used, answered = used + cpu_seconds(server.pid) - before, answered + driven.statuses.total()
                times += driven.times
    own = median(rates["ours"])
    yield Figure("one event a request", own, "events/s", size, GOAL[database])
    yield Figure("… p99", percentile(times, 0.99), "ms", size, GOAL_P99[database], is_most=True)
    yield Figure("… processor time of the web process", used / answered * 1e6, "µs/event", size)
    goals = {"DRF and ORM save": GOAL_DRF[database], "the same server's empty answer": GOAL_EMPTY}
    for rival in rivals:
        yield Figure(f"… {rival.name}", median(rates[rival.name]), "events/s", size)
        ratios = [mine / theirs for mine, theirs in zip(rates["ours"], rates[rival.name], strict=True)]
        yield Figure("… ours in times of it", median(ratios), "times", size, goals.get(rival.name))


def _batches(
    database: str, ours: Server, key: str, seconds: float, pairs: int, *, has_rivals: bool
) -> Iterator[Figure]:
    size = f"{samples.BATCH} a request, {BATCH_CONNECTIONS} connections"
    rates, bulk = list[float](), list[float]()
    for _ in range(pairs):
        driven = _drive(ours, key, seconds, is_batch=True)
        rates.append(driven.rate * samples.BATCH)
        if has_rivals:
            command = ("-m", "bench.rivals.django_events.bulk", str(seconds))
            bulk.append(float(run(_rival_environment(database), *command)))
    yield Figure("many events a request", median(rates), "events/s", size, GOAL_BATCH[database])
    if has_rivals:
        yield Figure("… bulk_create, without HTTP", median(bulk), "rows/s", f"{samples.BATCH} at a time")
        ratios = [mine / theirs for mine, theirs in zip(rates, bulk, strict=True)]
        yield Figure("… ours in times of it", median(ratios), "times", size, GOAL_BULK)


def _beside(ours: Server, key: str, seconds: float, pairs: int) -> Iterator[Figure]:
    """Events, while somebody loads an admin page without pause."""
    size = f"{CONNECTIONS} connections"
    alone, beside = list[float](), list[float]()
    times: list[float] = []
    for _ in range(pairs):
        alone.append(_drive(ours, key, seconds).rate)
        with process(child_environment(), "-m", "bench.visitor", str(ours.port)):
            driven = _drive(ours, key, seconds)
        beside.append(driven.rate)
        times += driven.times
    ratios = [mine / idle for mine, idle in zip(beside, alone, strict=True)]
    yield Figure(
        "beside an admin page in a loop, of the idle rate", median(ratios), "times", size, GOAL_BESIDE
    )
    yield Figure("… p99", percentile(times, 0.99), "ms", size, GOAL_BESIDE_P99, is_most=True)


def _drive(server: Server, key: str, seconds: float, *, is_batch: bool = False) -> Load:
    bodies = samples.batches() if is_batch else samples.singles()
    most = MOST_A_SECOND * max(seconds, 1.0) / (200 if is_batch else 1)
    requests = [load.request(server.path, key, body) for body in islice(bodies, int(most))]
    connections = BATCH_CONNECTIONS if is_batch else CONNECTIONS
    try:
        driven = load.drive(server.port, iter(requests), connections=connections, seconds=seconds)
    except OSError as error:
        raise RuntimeError(f"{server.name}: {error}") from error
    if set(driven.statuses) != {201}:
        raise RuntimeError(f"{server.name} answered {dict(driven.statuses)}")
    return driven


def _rivals(stack: ExitStack, database: str) -> Iterator[Server]:
    environment = _rival_environment(database)
    run(environment, "-m", "django", "migrate", "--run-syncdb", "--verbosity", "0")
    port = stack.enter_context(_server(environment, *GUNICORN))
    yield Server("DRF and ORM save", port, "/drf/events", 0)
    yield Server("django-ninja and ORM create", port, "/ninja/events", 0)
    run(environment, "-m", "bench.rivals.fastapi_events")
    fastapi = (*UVICORN, "bench.rivals.fastapi_events:app", "--workers", "2")
    yield Server(
        "FastAPI and SQLAlchemy, async", stack.enter_context(_server(environment, *fastapi)), "/events", 0
    )
    empty = (*UVICORN, "bench.rivals.empty_answer:application", "--lifespan", "off")
    yield Server("the same server's empty answer", stack.enter_context(_server(environment, *empty)), "/", 0)


@contextmanager
def _server(environment: dict[str, str], *arguments: str) -> Iterator[int]:
    """Run a rival's server; give its port."""
    port = servers.free_port()
    where = ("--bind", f"127.0.0.1:{port}") if "gunicorn" in arguments else ("--port", str(port))
    with process(environment, *arguments, *where):
        wait_until_listening(port)
        yield port


def _rival_environment(database: str) -> dict[str, str]:
    """Return what the rivals read from theirs: a database beside ours."""
    url = settings.CLARION.database_url.get_secret_value()
    beside = f"{url}_rival" if database == "postgres" else f"sqlite:///{settings.CLARION.data}/rival.sqlite3"
    names = {
        "RIVAL_DATABASE": beside,
        "DJANGO_SETTINGS_MODULE": "bench.rivals.django_events.settings",
    }
    return {**child_environment(), **names}


def make_rival_database(url: str) -> None:
    """Make the database beside ours on a server."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE clarion_rival")


if __name__ == "__main__":
    if sys.argv[1] == "postgres":
        make_rival_database(settings.CLARION.database_url.get_secret_value())
    try:
        main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"{error}: {error.stdout}") from error
