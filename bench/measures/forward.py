"""How soon an event reaches a webhook, and how many deliveries a second one worker process makes; and how many a rival.

`python -m bench.measures.forward EVENTS RIVALS PAIRS MOMENTS SECONDS REDIS`. All in the same run, one after
another, so that they meet the same machine; several pairs, and the median of them. Signatures, order of the log, retries,
counters and the guard on the way out are on. REDIS may be empty: then there is no rival.
"""

import http.client
import json
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count, islice
from statistics import median

import django

django.setup()

from django.db import transaction  # noqa: E402 - Django comes first

from bench import load, samples  # noqa: E402
from bench.audience import now  # noqa: E402
from bench.figures import Figure, cpu_seconds, family_seconds, percentile, say  # noqa: E402
from bench.installation import process, running_web, wait_until  # noqa: E402
from bench.receiver import Receiver, receiving  # noqa: E402
from bench.runs import LOOK, WARM_UP, Mark, Run, between, costs, mark, timed  # noqa: E402
from clarion.flows import callers, events, forwarding, subscriptions, tenants  # noqa: E402
from clarion.flows.destination_settings import Chosen  # noqa: E402
from clarion.flows.event_forms import entity_event  # noqa: E402
from clarion.flows.events import Arrival  # noqa: E402
from clarion.models import Delivery, DeliveryCount, Event, State, Tenant  # noqa: E402
from clarion.settings import child_environment  # noqa: E402

# Idle, ms from the first byte of the POST.
GOAL_P50, GOAL_P99 = 100.0, 300.0
GOAL_RATE = 6_000.0
# Each event goes to so many.
SUBSCRIBERS = 3
# Processes that the rival may use; its better setting counts.
PREFORK = (2, 8)
# Between two events of an idle system, s: longer than a delivery takes, and with no beat that a poll could keep to.
PAUSES = (0.05, 0.45)
# The first events find connections unmade and modules unread.
FIRST_EVENTS = 10
# Stored in one transaction.
BATCH = 1_000
# Connections that post while deliveries go out: enough for the intake to share its commits.
CONNECTIONS = 16
# More than so few connections get answered in a second; bodies are made beforehand.
MOST_A_SECOND = 10_000
SCOPES = ["events:write"]
# Ids go on from run to run: one that was told before would not be told again.
_numbers = count()


def main(numbers: list[int], seconds: float, redis: str) -> None:
    how_many, rivals, pairs, moments = numbers
    with receiving() as receiver:
        figures = list(_idle(receiver, moments))
        tenant = _tenant("rate", receiver)
        runs, others = list[Run](), {number: list[Run]() for number in PREFORK}
        usual = _tenant("usual", receiver) if redis else None
        for _ in range(pairs):
            runs.append(_forward(tenant, how_many, receiver))
            if usual is not None:
                ids = _planned(usual, rivals)
                for n, number in enumerate(PREFORK):
                    others[number].append(_celery(ids[n :: len(PREFORK)], number, receiver, redis))
        figures += _rates(how_many, runs, others if redis else {})
        figures += _beside_the_intake(tenant, how_many, pairs, seconds, receiver)
    say(figures)


