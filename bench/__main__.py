"""`make bench`: run every measurement, print the table, write bench/results.md."""

import argparse
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from bench.broker import running_redis
from bench.figures import HEAD, Figure, heard, machine
from bench.installation import installation, process, run, running_sandbox, running_web
from tests.servers import Unavailable, server_version

RESULTS = Path(__file__).parent / "results.md"
DATABASES = ("sqlite", "postgres")
# What the figures depend on besides our own code.
PACKAGES = ("Django", "psycopg", "uvicorn", "uvloop", "celery", "requests", "redis")
PACKAGES += ("djangorestframework", "django-ninja", "fastapi", "sqlalchemy", "asyncpg", "gunicorn")


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything: clients of a large shop, how often statistics are asked for, messages to send,
    messages or deliveries for the slow rival, pairs of ours and the rival's, how long events are posted in each run
    (s), events in the log that is asked, events to forward, moments at which an idle system is told of one."""

    clients: int = 1_000_000
    asks: int = 1_000
    messages: int = 100_000
    rivals: int = 6_000
    pairs: int = 3
    seconds: float = 8.0
    events: int = 10_000_000
    forwarded: int = 20_000
    moments: int = 300


FULL = Sizes()
QUICK = Sizes(clients=100_000, asks=200, messages=20_000, rivals=2_000, pairs=1, seconds=4.0, events=500_000)
QUICK = replace(QUICK, forwarded=5_000, moments=100)
# Says nothing of speed: a test runs it, so that the measurements themselves stay whole.
TINY = Sizes(clients=3_000, asks=20, messages=600, rivals=60, pairs=1, seconds=0.3, events=3_000)
TINY = replace(TINY, forwarded=200, moments=5)
SIZES = {"full": FULL, "quick": QUICK, "tiny": TINY}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--quick", dest="size", action="store_const", const="quick", help="--size quick")
    parser.add_argument("--databases", nargs="*", choices=DATABASES, default=DATABASES)
    parser.add_argument("--only", nargs="*", choices=MEASURES, default=list(MEASURES))
    parser.add_argument(
        "--results", type=Path, help=f"where to write; {RESULTS.name} if all of it is measured"
    )
    chosen = parser.parse_args()
    is_all = (
        chosen.size == "full"
        and len(chosen.databases) == len(DATABASES)
        and len(chosen.only) == len(MEASURES)
    )
    lines = [*_about(), "", HEAD]
    print("\n".join(lines), flush=True)
    for line in _lines(SIZES[chosen.size], chosen.databases, chosen.only):
        print(line, flush=True)
        lines.append(line)
    if path := chosen.results or (RESULTS if is_all else None):
        path.write_text("\n".join([*lines, ""]))


def _lines(sizes: Sizes, databases: list[str], measures: list[str]) -> Iterator[str]:
    for database in databases:
        for measure in measures:
            try:
                with installation(database) as environment:
                    name = _name(environment)
                    for figure in MEASURES[measure](database, environment, sizes):
                        yield figure.line(name)
            except Unavailable as missing:
                yield f"| {measure} | {database} | | not measured: {missing} | | |"


def _a_million(database: str, environment: dict[str, str], sizes: Sizes) -> list[Figure]:
    ran = run(environment, "-m", "bench.measures.materialise", database, str(sizes.clients))
    figures = heard(ran)
    with running_web(environment) as (port, pid):
        numbers = map(str, (port, pid, sizes.asks))
        return figures + heard(run(environment, "-m", "bench.measures.questions", *numbers))


def _files(database: str, environment: dict[str, str], sizes: Sizes) -> list[Figure]:
    with running_web(environment) as (port, web), process(environment, "-m", "clarion", "worker") as worker:
        numbers = map(str, (sizes.clients, port, web, worker))
        return heard(run(environment, "-m", "bench.measures.files", *numbers))


def _intake(database: str, environment: dict[str, str], sizes: Sizes) -> list[Figure]:
    if find_spec("rest_framework") is None:
        print("No rivals of intake: make group-bench installs them", flush=True)
    return heard(
        run(environment, "-m", "bench.measures.intake", database, str(sizes.seconds), str(sizes.pairs))
    )


def _log(database: str, environment: dict[str, str], sizes: Sizes) -> list[Figure]:
    with running_web(environment) as (port, pid):
        numbers = map(str, (sizes.events, port, pid, sizes.asks))
        return heard(run(environment, "-m", "bench.measures.log", *numbers))


def _dispatch(database: str, environment: dict[str, str], sizes: Sizes) -> list[Figure]:
    with ExitStack() as stack:
        url, pid = stack.enter_context(running_sandbox(environment))
        redis = _broker(stack)
        numbers = map(str, (sizes.messages, sizes.rivals, sizes.pairs))
        return heard(
            run(environment, "-m", "bench.measures.dispatch", database, *numbers, url, str(pid), redis)
        )


def _forward(database: str, environment: dict[str, str], sizes: Sizes) -> list[Figure]:
    # The receiver is on this machine, where subscribers' addresses may not lead otherwise.
    opened = {**environment, "CLARION_EGRESS_ALLOW": '["127.0.0.1"]', "CLARION_EGRESS_HTTP": "true"}
    with ExitStack() as stack:
        redis = _broker(stack)
        numbers = map(str, (sizes.forwarded, sizes.rivals, sizes.pairs, sizes.moments, sizes.seconds))
        return heard(run(opened, "-m", "bench.measures.forward", *numbers, redis))


def _broker(stack: ExitStack) -> str:
    """Run a broker for the rival until the stack is left; its URL, or nothing where there can be no rival."""
    try:
        if find_spec("celery") is None:
            raise Unavailable("make group-bench installs Celery")
        return stack.enter_context(running_redis())
    except Unavailable as missing:
        print(f"No rival: {missing}", flush=True)
        return ""


MEASURES = {
    "intake": _intake,
    "log": _log,
    "million": _a_million,
    "files": _files,
    "dispatch": _dispatch,
    "forward": _forward,
}


def _name(environment: dict[str, str]) -> str:
    url = environment["CLARION_DATABASE_URL"]
    return server_version(url) if url else f"SQLite {sqlite3.sqlite_version}"


def _about() -> list[str]:
    return [
        "# What was measured",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {machine()}.",
        "Load, sender (`clarion sandbox`), database, broker and worker share the machine; durable settings everywhere.",
        f"Packages: {', '.join(_installed())}.",
        "What each line means, and what holds it down: `docs/performance.md`.",
    ]


def _installed() -> Iterator[str]:
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            yield f"{name} {version(name)}"


if __name__ == "__main__":
    main()
