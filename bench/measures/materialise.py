"""How long a mailing takes until all its rows are there, and how much memory the process holds that makes them.

`python -m bench.measures.materialise DATABASE CUSTOMERS`. Leaves the mailing where it is, for `questions`. The floor
is the database's own: the same finished rows copied in one statement into a table with the same indexes.
"""

import sys
import time
from datetime import timedelta

import django

django.setup()

from django.db import connection, transaction  # noqa: E402 - Django comes first

from bench import audience  # noqa: E402
from bench.audience import now  # noqa: E402
from bench.figures import Figure, peak_mb, say  # noqa: E402
from clarion.flows import mailings, tenants  # noqa: E402
from clarion.models import Mailing, Message  # noqa: E402

GOAL_SECONDS = {"sqlite": 4.0, "postgres": 8.0}
GOAL_MB = 250.0


def main(database: str, customers: int) -> None:
    tenant = tenants.create("bench", now=now())
    audience.make(tenant, customers)
    draft = mailings.Draft(text="hello", starts_at=now(), ends_at=now() + timedelta(hours=2))
    # Nothing is sent: no worker runs.
    mailing = mailings.create(tenant, draft, is_test=False, now=now())
    seconds = materialise(mailing)
    peak = peak_mb()
    floor = copy()
    size = f"{customers:,} messages"
    say(
        [
            Figure("materialise a mailing", seconds, "s", size, GOAL_SECONDS[database], is_most=True),
            Figure("… memory of the process", peak, "MB", size, GOAL_MB, is_most=True),
            Figure("… the same rows, copied by the database", floor, "s", size),
            Figure("materialising against copying", seconds / floor, "times", size),
        ]
    )


def materialise(mailing: Mailing) -> float:
    """Do what the worker does until every row is there; return how long it took, s."""
    began = time.perf_counter()
    mailings.start_due(now())
    while mailing.materialised_at is None:
        mailings.materialise_due(now())
        mailing.refresh_from_db()
    return time.perf_counter() - began


def copy() -> float:
    """Copy the messages by one statement, indexes and all, durably; return how long it took, s."""
    table = Message._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f'CREATE TABLE floor (LIKE "{table}" INCLUDING ALL)')
        else:
            cursor.execute(
                "SELECT sql FROM sqlite_master WHERE tbl_name = %s AND sql IS NOT NULL ORDER BY type DESC",
                [table],
            )
            for (sql,) in cursor.fetchall():
                # The table's own name, and those of its indexes, which begin with it or with the model's.
                cursor.execute(sql.replace('"clarion_message', '"floor').replace('"message_', '"floor_'))
        began = time.perf_counter()
        with transaction.atomic():
            cursor.execute(f'INSERT INTO floor SELECT * FROM "{table}" ORDER BY id')  # noqa: S608 - our own name
        took = time.perf_counter() - began
        cursor.execute("DROP TABLE floor")
    return took


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
