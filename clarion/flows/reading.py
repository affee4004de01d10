"""Reading the log: what all its readers have in common. Where each is, how much it is given at once, and what becomes
of an event that it cannot bear.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import NamedTuple

import structlog
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models.functions import Length

from clarion.lib.crashpoints import crashpoint
from clarion.lib.logs import code_of, mistake
from clarion.models import Event, EventHead, ParkedEvent, ReaderPosition, Tenant
from clarion.models.events import Logged
from clarion.models.readers import MOST_TRIES
from clarion.models.transactions import again_on_deadlock, is_lock_conflict

log = structlog.get_logger()

# Slices of one reader in a round, each of another tenant as far as there are so many: whatever else is due waits for
# 0.4 s at most on SQLite.
ROUND = 16
# Events of a reader's first slice; from then on as many as it does in the time it may take.
FIRST_SLICE = 50
# More of them are no faster by the event, and fewer are lost when a worker dies over them.
MOST_EVENTS = 5_000
# Characters of documents in a slice, beside the first: an event may have a million, and all of a slice are in memory.
MOST_CHARACTERS = 1024 * 1024
# Numbers looked through at once for the kinds that a reader wants: it may want few of them.
SPAN = 20_000
# How long a slice may keep others from writing (SQLite), or its rows locked, s.
LONGEST = {"sqlite": 0.025}
LONGEST_ON_SERVER = 0.25

Apply = Callable[[Tenant, Sequence[Logged], datetime], None]


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody who does what follows from events. Not to be renamed: its position is kept under `name`.

    `apply` is given a slice of one tenant's log, in the order of its numbers, inside the transaction that moves the
    position; it promises

    - to do nothing but change rows of this database, so that it happens exactly once, together with the position;
    - to take its locks in the one order: lanes, then rows by id, counters, heads;
    - to raise when it cannot do with an event. Then nothing of the slice has happened, and the event is searched for;
    - to bear an event late, and again: parked ones are given to it once more when others behind them have been, and
      a reader that is rewound is given everything again. What holds is told by `seq`, not by what came last.

    `kinds` are the event types that it is given; None: all. Where `is_wanted` says of a tenant that nobody asks for
    anything, it is done with the log without having read it.
    """

    name: str
    apply: Apply
    kinds: frozenset[str] | None = None
    is_wanted: Callable[[Tenant], bool] = lambda tenant: True


class TooMuch(Exception):
    """More follows from these events than may be done at once: half as many are given next. That is no failure."""


class Slice(NamedTuple):
    """What a reader does next: these events, and then it is done with everything up to `end`. `head` ends the log."""

    events: list[Logged]
    end: int
    head: int


# Of this process: how many events each reader has in a slice, and the tenant whom it has served last.
_paces: dict[str, int] = {}
_served: dict[str, int] = {}


def read_on(reader: Reader, now: datetime) -> int:
    """Let a reader read on, a slice of each tenant's log in turn, at most ROUND of them; return how many.

    :raises OperationalError, InterfaceError: the database is away, so it is for all of them
    """
    find = partial(ReaderPosition.objects.behind, reader.name, now=now, most=ROUND)
    after = _served.get(reader.name, 0)
    # Behind the last one it begins anew.
    behind = find(after=after) or (find(after=0) if after else [])
    tenants = Tenant.objects.in_bulk([each.tenant_id for each in behind])
    queue = deque(tenants[each.tenant_id] for each in behind if each.tenant_id in tenants)
    slices = 0
    while queue and slices < ROUND:
        tenant = queue.popleft()
        # Whatever ends the round here, the next one begins with somebody else.
        _served[reader.name] = tenant.pk
        left = read_slice(reader, tenant, now)
        slices += left is not None
        if left:
            queue.append(tenant)
    _served[reader.name] = behind[-1].tenant_id if len(behind) == ROUND else 0
    return slices


