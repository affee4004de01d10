"""Compares the logs of events with what their posters were told and with what a reader saw."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from clarion.models import Event, EventHead, ParkedEvent, ReaderPosition, Tenant
from tests.faults.plans import Figures, Plan
from tests.faults.posters import AGAIN, BROKEN, GOOD, HANGS, Answer, event, tenant_of
from tests.flows.recording import seen as seen_by_worker

# Rows named per breach; the count says how many there are.
NAMED = 5


def head_of(tenant: Tenant) -> int:
    """The last number that a log has given."""
    return EventHead.objects.of(tenant).values_list("seq", flat=True).first() or 0


def judge(plan: Plan, tenants: Sequence[Tenant], answers: Sequence[Answer], figures: Figures) -> None:
    """Fill in what was promised to the posters, and every promise that was broken."""
    good = [answer for answer in answers if answer.is_good]
    acknowledged = {number for answer in good for number in answer.numbers}
    told = {answer.numbers[0]: answer.seq for answer in good if answer.seq}
    figures.events, figures.posts = len(acknowledged), len(good)
    figures.again = sum(1 for answer in answers if answer.numbers and not answer.is_good)
    figures.known = sum(1 for answer in good if answer.status == 200)
    figures.later = sum(1 for answer in answers if answer.status == AGAIN)
    figures.slowest = max((answer.seconds for answer in answers), default=0.0)
    figures.breaches += _answers(answers)
    if len(acknowledged) < plan.events:
        figures.breaches.append(f"{plan.events - len(acknowledged)} events were never acknowledged")
    for number, tenant in enumerate(tenants):
        mine = {each for each in acknowledged if tenant_of(each, len(tenants)) == number}
        figures.breaches += _log(tenant, mine, told, figures)


def judge_reader(tenants: Sequence[Tenant], seen: Path, figures: Figures) -> None:
    """Whether the reader saw each event of each log once, in the log's order."""
    lines = [line.split("\t") for line in seen.read_text().splitlines()]
    figures.seen = len(lines)
    for number, tenant in enumerate(tenants):
        read = [(int(seq), event_id) for mine, seq, event_id in lines if int(mine) == number]
        log = list(Event.objects.of(tenant).order_by("seq").values_list("seq", "event_id"))
        if read != log:
            missed = sorted(set(log) - set(read))
            twice = sum(times - 1 for times in Counter(read).values())
            figures.breaches.append(
                f"a reader of {tenant.name} missed {len(missed)} of {len(log)} events ({missed[:NAMED]}) "
                f"and saw {twice} twice"
            )


def judge_worker(tenants: Sequence[Tenant], figures: Figures) -> None:
    """Whether each event had its effect once, and none was given up."""
    for tenant in tenants:
        effects, head = seen_by_worker(tenant), head_of(tenant)
        figures.effects += len(effects)
        if effects != list(range(1, head + 1)):
            missed, twice = head - len(set(effects)), len(effects) - len(set(effects))
            figures.breaches.append(
                f"of {head} events of {tenant.name} {missed} had no effect and {twice} had theirs twice"
            )
    if parked := ParkedEvent.objects.count():
        figures.breaches.append(f"{parked} events were parked")


def lag_of(tenants: Sequence[Tenant]) -> int:
    """How many events no worker has read yet."""
    heads = sum(head_of(tenant) for tenant in tenants)
    return heads - sum(ReaderPosition.objects.values_list("seq", flat=True))


def _answers(answers: Sequence[Answer]) -> Iterator[str]:
    hangs = sum(answer.status == HANGS for answer in answers)
    if hangs:
        yield f"{hangs} requests were never answered"
    wrong = Counter(answer.status for answer in answers if answer.status not in (*GOOD, AGAIN, BROKEN, HANGS))
    for status, times in sorted(wrong.items()):
        yield f"{times} requests were answered {status}"
    for flaw, times in Counter(answer.flaw for answer in answers if answer.flaw).items():
        yield f"{times} answers are wrong: {flaw}"


def _log(tenant: Tenant, mine: set[int], told: dict[int, int], figures: Figures) -> Iterator[str]:
    seqs: list[int] = []
    kept: Counter[int] = Counter()
    altered, renumbered = [], []
    rows = Event.objects.of(tenant).order_by("seq").values_list("seq", "body")
    for seq, body in rows.iterator(chunk_size=5_000):
        document = json.loads(body)
        # Found by its content and not by the column: what is stored under a second id is stored twice.
        number = int(document["event_payload"]["entity_id"])
        seqs.append(seq)
        kept[number] += 1
        if document != event(number):
            altered.append(number)
        if number in told and told[number] != seq:
            renumbered.append(number)
    lost, twice = mine - set(kept), [number for number, times in kept.items() if times > 1]
    figures.lost += len(lost)
    figures.duplicates += sum(kept.values()) - len(kept)
    yield from _named("acknowledged events are not in the log", lost)
    yield from _named("events are in the log twice", twice)
    yield from _named("events were changed", altered)
    yield from _named("events have another number than was told", renumbered)
    yield from _named("events are in the log that were not acknowledged", set(kept) - mine)
    yield from _named("numbers of the log are missing", set(range(1, len(seqs) + 1)) - set(seqs))
    if head_of(tenant) != len(seqs):
        yield f"the head of {tenant.name} says {head_of(tenant)}, its log has {len(seqs)} events"


def _named(sentence: str, numbers: Iterable[int]) -> Iterator[str]:
    found = sorted(numbers)
    if found:
        yield f"{len(found)} {sentence}: {', '.join(map(str, found[:NAMED]))}"
