"""How long a log of millions takes to ask, over HTTP, with one kept connection, as a caller has it.

`python -m bench.measures.log EVENTS PORT WEB_PID ASKS`. The events are written by the database itself, in the shape in
which the intake leaves them; what is asked about is chosen at random, the same in every run.
"""

import random
import sys
import time

import django

django.setup()

from django.db import connection, transaction  # noqa: E402 - Django comes first

from bench.audience import now  # noqa: E402
from bench.figures import Figure, cpu_seconds, percentile, say  # noqa: E402
from bench.measures.questions import WARM, Caller  # noqa: E402
from clarion.flows import callers, tenants  # noqa: E402
from clarion.models import EventHead, Tenant  # noqa: E402

GOAL = 10.0
# Events about each customer, and about each order.
OF_CUSTOMER, OF_ORDER = 1_000, 100
# Written in one statement: each holds the turn of SQLite for seconds, and nobody else waits here.
PIECE = 500_000

# One event a second, about everybody in turn.
EVENT = """
    INSERT INTO clarion_event (tenant_id, seq, event_id, kind, entity_name, entity_id, source, operation, customer_ref,
        happened_at, received_at, is_test, is_flawed, facts, body)
    SELECT {tenant}, i, {id}, 'ORDER', 'order', {entity}, 'APPLICATION', 'UPDATE', {customer}, {moment}, {moment},
        {false}, {false}, '{{}}',
        '{{"id": "' || {id} || '", "event_type": "ORDER", "customer_id": "' || {customer} || '", "note": "' ||
        '{note}' || '"}}'
    FROM {numbers}
"""
NOTE = (
    "of about the length of an update of an order, which names its shop, its status, its sum and its parts "
    * 2
)


def main(events: int, port: int, web: int, asks: int) -> None:
    tenant = tenants.create("log", now=now())
    began = time.perf_counter()
    for first in range(1, events + 1, PIECE):
        _write(tenant, first, min(first + PIECE - 1, events), events)
    EventHead.objects.update_or_create(tenant=tenant, defaults={"seq": events})
    filled = time.perf_counter() - began
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    connection.close()
    scopes = ["events:read", "customers"]
    _, key = callers.create_key(tenant, name="bench", scopes=scopes, is_test=False, now=now())
    size = f"{events:,} events"
    print(f"filled in {filled:.0f} s")
    say(_ask(Caller(port, key), web, events, asks, size))


def _ask(caller: Caller, web: int, events: int, asks: int, size: str) -> list[Figure]:
    chosen = random.Random(7)
    customers, orders = _kinds(events)
    questions = {
        "the last 100 events of a customer": lambda: (
            f"/get_events/customer-{chosen.randrange(customers)}?limit=100"
        ),
        "what happened to a customer, 50 lines": lambda: (
            f"/api/v1/customers/customer-{chosen.randrange(customers)}/timeline?limit=50"
        ),
        "the next 100 of the log": lambda: (
            f"/api/v1/events?limit=100&after_seq={chosen.randrange(max(events - 100, 1))}"
        ),
        "the last 100 of an order": lambda: (
            f"/api/v1/events?limit=100&entity_id=order-{chosen.randrange(orders)}"
        ),
        "one event by its id": lambda: f"/api/v1/events/event-{chosen.randrange(1, events + 1)}",
    }
    figures = []
    for what, question in questions.items():
        for _ in range(WARM):
            caller.ask("GET", question())
        used = cpu_seconds(web)
        times = [caller.ask("GET", question())[0] * 1_000 for _ in range(asks)]
        used = (cpu_seconds(web) - used) / asks * 1_000
        figures.append(Figure(f"{what}, p50", percentile(times, 0.5), "ms", size))
        figures.append(Figure("… p99", percentile(times, 0.99), "ms", size, GOAL, is_most=True))
        figures.append(Figure("… processor time of the web process", used, "ms/request", size))
    return figures


def _kinds(events: int) -> tuple[int, int]:
    """Return how many customers and orders so many events are about."""
    return max(events // OF_CUSTOMER, 1), max(events // OF_ORDER, 1)


def _write(tenant: Tenant, first: int, last: int, events: int) -> None:
    """Write the events with these numbers, of so many in all."""
    customers, orders = _kinds(events)
    if connection.vendor == "postgresql":
        numbers = f"generate_series({first}, {last}) AS n(i)"
        moment, false = "timestamptz '2026-01-01' + i * interval '1 second'", "false"
    else:
        counted = f"SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last}"  # noqa: S608 - numbers of ours
        numbers = f"(WITH RECURSIVE n(i) AS ({counted}) SELECT i FROM n)"  # noqa: S608
        moment, false = "datetime('2026-01-01', i || ' seconds')", "0"
    sql = EVENT.format(
        tenant=tenant.pk,
        id="'event-' || i",
        entity=f"'order-' || (i % {orders})",
        customer=f"'customer-' || (i % {customers})",
        moment=moment,
        false=false,
        note=NOTE,
        numbers=numbers,
    )
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
