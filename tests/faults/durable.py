"""`make durable`: web processes are killed, the power is cut, servers stop and disks fill up while events are posted.

`python -m tests.faults.durable [--posts 100000] [--events 200000] [--kills 20] [--cuts 400] [--databases …] [--runs …]`.
Power cuts need strace, full disks the right to mount; what is not to be had is named. Exit code 0: no promise was
broken, and each protection was missed when it was switched off.
"""

import argparse
import contextlib
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from msgspec.structs import replace

from tests.faults.plans import Plan
from tests.faults.posters import BATCH, BATCH_EVERY
from tests.faults.reports import Column, begin, is_kept, is_missed
from tests.faults.runner import may_mount
from tests.faults.teeth import CUT_TEETH, DISK_TEETH, INTAKE_TEETH, ORDER_TEETH, STOP_TEETH, Tooth
from tests.legs import LEGS, Unavailable, server_version
from tests.servers import Server, private_mariadb, private_postgres

COLUMNS = (
    Column("run", 12, lambda figures: figures.scene),
    Column("posts", 7, lambda figures: figures.posts),
    Column("events", 7, lambda figures: figures.events),
    Column("kills", 5, lambda figures: figures.kills),
    Column("again", 6, lambda figures: figures.again),
    Column("known", 6, lambda figures: figures.known),
    Column("told 503", 8, lambda figures: figures.later),
    Column("lost", 4, lambda figures: figures.lost),
    Column("doubles", 7, lambda figures: figures.duplicates),
    Column("seen", 6, lambda figures: figures.seen),
    Column("effects", 7, lambda figures: figures.effects),
    Column("cuts", 4, lambda figures: figures.cuts),
    Column("damaged", 7, lambda figures: figures.cuts_damaged),
    Column("slowest", 7, lambda figures: f"{figures.slowest:.1f}"),
    Column("back", 5, lambda figures: f"{figures.back:.1f}"),
    Column("seconds", 7, lambda figures: f"{figures.seconds:.0f}"),
)
# A run at full size takes some ten minutes; one that takes six times as long stands still, s.
PATIENCE = 3_600.0
# Each run of the second kind uses a server up.
OWN_SERVERS: dict[str, Callable[[], AbstractContextManager[Server]]] = {
    "postgres": private_postgres,
    "mariadb": private_mariadb,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.durable", description="Post, break, count.")
    parser.add_argument("--posts", type=int, default=100_000, help="of the runs with kills")
    parser.add_argument(
        "--kills", type=int, default=20, help="of the same; half as many while somebody reads"
    )
    parser.add_argument(
        "--events", type=int, default=200_000, help="with overlapping ids, while somebody reads"
    )
    parser.add_argument("--cuts", type=int, default=400, help="of the power")
    parser.add_argument("--clients", type=int, default=32, help="of the runs with kills")
    parser.add_argument("--databases", nargs="+", choices=list(LEGS), default=list(LEGS))
    parser.add_argument("--runs", nargs="+", choices=list(RUNS), default=list(RUNS))
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="of victims and moments")
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    begin(COLUMNS, first="database".rjust(10))
    broken = 0
    for database in chosen.databases:
        try:
            broken += sum(RUNS[run](database, chosen) for run in chosen.runs)
        except Unavailable as reason:
            print(f"-- {database} skipped: {reason}", flush=True)
            broken += os.environ.get("LEGS") == "require"
    print("every promise was kept" if not broken else f"{broken} runs broke a promise", flush=True)
    return min(broken, 1)


def kills(database: str, chosen: argparse.Namespace) -> int:
    """Kills at random, and a log whose events several bring at once."""
    posts = chosen.posts
    plans = [
        Plan(
            scene="intake kills",
            # A few posts are batches.
            events=posts + posts // BATCH_EVERY * (BATCH - 1),
            kills=chosen.kills,
            clients=chosen.clients,
            seed=chosen.seed,
        ),
    ]
    return _on(database, plans, INTAKE_TEETH)


def gaps(database: str, chosen: argparse.Namespace) -> int:
    """Several bring the same events, to two web processes, while somebody reads the logs."""
    plan = Plan(
        scene="intake kills",
        manner="gaps",
        events=chosen.events,
        kills=chosen.kills // 2,
        # SQLite has one web process.
        webs=1 if database == "sqlite" else 2,
        tenants=3,
        overlapping=True,
        watched=True,
        seed=chosen.seed,
    )
    return _on(database, [plan], [] if database == "sqlite" else ORDER_TEETH)


def power(database: str, chosen: argparse.Namespace) -> int:
    """The power is cut. Servers have power cuts of their own, which their makers try."""
    if database != "sqlite":
        return 0
    if shutil.which("strace") is None:
        print("-- power cuts skipped: strace is not installed (apt install strace)", flush=True)
        return int(os.environ.get("LEGS") == "require")
    plan = Plan(scene="power cuts", events=4_000, kills=0, cuts=chosen.cuts, seed=chosen.seed)
    return _on(database, [plan], CUT_TEETH)


def disk(database: str, chosen: argparse.Namespace) -> int:
    """The disk fills up."""
    if database != "sqlite":
        return 0
    if not may_mount():
        print("-- full disks skipped: only root may mount a small one", flush=True)
        return int(os.environ.get("LEGS") == "require")
    plan = Plan(scene="disk full", events=min(chosen.posts, 20_000), kills=0, room=64, seed=chosen.seed)
    return _on(database, [plan], DISK_TEETH)


def server(database: str, chosen: argparse.Namespace) -> int:
    """The server of the database stops."""
    if database == "sqlite":
        return 0
    plan = Plan(scene="server stops", events=min(chosen.posts, 20_000), kills=0, seed=chosen.seed)
    broken = 0
    with OWN_SERVERS[database]() as own:
        broken += not is_kept(replace(plan, server=own), COLUMNS, first=database.rjust(10))
    for tooth in STOP_TEETH:
        with OWN_SERVERS[database]() as own:
            broken += not is_missed(tooth._replace(plan=replace(tooth.plan, server=own)))
    return broken


RUNS = {"kills": kills, "gaps": gaps, "power": power, "disk": disk, "server": server}


def _on(database: str, plans: list[Plan], teeth: list[Tooth]) -> int:
    with _server(database) as url:
        kept = [
            is_kept(plan, COLUMNS, first=database.rjust(10), server=url, timeout=PATIENCE) for plan in plans
        ]
        return kept.count(False) + sum(not is_missed(tooth, url) for tooth in teeth)


@contextlib.contextmanager
def _server(database: str) -> Iterator[str]:
    with LEGS[database]() as url:
        if url:
            print(f"-- {server_version(url)}", flush=True)
        yield url


if __name__ == "__main__":
    sys.exit(main())
