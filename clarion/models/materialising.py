"""From customers to messages, by the database alone: one slice of a mailing is one INSERT … SELECT."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.db import IntegrityError, connection
from django.db.models import Count, Sum

from clarion.models.customers import Customer, Customers
from clarion.models.mailings import Mailing, MailingCount
from clarion.models.messages import Message
from clarion.models.outgoing import FIRST_TRY, Reason, State

# On SQLite a slice keeps the other process from writing: 5,000 rows stay below the 25 ms it may take.
# A server lets others write meanwhile; there the slice only bounds what a crash repeats.
SLICE = {"sqlite": 5_000}
SERVER_SLICE = 50_000
# So many times as many of the tenant's customers are looked through for one slice, however few of them match: a
# filter that one in a thousand meets must not read them all in one transaction.
THINNEST = 4


class Fate(NamedTuple):
    """What becomes of a message at its creation, and the times it gets."""

    state: str
    reason: str
    due_at: datetime
    deadline_at: datetime


# Given the zones of some customers, what becomes of the messages to each.
Fates = Callable[[Iterable[str]], Mapping[str, Fate]]


def materialise_slice(mailing: Mailing, *, fates: Fates, now: datetime) -> bool:
    """Turn the next customers of a locked, running mailing into messages; True when that was the last slice.

    One message per address: of two customers with the same one the second becomes SKIPPED. What the mailing's
    capacity does not hold becomes TIMEOUT. Rows, counters and the mailing's cursor are written in the caller's
    transaction, so a slice happens whole or not at all.
    """
    size = SLICE.get(connection.vendor, SERVER_SLICE)
    last = mailing.last_customer_id or 0
    coming = {"id__gt": mailing.cursor, "id__lte": last}
    furthest = _nth(Customer.objects.of(mailing.tenant).filter(**coming), size * THINNEST) or last
    audience = mailing.audience(Customer.objects.all()).filter(id__gt=mailing.cursor, id__lte=furthest)
    upper = _nth(audience, size) or furthest
    is_last = upper == last
    made = _insert(mailing, audience.filter(id__lte=upper), fates, now, most=size)
    there = Message.objects.filter(mailing=mailing, customer_id__gt=mailing.cursor, customer_id__lte=upper)
    counted = list(there.values_list("state", "reason").annotate(n=Count("id")).order_by())
    if made != sum(n for _, _, n in counted):
        raise IntegrityError(f"a slice of mailing {mailing.pk} was made before")
    MailingCount.objects.shift(
        {(mailing.pk, state, reason, mailing.tenant_id): n for state, reason, n in counted}
    )
    mailing.cursor = upper
    return is_last


def _nth(customers: Customers, n: int) -> int | None:
    """Return the id of the nth of these customers by id; None if there are fewer."""
    return customers.order_by("id").values_list("id", flat=True)[n - 1 : n].first()


def _insert(mailing: Mailing, audience: Customers, fates: Fates, now: datetime, *, most: int) -> int:
    """Make the messages of one slice of at most so many customers; return how many.

    Who is first with an address is asked of the unique index over addresses, which looks anyway: half the time of a
    window and a look into the mailing for each. With a capacity they have to be known before they are counted, and
    MySQL's index cannot be asked.
    """
    zones_of = _zones_of(mailing, audience, fates)
    twice = Fate(State.SKIPPED, Reason.SAME_ADDRESS, now, mailing.ends_at)
    if mailing.capacity is not None or connection.vendor == "mysql":
        beyond = Fate(State.EXPIRED, Reason.NO_TIME_AT_RATE, now, mailing.ends_at)
        chosen = [twice, *zones_of, beyond]
        return _write(mailing, chosen, *_numbered(mailing, audience, zones_of), now=now)
    people, params = _people(audience)
    number_of, zones = _number_of(zones_of)
    first = f"SELECT a.id, a.phone, CASE {number_of} END AS fate FROM ({people}) a"
    table, name = Message._meta.db_table, connection.ops.quote_name
    taken = f"ON CONFLICT ({name('mailing_id')}, {name('address')}) DO NOTHING"
    made = _write(mailing, [twice, *zones_of], first, [*zones, *params], now=now, otherwise=taken)
    if made == most:
        return made
    others = f"""
        SELECT a.id, a.phone, 0 AS fate FROM ({people}) a WHERE NOT EXISTS
        (SELECT 1 FROM {name(table)} m WHERE m.mailing_id = %s AND m.customer_id = a.id)"""
    return made + _write(mailing, [twice], others, [*params, mailing.pk], now=now)


def _write(
    mailing: Mailing,
    chosen: list[Fate],
    numbers: str,
    params: list[Any],
    *,
    now: datetime,
    otherwise: str = "",
) -> int:
    """Insert a message for each customer that the SQL `numbers` gives: id, phone and the number of the chosen fate."""
    constants = {
        "tenant_id": mailing.tenant_id,
        "mailing_id": mailing.pk,
        "lane_id": mailing.lane_id or mailing.account.lane_id,
        "priority": FIRST_TRY,
        "tries": 0,
        "counted_tries": 0,
        "worker_deaths": 0,
        "provider_id": "",
        "code": "",
        "text": "",
        "created_at": now,
    }
    varied = (*Fate._fields, "finished_at")
    by_fate = {
        name: [getattr(fate, name, None if fate.state == State.WAITING else now) for fate in chosen]
        for name in varied
    }
    quote = connection.ops.quote_name
    cases = " ".join(f"WHEN {number} THEN %s" for number in range(len(chosen)))
    names = ", ".join(map(quote, (*constants, "customer_id", "address", *varied)))
    sql = f"""
        INSERT INTO {quote(Message._meta.db_table)} ({names})
        SELECT {", ".join(["%s"] * len(constants))}, f.id, CASE WHEN f.fate > 0 THEN f.phone END,
               {", ".join([f"CASE f.fate {cases} END"] * len(varied))}
        FROM ({numbers}) f ORDER BY f.id {otherwise}"""
    prepared = [_prepared(name, value) for name, value in constants.items()]
    prepared += [_prepared(name, value) for name, values in by_fate.items() for value in values]
    with connection.cursor() as cursor:
        cursor.execute(sql, [*prepared, *params])
        return int(cursor.rowcount)


def _zones_of(mailing: Mailing, audience: Customers, fates: Fates) -> dict[Fate, list[str]]:
    """Return the fates that occur, and the zones whose customers have each."""
    zones_of: dict[Fate, list[str]] = {}
    for zone, fate in fates((audience.zones() if mailing.hours else []) or [""]).items():
        zones_of.setdefault(fate, []).append(zone)
    return zones_of


def _number_of(zones_of: Mapping[Fate, list[str]]) -> tuple[str, list[str]]:
    """Return the branches of a CASE that number the fates from 1 on by the zone of `a`, and their parameters."""
    *all_but_last, _ = zones_of.values()
    branches = [
        f"WHEN a.zone IN ({', '.join(['%s'] * len(zones))}) THEN {number}"
        for number, zones in enumerate(all_but_last, 1)
    ]
    # Without branches CASE is no SQL.
    sql = f"{' '.join(branches) or 'WHEN 1 = 0 THEN 0'} ELSE {len(zones_of)}"
    return sql, [zone for zones in all_but_last for zone in zones]


def _numbered(
    mailing: Mailing, audience: Customers, zones_of: Mapping[Fate, list[str]]
) -> tuple[str, list[Any]]:
    """Return the SQL that gives id, phone and the number of its fate for each customer, and its parameters.

    0 is a second message to the same address, the last number those beyond the capacity.
    """
    people, people_params = _people(audience)
    number_of, zones = _number_of(zones_of)
    table = connection.ops.quote_name(Message._meta.db_table)
    sql = f"""
        SELECT a.id, a.phone, CASE WHEN ROW_NUMBER() OVER (PARTITION BY a.phone ORDER BY a.id) > 1
               OR EXISTS (SELECT 1 FROM {table} m WHERE m.mailing_id = %s AND m.address = a.phone)
               THEN 0 {number_of} END AS fate
        FROM ({people}) a"""
    params = [mailing.pk, *zones, *people_params]
    if mailing.capacity is None:
        return sql, params
    numbers = enumerate(zones_of, 1)
    waiting = [str(number) for number, each in numbers if each.state == State.WAITING] or ["-1"]
    goes = f"n.fate IN ({', '.join(waiting)})"
    place = f"SUM(CASE WHEN {goes} THEN 1 ELSE 0 END) OVER (ORDER BY n.id)"
    late = f"CASE WHEN {goes} AND {place} > %s THEN {len(zones_of) + 1} ELSE n.fate END"
    return f"SELECT n.id, n.phone, {late} AS fate FROM ({sql}) n", [_left(mailing), *params]


def _people(audience: Customers) -> tuple[str, tuple[Any, ...]]:
    return audience.order_by().values("id", "phone", "zone").query.sql_with_params()


def _left(mailing: Mailing) -> int:
    """Return how many more messages than were made so far can leave before the mailing ends."""
    going = mailing.counts.exclude(state=State.SKIPPED)
    going = going.exclude(state=State.EXPIRED, reason__in=(Reason.NO_LOCAL_HOURS, Reason.NO_TIME_AT_RATE))
    return (mailing.capacity or 0) - int(going.aggregate(made=Sum("count"))["made"] or 0)


def _prepared(name: str, value: Any) -> Any:
    field: Any = Message._meta.get_field(name)
    return field.get_db_prep_save(value, connection)
