"""Prove that every message is accounted for; name the row that breaks it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, F, Q, QuerySet

from clarion.models import Mailing, MailingCount, Message, State, Worker
from clarion.models.outgoing import OPEN_STATES

# A due row that nobody touched for this long is not merely waiting for its turn to be written down.
STUCK = timedelta(hours=1)
# Rows named per kind of finding; the count says how many there are.
NAMED = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not add up: what, where, and which rows."""

    kind: str
    sentence: str
    rows: tuple[int, ...] = ()


def run(now: datetime) -> list[Finding]:
    """Check every promise about accounts; an empty list is the proof that they hold."""
    return [*_counters(), *_overdue(now), *_orphans(), *_materialised()]


def _counters() -> Iterator[Finding]:
    """The counters equal a count of the rows, per mailing, state and reason."""
    key = ("mailing_id", "state", "reason")
    counted = {tuple(row[:3]): row[3] for row in Message.objects.values_list(*key).annotate(n=Count("id"))}
    kept = {
        tuple(row[:3]): row[3] for row in MailingCount.objects.exclude(count=0).values_list(*key, "count")
    }
    for place in sorted(counted.keys() | kept.keys()):
        if counted.get(place, 0) != kept.get(place, 0):
            mailing, state, reason = place
            yield Finding(
                "counter",
                f"mailing {mailing}: {kept.get(place, 0)} counted as {state} {reason or '(no reason)'}, "
                f"{counted.get(place, 0)} are there",
                (mailing,),
            )


def _overdue(now: datetime) -> Iterator[Finding]:
    """Whatever is open has something that moves it: nothing is long past its deadline."""
    stuck = Message.objects.filter(state__in=OPEN_STATES, deadline_at__lt=now - STUCK)
    yield from _named("overdue", "open although the deadline is more than an hour past", stuck)
    unset = Message.objects.filter(Q(state=State.UNKNOWN) & ~Q(due_at=F("deadline_at")))
    yield from _named("doubt", "in doubt and not looked at again at the deadline", unset)


def _orphans() -> Iterator[Finding]:
    """Whatever is being sent is held by a worker that lives or will be rescued from."""
    workers = Worker.objects.filter(ended_at=None).values("pk")
    orphans = Message.objects.filter(state=State.SENDING).exclude(worker_id__in=workers)
    yield from _named("orphan", "being sent by no worker", orphans)


def _materialised() -> Iterator[Finding]:
    """What has finished has nothing open."""
    open_rows = Message.objects.filter(state__in=OPEN_STATES)
    done = Mailing.objects.exclude(finished_at=None).filter(pk__in=open_rows.values("mailing_id"))
    rows = tuple(done.order_by("pk").values_list("pk", flat=True)[:NAMED])
    if rows:
        yield Finding("finished", "mailings that are over and still have open messages", rows)


def _named(kind: str, sentence: str, rows: QuerySet[Message]) -> Iterator[Finding]:
    total = rows.count()
    if total:
        yield Finding(
            kind, f"{total} {sentence}", tuple(rows.order_by("pk").values_list("pk", flat=True)[:NAMED])
        )
