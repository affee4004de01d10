"""How many messages a second one worker process sends through the `probe` gateway, and how many the rivals send.

`python -m bench.measures.dispatch DATABASE MESSAGES RIVALS PAIRS SENDER PID REDIS`. All in the same run, one after another,
so that they meet the same machine; several pairs, and the median of them. REDIS may be empty: then there is no rival.
"""

import json
import sys
import urllib.request
from datetime import timedelta
from statistics import median
from typing import NamedTuple

import django

django.setup()

from bench import audience  # noqa: E402 - Django comes first
from bench.audience import now  # noqa: E402
from bench.figures import Figure, cpu_seconds, say  # noqa: E402
from bench.installation import process, wait_until  # noqa: E402
from bench.measures.materialise import materialise  # noqa: E402
from bench.runs import Run, costs, timed  # noqa: E402
from clarion.flows import accounts, mailings, tenants  # noqa: E402
from clarion.models import Mailing, Message, State, Tenant  # noqa: E402
from clarion.settings import child_environment  # noqa: E402

GOAL = {"sqlite": 6_000.0, "postgres": 9_000.0}
GOAL_RATIO = 12.0
# Processes that the rival may use; its better setting counts.
PREFORK = (2, 8)


class Sender(NamedTuple):
    """The stand-in that takes the messages."""

    url: str
    pid: int

    def accepted(self) -> int:
        with urllib.request.urlopen(f"{self.url}/_sandbox/counts") as answer:  # noqa: S310 - on loopback
            return int(json.load(answer)["accepted"])


def main(database: str, messages: int, rivals: int, pairs: int, sender: Sender, redis: str) -> None:
    tenant = tenants.create("bench", now=now())
    settings = {"base_url": sender.url, "token": "bench"}
    accounts.add(tenant, name="sender", gateway="probe", settings=settings, now=now())
    audience.make(tenant, messages)
    runs: list[Run] = []
    others: dict[int, list[Run]] = {number: [] for number in PREFORK}
    for _ in range(pairs):
        runs.append(_dispatch(_materialised(tenant), sender))
        if redis:
            rows = _materialised(tenant).message_set.order_by("id")[:rivals]
            ids = list(rows.values_list("id", flat=True))
            for n, number in enumerate(PREFORK):
                part = ids[n :: len(PREFORK)]
                others[number].append(_celery(part, number, sender, redis))
    say(_figures(database, messages, runs, others if redis else {}))


def _figures(database: str, messages: int, runs: list[Run], others: dict[int, list[Run]]) -> list[Figure]:
    size = f"{messages:,} messages"
    rate = median(run.rate for run in runs)
    figures = [Figure("dispatch, one worker process", rate, "msgs/s", size, GOAL[database])]
    figures += costs(runs, "the sender", "µs/msg", size)
    best = 0.0
    for number, theirs in others.items():
        usual = median(run.rate for run in theirs)
        best = max(best, usual)
        figures.append(Figure(f"Celery, a task per message, {number} processes", usual, "msgs/s"))
    if best:
        figures.append(Figure("dispatch against Celery", rate / best, "times", size, GOAL_RATIO))
    return figures


def _materialised(tenant: Tenant) -> Mailing:
    draft = mailings.Draft(text="hello", starts_at=now(), ends_at=now() + timedelta(hours=2))
    mailing = mailings.create(tenant, draft, is_test=False, now=now())
    materialise(mailing)
    return mailing


def _dispatch(mailing: Mailing, sender: Sender) -> Run:
    total = mailing.message_set.count()

    def sent() -> int:
        return dict(mailing.counts.by_state()).get(State.ACCEPTED, 0)

    with process(child_environment(), "-m", "clarion", "worker") as pid:
        run = timed(sent, total, sender.pid, lambda: cpu_seconds(pid))
    return run


def _celery(ids: list[int], processes: int, sender: Sender, redis: str) -> Run:
    """Let Celery send these; its queue is full before it starts."""
    from bench.rivals import celery_per_message as rival

    # The worker must not find them waiting as well.
    Message.objects.filter(id__in=ids).update(due_at=now() + timedelta(hours=1))
    environment = child_environment()
    environment.update(rival.environment(sender.url, redis))
    rival.fill(environment, ids)
    before = sender.accepted()
    with process(environment, *rival.command(processes)):
        run = timed(lambda: sender.accepted() - before, len(ids), sender.pid, lambda: 0.0)
    wait_until(lambda: Message.objects.filter(id__in=ids[-processes:], state=State.ACCEPTED).count() > 0)
    return run


if __name__ == "__main__":
    kind, *sizes, url, pid, broker = sys.argv[1:]
    main(kind, *map(int, sizes), Sender(url, int(pid)), broker)