def read_slice(reader: Reader, tenant: Tenant, now: datetime) -> int | None:
    """Let a reader read its next slice of this tenant's log; return how many numbers are left behind it.

    None where nothing was done: all is read, another worker was faster, or it rests before the next try.

    :raises OperationalError, InterfaceError: the database is away; that is no try
    """
    place = ReaderPosition.objects.of(tenant).filter(reader=reader.name).first()
    if place is None:
        place, _ = ReaderPosition.objects.of(tenant).get_or_create(tenant=tenant, reader=reader.name)
    # Asked here too: since the caller found something to read, another worker may have failed on it.
    if place.is_resting(now):
        return None
    # Read before anything is locked. Neither can change meanwhile: events never do, and the position is compared.
    following = _next_slice(reader, tenant, place)
    if following is None:
        return None
    try:
        return again_on_deadlock(lambda: _do(reader, tenant, place, following, now))
    except TooMuch:
        _paces[reader.name] = max(len(following.events) // 2, 1)
        return following.head - place.seq
    except (OperationalError, InterfaceError) as error:
        # Shorter, because a server that ends what takes too long says so in the same way.
        _paces[reader.name] = max(_pace(reader) // 2, 1)
        if isinstance(error, OperationalError) and is_lock_conflict(error):
            return None
        raise
    except Exception as error:
        if not following.events:
            raise
        # All of it is rolled back. What happened to it is written down on its own.
        caught = error
        return again_on_deadlock(lambda: _note_failure(reader, tenant, place, following, caught, now))


def lock_position(tenant: Tenant, reader: str) -> ReaderPosition:
    """Lock where a reader is; at 0 where it is nowhere yet. Nobody reads for it in this log meanwhile."""
    rows = ReaderPosition.objects.of(tenant).filter(reader=reader)
    found = rows.select_for_update().first()
    if found is None:
        ReaderPosition.objects.of(tenant).get_or_create(tenant=tenant, reader=reader)
        found = rows.select_for_update().get()
    return found


def _next_slice(reader: Reader, tenant: Tenant, place: ReaderPosition) -> Slice | None:
    # The head before the rows: whatever it says is there when they are read.
    head = EventHead.objects.of(tenant).values_list("seq", flat=True).first() or 0
    if head <= place.seq:
        return None
    # After the head: who comes in between asks for what comes behind it.
    if not reader.is_wanted(tenant):
        return Slice([], head, head)
    rows = Event.objects.of(tenant).filter(seq__gt=place.seq).order_by("seq")
    until = head
    if reader.kinds is not None:
        first = rows.values_list("seq", flat=True).first() or head
        until = min(head, first + SPAN - 1)
    if place.suspect_until is not None:
        until = min(until, place.suspect_until)
    rows = rows.filter(seq__lte=until)
    if reader.kinds is not None:
        rows = rows.filter(kind__in=sorted(reader.kinds))
    most = _pace(reader)
    sizes = list(rows.values_list("seq", Length("body"))[:most])
    numbers = _fitting(sizes)
    if place.suspect_until is not None:
        numbers = numbers[: (len(numbers) + 1) // 2]
    is_all = len(numbers) == len(sizes) < most
    end = until if is_all or not numbers else numbers[-1]
    kinds = None if reader.kinds is None else sorted(reader.kinds)
    between = Event.objects.of(tenant).between
    return Slice(between(tenant.pk, place.seq, end, kinds) if numbers else [], end, head)


def _fitting(sizes: Sequence[tuple[int, int]]) -> list[int]:
    """Return the numbers of the first event and of those behind it that are no more than a slice holds."""
    numbers: list[int] = []
    total = 0
    for seq, size in sizes:
        total += size
        if numbers and total > MOST_CHARACTERS:
            break
        numbers.append(seq)
    return numbers


def _do(reader: Reader, tenant: Tenant, place: ReaderPosition, following: Slice, now: datetime) -> int | None:
    with transaction.atomic():
        began = _clock()
        locked = _lock_unmoved(place)
        if locked is None:
            return None
        if following.events:
            reader.apply(tenant, following.events, now)
        locked.move(following.end, now)
        locked.save()
        _measure(reader, len(following.events), _clock() - began)
        crashpoint("reader.before_commit")
    crashpoint("reader.after_commit")
    return following.head - following.end


def _note_failure(
    reader: Reader, tenant: Tenant, place: ReaderPosition, failed: Slice, error: Exception, now: datetime
) -> int | None:
    with transaction.atomic():
        locked = _lock_unmoved(place)
        if locked is None:
            return None
        events = failed.events
        if len(events) > 1:
            locked.suspect(events[-1].seq)
        else:
            locked.rest(now)
            _say(reader, tenant, events[0].seq, error, locked.tries)
            if locked.tries >= MOST_TRIES:
                _park(reader, tenant, events[0].seq, error, now)
                locked.move(failed.end, now)
        locked.save()
    is_resting = locked.retry_at is not None
    return 0 if is_resting else failed.head - locked.seq


def _lock_unmoved(place: ReaderPosition) -> ReaderPosition | None:
    """Lock a position; None where another worker has it in hand, or it is no longer what was read of it."""
    rows = ReaderPosition.objects.of(place.tenant).filter(pk=place.pk)
    locked = rows.select_for_update(skip_locked=True).first()
    return locked if locked is not None and locked.is_where(place) else None


def _park(reader: Reader, tenant: Tenant, seq: int, error: Exception, now: datetime) -> None:
    row = ParkedEvent(tenant=tenant, reader=reader.name, seq=seq, tries=MOST_TRIES - 1, parked_at=now)
    row.fail(type(error).__name__, code_of(error), now)
    row.save()
    log.error("event_parked", reader=reader.name, tenant=tenant.name, seq=seq)


def _say(reader: Reader, tenant: Tenant, seq: int, error: Exception, tries: int) -> None:
    of = {"reader": reader.name, "tenant": tenant.name, "seq": seq, "tries": tries}
    log.error("event_failed", **of, **mistake(error))


def _clock() -> float:
    """Return the seconds by which a slice is measured.

    On SQLite those that this thread worked: where many want the processor, all slices take longer, and shorter ones would
    only be more of them. A server works while we wait.
    """
    return time.thread_time() if connection.vendor == "sqlite" else time.perf_counter()


def _pace(reader: Reader) -> int:
    return _paces.get(reader.name, FIRST_SLICE)


def _measure(reader: Reader, count: int, seconds: float) -> None:
    """Let the next slice of this reader have half as many events if this took too long, more if it was quick."""
    longest = LONGEST.get(connection.vendor, LONGEST_ON_SERVER)
    pace = _pace(reader)
    if seconds > longest:
        _paces[reader.name] = max(count // 2, 1)
    elif count == pace and seconds < longest / 3:
        _paces[reader.name] = min(pace * 2, MOST_EVENTS)
