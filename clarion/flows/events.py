"""Events: how they come into the log of their tenant, and how the log is read."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
import structlog
from django.db import OperationalError, transaction

from clarion.flows.event_forms import Draft, entity_of, is_same, new_id
from clarion.lib.comparable import fold
from clarion.models import Customer, Event, EventHead, Tenant
from clarion.models.bulk import Values
from clarion.models.events import Events
from clarion.models.transactions import again_on_deadlock

log = structlog.get_logger()

# How often what is neither new nor there is appended. Whoever appends holds the head of the log from the first time on,
# so that nobody else appends, and the second time decides; the third is for what nobody has thought of.
MOST_APPENDS = 3

STORED, KNOWN, CONFLICT = "stored", "known", "conflict"


class Arrival(msgspec.Struct, frozen=True):
    """One event that came in, for the tenant it came for. `is_test`: with a test key."""

    tenant: Tenant
    draft: Draft
    is_test: bool = False


class Outcome(msgspec.Struct, frozen=True):
    """What became of an arrival: stored; known, as it was told before; or in conflict with what has its id.

    `seq` and `body`, JSON, are of the event that has the id.
    """

    kind: str
    seq: int
    body: str


class _Stored(NamedTuple):
    """The event that has an id, as far as another under the same id is compared with it."""

    seq: int
    body: str
    is_test: bool


class Pruned(LookupError):
    """The log no longer goes back so far; `first_seq` is where it begins."""

    def __init__(self, first_seq: int) -> None:
        super().__init__(f"The log begins at {first_seq}.")
        self.first_seq = first_seq


def append(batch: Sequence[Arrival], now: datetime) -> list[Outcome]:
    """Store a batch in one transaction, each event once; return what became of each, in its order.

    The same id twice is one event, whether both are in the batch or one is in the log; with a test key and with a live
    one it is a conflict. Every number of a log is
    given in the transaction that stores its event, so a log has no gaps.
    """
    return again_on_deadlock(lambda: _append(batch, now))


def read_log(tenant: Tenant, after_seq: int) -> Events:
    """Return the events behind a number, in their order.

    :raises Pruned: some of them are gone
    """
    # The head before the rows: the other way round, a first event that comes in between would seem to be gone.
    last = EventHead.objects.of(tenant).values_list("seq", flat=True).first()
    rows = Event.objects.of(tenant).order_by("seq")
    first = rows.values_list("seq", flat=True).first() or (last or 0) + 1
    if after_seq + 1 < first and first > 1:
        raise Pruned(first)
    return rows.filter(seq__gt=after_seq)


def of_customer(tenant: Tenant, ref: str) -> Events:
    """Return the events about whoever goes by this reference, the latest first."""
    return Event.objects.of(tenant).of_customer(refs_of(tenant, ref, find_customer(tenant, ref)))


def find_customer(tenant: Tenant, ref: str) -> Customer | None:
    """Return whom a reference means: the shop's own word for somebody first, then Clarion's id."""
    return Customer.objects.of(tenant).meant_by([ref]).get(ref)


def refs_of(tenant: Tenant, ref: str, customer: Customer | None) -> set[str]:
    """Return every word by which events may mean the same customer."""
    if customer is None:
        return {ref}
    refs = {ref, customer.external_id or ref}
    number = str(customer.pk)
    # Somebody else's own reference may read like this one's id.
    is_taken = Customer.objects.of(tenant).filter(external_id=number).exclude(pk=customer.pk).exists()
    return refs if is_taken else refs | {number}


def _append(batch: Sequence[Arrival], now: datetime) -> list[Outcome]:
    found: dict[int, Outcome] = {}
    tenants = {arrival.tenant.pk: arrival.tenant for arrival in batch}
    with transaction.atomic():
        if len(tenants) == 1:
            return _append_of(batch[0].tenant, batch, now)
        # Heads are locked in the order of their ids, so two batches never wait for each other.
        for _, tenant in sorted(tenants.items()):
            mine = [place for place, arrival in enumerate(batch) if arrival.tenant.pk == tenant.pk]
            outcomes = _append_of(tenant, [batch[place] for place in mine], now)
            found |= dict(zip(mine, outcomes, strict=True))
    return [found[place] for place in range(len(batch))]


def _append_of(
    tenant: Tenant, batch: Sequence[Arrival], now: datetime, tries: int = MOST_APPENDS
) -> list[Outcome]:
    arrivals = list(batch)
    first: dict[str, int] = {}
    for place, arrival in enumerate(arrivals):
        if first.setdefault(arrival.draft.event_id, place) != place and arrival.draft.is_made:
            arrivals[place] = _renamed(arrival)
            first[arrivals[place].draft.event_id] = place
    numbers = Event.objects.append(tenant, [_row(arrivals[place], now) for place in first.values()])
    if len(numbers) == len(arrivals):
        return [
            Outcome(STORED, seq, arrival.draft.body)
            for seq, arrival in zip(numbers.values(), arrivals, strict=True)
        ]
    stored = _stored(tenant, [each for each in first if each not in numbers])
    # Known to the append, and dropped by retention before it was read: on a server that takes no lock of ours.
    gone = {each for each in first if each not in numbers and each not in stored}
    if gone and tries <= 1:
        raise OperationalError("events are dropped from the log as fast as they are found in it")
    again = _unsettled(arrivals, first, stored, gone)
    outcomes = _append_of(tenant, list(again.values()), now, tries - bool(gone)) if again else []
    others = dict(zip(again, outcomes, strict=True))
    new = {first[event_id] for event_id in numbers}
    for each, seq in numbers.items():
        arrival = arrivals[first[each]]
        stored[each] = _Stored(seq, arrival.draft.body, arrival.is_test)
    return [
        others.get(place) or _outcome(arrival, stored[arrival.draft.event_id], is_new=place in new)
        for place, arrival in enumerate(arrivals)
    ]


def _unsettled(
    arrivals: Sequence[Arrival],
    first: Mapping[str, int],
    stored: Mapping[str, _Stored],
    gone: Collection[str],
) -> dict[int, Arrival]:
    """Return what has to be appended again, by its place: it was not stored, and yet it is not known.

    That is what has an id made here which is somebody else's, and what has an id that is `gone`.
    """
    again = {
        place: _renamed(arrivals[place])
        for each, place in first.items()
        if each in stored and arrivals[place].draft.is_made
    }
    if gone:
        again |= {place: each for place, each in enumerate(arrivals) if each.draft.event_id in gone}
    return again


def _renamed(arrival: Arrival) -> Arrival:
    return msgspec.structs.replace(arrival, draft=new_id(arrival.draft))


def _outcome(arrival: Arrival, stored: _Stored, *, is_new: bool) -> Outcome:
    """Return what became of an arrival. `stored` is the event that has its id; `is_new`: it is that one."""
    if is_new:
        return Outcome(STORED, stored.seq, stored.body)
    # What was rehearsed with a test key has not happened: taken for the same, the real one would never count.
    is_known = stored.is_test == arrival.is_test and is_same(json.loads(stored.body), arrival.draft.document)
    return Outcome(KNOWN if is_known else CONFLICT, stored.seq, stored.body)


def _stored(tenant: Tenant, ids: Sequence[str]) -> dict[str, _Stored]:
    if not ids:
        return {}
    rows = Event.objects.of(tenant).filter(event_id__in=ids)
    return {row[0]: _Stored(*row[1:]) for row in rows.values_list("event_id", *_Stored._fields)}


def _row(arrival: Arrival, now: datetime) -> Values:
    """Return the values of `models.events.COLUMNS`."""
    draft = arrival.draft
    entity, payload = draft.entity, draft.payload
    return (
        draft.event_id,
        draft.document["event_type"],
        # As it was told, since it is asked for by what was told; what the event is about may be something else.
        fold(entity.get("entity_name") or ""),
        entity_of(entity).id or "",
        entity.get("event_source") or "",
        payload.get("operation") or "",
        draft.customer_ref,
        draft.happened_at or now,
        now,
        arrival.is_test,
        bool(draft.flaws),
        msgspec.json.encode(draft.facts).decode(),
        draft.body,
    )