def _idle(receiver: Receiver, moments: int) -> Iterator[Figure]:
    """One event at a time, posted to a running hub at irregular moments."""
    tenant = tenants.create("idle", now=now())
    _subscribe(tenant, receiver, "/timed")
    _, key = callers.create_key(tenant, name="bench", scopes=SCOPES, is_test=False, now=now())
    chosen = random.Random(7)
    told: dict[str, tuple[float, float]] = {}
    with _hub() as (port, _):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        for n in range(FIRST_EVENTS + moments):
            if n == FIRST_EVENTS:
                wait_until(lambda: len(receiver.seen().arrived) == FIRST_EVENTS, patience=60)
                # The web process may have ended one that rested for so long; the next request opens another.
                connection.close()
            time.sleep(chosen.uniform(*PAUSES))
            body = json.dumps(samples.entity_event(f"idle-{n}", n))
            began = time.perf_counter()
            connection.request("POST", "/api/v1/events", body, headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 201:
                raise RuntimeError(f"an event was answered {answer.status}")
            told[f"idle-{n}"] = began, time.perf_counter()
        wait_until(lambda: len(receiver.seen().arrived) == len(told), patience=60)
    arrived = receiver.seen().arrived
    counted = list(islice(told, FIRST_EVENTS, None))
    size = f"{len(counted)} events, idle"
    whole = [(arrived[each] - told[each][0]) * 1_000 for each in counted]
    after = [(arrived[each] - told[each][1]) * 1_000 for each in counted]
    yield Figure("event to webhook, p50", percentile(whole, 0.5), "ms", size, GOAL_P50, is_most=True)
    yield Figure("… p99", percentile(whole, 0.99), "ms", size, GOAL_P99, is_most=True)
    yield Figure("… from its 201 on, p50", percentile(after, 0.5), "ms", size)
    yield Figure("… from its 201 on, p99", percentile(after, 0.99), "ms", size)


def _forward(tenant: Tenant, how_many: int, receiver: Receiver) -> Run:
    """Let one worker forward events that are in the log already; whatever it does to make deliveries of them counts."""
    _tell(tenant, how_many)
    before, done = receiver.seen(), _accepted(tenant)
    total = how_many * SUBSCRIBERS
    with process(child_environment(), "-m", "clarion", "worker") as pid:
        run = timed(lambda: _accepted(tenant) - done, total, receiver.pid, lambda: cpu_seconds(pid))
    seen = receiver.seen()
    if (seen.posts - before.posts, seen.different - before.different) != (total, total):
        raise RuntimeError(f"{total} deliveries were due, and {seen.posts - before.posts} came")
    return run


def _rates(how_many: int, runs: list[Run], others: dict[int, list[Run]]) -> Iterator[Figure]:
    size = f"{how_many:,} events to {SUBSCRIBERS} webhooks"
    rate = median(run.rate for run in runs)
    yield Figure("forwarding, one worker process", rate, "deliveries/s", size, GOAL_RATE)
    yield from costs(runs, "the receiver", "µs/delivery", size)
    for number, theirs in others.items():
        usual, used = (median(getattr(run, name) for run in theirs) for name in ("rate", "ours"))
        yield Figure(f"Celery, a task per delivery, {number} processes", usual, "deliveries/s")
        yield Figure("… processor time of its processes", used, "µs/delivery")
    if others:
        best = max(median(run.rate for run in theirs) for theirs in others.values())
        least = min(median(run.ours for run in theirs) for theirs in others.values())
        yield Figure("forwarding against Celery", rate / best, "times", size)
        # Whatever else the machine does, this hardly moves.
        own = median(run.ours for run in runs) or 1.0  # a run shorter than a tick of the clock, in a test
        yield Figure("… in processor time, but for the database's", least / own, "times", size)


def _beside_the_intake(
    tenant: Tenant, how_many: int, pairs: int, seconds: float, receiver: Receiver
) -> Iterator[Figure]:
    """Forward what is in the log while more comes in over HTTP, as fast as the web process takes it."""
    _, key = callers.create_key(tenant, name="bench", scopes=SCOPES, is_test=False, now=now())
    _tell(tenant, how_many)
    runs, taken = list[Run](), list[float]()
    done = _accepted(tenant)
    with _hub() as (port, worker):
        wait_until(lambda: _accepted(tenant) - done >= how_many * SUBSCRIBERS * WARM_UP, pause=LOOK)
        for _ in range(pairs):
            bodies = islice(samples.singles(), int(MOST_A_SECOND * seconds))
            requests = [load.request("/api/v1/events", key, body) for body in bodies]
            before = _mark(tenant, receiver, worker)
            driven = load.drive(port, iter(requests), connections=CONNECTIONS, seconds=seconds)
            runs.append(between(before, _mark(tenant, receiver, worker)))
            taken.append(driven.rate)
            if set(driven.statuses) != {201}:
                raise RuntimeError(f"events were answered {dict(driven.statuses)}")
    size = f"{CONNECTIONS} connections post one event a request"
    yield Figure("forwarding while events come in", median(run.rate for run in runs), "deliveries/s", size)
    yield Figure("… events taken meanwhile", median(taken), "events/s", size)
    yield from costs(runs, "the receiver", "µs/delivery", size)


def _celery(ids: list[int], processes: int, receiver: Receiver, redis: str) -> Run:
    """Let Celery forward these; its queue is full before it starts."""
    from bench.rivals import celery_per_delivery as rival
    from bench.rivals import celery_per_message as usual

    environment = {**child_environment(), **usual.environment("", redis)}
    rival.fill(environment, ids)
    before = receiver.seen().posts
    with process(environment, *usual.command(processes, rival.MODULE)) as pid:
        posted, used = lambda: receiver.seen().posts - before, lambda: family_seconds(pid)
        run = timed(posted, len(ids), receiver.pid, used)
        last = Delivery.objects.filter(id__in=ids[-processes:], state=State.ACCEPTED)
        wait_until(lambda: last.count() > 0)
    return run


def _planned(tenant: Tenant, rivals: int) -> list[int]:
    """Return the ids of deliveries that are made and wait, with their bodies, and that no worker of ours takes."""
    seqs = _tell(tenant, max(rivals // SUBSCRIBERS, 1))
    bodies: dict[int | None, str] = {}
    for first in range(0, len(seqs), BATCH):
        logged = Event.objects.numbered(tenant.pk, seqs[first : first + BATCH])
        bodies |= {event.seq: event.body for event in logged}
        with transaction.atomic():
            forwarding.apply(tenant, logged, now())
    rows = list(Delivery.objects.of(tenant).filter(seq__in=bodies).order_by("id"))
    for row in rows:
        row.body, row.due_at = bodies[row.seq], now() + timedelta(days=1)
    Delivery.objects.bulk_update(rows, ["body", "due_at"], batch_size=BATCH // 2)
    return [row.pk for row in rows]


@contextmanager
def _hub() -> Iterator[tuple[int, int]]:
    """Run web and worker; give the port of the one and the pid of the other."""
    ours = child_environment()
    with running_web(ours) as (port, _), process(ours, "-m", "clarion", "worker") as worker:
        yield port, worker


def _tenant(name: str, receiver: Receiver) -> Tenant:
    tenant = tenants.create(name, now=now())
    for n in range(SUBSCRIBERS):
        _subscribe(tenant, receiver, f"/{name}/{n}")
    return tenant


def _subscribe(tenant: Tenant, receiver: Receiver, path: str) -> None:
    draft = subscriptions.Draft(
        ref=path,
        ref_is_number=False,
        destination=Chosen("webhook", "webhook", {"url": receiver.url(path)}),
        entity_type="ORDER",
        creates=True,
        changes=True,
        deletes=True,
    )
    subscriptions.create(tenant, draft, is_test=False, now=now())


def _tell(tenant: Tenant, how_many: int) -> list[int]:
    """Put so many events into the log; return their numbers."""
    told = [f"told-{n}" for n in islice(_numbers, how_many)]
    seqs = list[int]()
    for first in range(0, how_many, BATCH):
        drafts = [
            entity_event(samples.entity_event(each, n), tenant.zone)
            for n, each in enumerate(told[first : first + BATCH], first)
        ]
        seqs += [outcome.seq for outcome in events.append([Arrival(tenant, each) for each in drafts], now())]
    return seqs


def _accepted(tenant: Tenant) -> int:
    rows = DeliveryCount.objects.of(tenant).filter(state=State.ACCEPTED)
    return sum(rows.values_list("count", flat=True))


def _mark(tenant: Tenant, receiver: Receiver, worker: int) -> Mark:
    return mark(lambda: _accepted(tenant), receiver.pid, lambda: cpu_seconds(worker))


if __name__ == "__main__":
    given = sys.argv[1:]
    main(list(map(int, given[:4])), float(given[4]), given[5])
