"""Prove that every message and delivery is accounted for; name the row that breaks it.

True beside working workers: each check is one statement, so it sees one moment.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count, Exists, F, Model, OuterRef, Q, QuerySet, Window

from clarion.models import (
    Delivery,
    DeliveryCount,
    Engagement,
    EngagementCount,
    Mailing,
    MailingCount,
    Message,
    State,
    Worker,
)
from clarion.models.engagements import BY_MACHINE, REVENUE, Kind
from clarion.models.outgoing import OPEN_STATES, Outgoing, Reason
from clarion.outbox.claims import KINDS

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
    return [*_counters(), *_engagements(), *_overdue(now), *_orphans(), *_lines(), *_materialised()]


def _counters() -> Iterator[Finding]:
    """The counters equal a count of the rows, per owner, state and reason; of a pruned mailing, all of them together."""
    for what, model, counts in (
        ("mailing", Message, MailingCount),
        ("subscription", Delivery, DeliveryCount),
    ):
        for owner, state, reason, there, kept in _differences(model, counts):
            sentence = f"{kept} counted as {state} {reason or '(no reason)'}, {there} are there"
            yield Finding("counter", f"{what} {owner}: {sentence}", (owner,))
    for mailing, there, dropped, kept in _pruned_differences():
        yield Finding(
            "pruned",
            f"mailing {mailing}: {kept} counted, {dropped} were dropped when their time was over, {there} are there",
            (mailing,),
        )


def _engagements() -> Iterator[Finding]:
    """So do the counters of what was opened, clicked and paid."""
    for mailing, what, currency, there, kept in _engagement_differences():
        yield Finding(
            "engagement",
            f"mailing {mailing}: {kept} counted as {what} {currency}".rstrip() + f", {there} are there",
            (mailing,),
        )


def _differences(model: type[Outgoing], counts: type[Model]) -> list[tuple[Any, ...]]:
    """Return (owner, state, reason, rows, counter) wherever the last two differ."""
    names = (model.OWNER, "state", "reason")
    key = ", ".join(map(connection.ops.quote_name, names))
    rows = f"SELECT {key}, COUNT(*) AS there FROM {_table(model)} GROUP BY {key}"  # noqa: S608
    return _compared(counts, names, rows)


def _engagement_differences() -> list[tuple[Any, ...]]:
    """Return (mailing, what, currency, rows, counter) wherever the last two differ."""
    table = _table(Engagement)
    machines = " ".join(f"WHEN kind = '{kind}' THEN '{what}'" for kind, what in BY_MACHINE.items())
    what = f"CASE WHEN NOT is_machine THEN kind {machines} ELSE kind END"
    bought = f"kind = '{Kind.PURCHASED}'"
    rows = (
        f"SELECT mailing_id, {what} AS what, '' AS currency, COUNT(DISTINCT message_id) AS there FROM {table} "  # noqa: S608
        f"WHERE NOT {bought} GROUP BY mailing_id, {what} "
        f"UNION ALL SELECT mailing_id, kind, currency, COUNT(*) FROM {table} "
        f"WHERE {bought} GROUP BY mailing_id, kind, currency "
        f"UNION ALL SELECT mailing_id, '{REVENUE}', currency, COALESCE(SUM(amount), 0) FROM {table} "
        f"WHERE {bought} GROUP BY mailing_id, currency"
    )
    return _compared(EngagementCount, ("mailing_id", "what", "currency"), rows)


def _compared(counters: type[Model], key: tuple[str, str, str], counted: str) -> list[tuple[Any, ...]]:
    """Return the keys of counters with what is counted (a SELECT of key and `there`) and kept, where these differ.

    One statement, because each has a snapshot of its own: in two, whatever a worker moves in between is a false
    alarm.
    """
    name = connection.ops.quote_name
    keys, x = ", ".join(map(name, key)), name("x")
    there, kept, count = name("there"), name("kept"), name("count")
    # Of a pruned mailing they are more than there is; what was dropped of deliveries is counted no more.
    pruned = f"SELECT id FROM {_table(Mailing)} WHERE pruned > 0"  # noqa: S608
    without = f"WHERE mailing_id NOT IN ({pruned}) " if key[0] == "mailing_id" else ""
    sql = (
        f"SELECT {keys}, SUM({there}), SUM({kept}) FROM ("  # noqa: S608 - names of ours, no values
        f"SELECT {keys}, {there}, 0 AS {kept} FROM ({counted}) {name('c')} "
        f"UNION ALL SELECT {keys}, 0, {count} FROM {_table(counters)}"
        f") {x} {without}"
        f"GROUP BY {keys} HAVING SUM({there}) <> SUM({kept}) ORDER BY {keys}"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return [(*row[:3], int(row[3]), int(row[4])) for row in cursor.fetchall()]


def _pruned_differences() -> list[tuple[int, ...]]:
    """Return (mailing, rows, rows dropped, counted) wherever the first two do not add up to the third."""
    count, message, counter = connection.ops.quote_name("count"), _table(Message), _table(MailingCount)
    sql = (
        "SELECT id, there, pruned, kept FROM ("  # noqa: S608 - names of ours, no values
        f"SELECT m.id, m.pruned, (SELECT COUNT(*) FROM {message} r WHERE r.mailing_id = m.id) AS there, "
        f"(SELECT COALESCE(SUM(c.{count}), 0) FROM {counter} c WHERE c.mailing_id = m.id) AS kept "
        f"FROM {_table(Mailing)} m WHERE m.pruned > 0"
        ") x WHERE there + pruned <> kept ORDER BY id"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return [tuple(map(int, row)) for row in cursor.fetchall()]


def _table(model: type[Model]) -> str:
    return connection.ops.quote_name(model._meta.db_table)


def _overdue(now: datetime) -> Iterator[Finding]:
    """Whatever is open has something that moves it: nothing is long past its deadline."""
    for model in KINDS:
        stuck = model._default_manager.filter(state__in=OPEN_STATES, deadline_at__lt=now - STUCK)
        yield from _named("overdue", "open although the deadline is more than an hour past", stuck)
    unset = Message.objects.filter(Q(state=State.UNKNOWN) & ~Q(due_at=F("deadline_at")))
    yield from _named("doubt", "in doubt and not looked at again at the deadline", unset)


def _orphans() -> Iterator[Finding]:
    """Whatever is being sent is held by a worker that lives or will be rescued from."""
    workers = Worker.objects.filter(ended_at=None).values("pk")
    for model in KINDS:
        orphans = model._default_manager.filter(state=State.SENDING).exclude(worker_id__in=workers)
        yield from _named("orphan", "being sent by no worker", orphans)


def _lines() -> Iterator[Finding]:
    """In every line somebody is under way, or may go: nobody waits behind nobody."""
    busy = Delivery.objects.filter(order_key=OuterRef("order_key"), state__in=OPEN_STATES)
    moving = busy.exclude(state=State.WAITING, reason=Reason.IN_LINE, due_at=F("deadline_at"))
    waiting = Delivery.objects.filter(state=State.WAITING, reason=Reason.IN_LINE)
    yield from _named("line", "standing in line behind nobody", waiting.exclude(Exists(moving)))


def _materialised() -> Iterator[Finding]:
    """What has finished has nothing open."""
    open_rows = Message.objects.filter(state__in=OPEN_STATES)
    done = Mailing.objects.exclude(finished_at=None).filter(pk__in=open_rows.values("mailing_id"))
    rows = tuple(done.order_by("pk").values_list("pk", flat=True)[:NAMED])
    if rows:
        yield Finding("finished", "mailings that are over and still have open messages", rows)


def _named(kind: str, sentence: str, rows: QuerySet[Any]) -> Iterator[Finding]:
    # The number beside each row, not asked for on its own: it would be that of another moment.
    counted = rows.annotate(total=Window(Count("pk"))).order_by("pk").values_list("pk", "total")
    named = list(counted[:NAMED])
    if named:
        yield Finding(kind, f"{named[0][1]} {sentence}", tuple(pk for pk, _ in named))
