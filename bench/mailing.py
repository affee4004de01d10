"""One mailing, measured on one database: materialised, then sent through the probe gateway; and its rival.

Runs in a process of its own (`python -m bench.mailing MESSAGES`), because Django serves one database a process.
Prints one JSON object.
"""

import json
import sys
import time
from datetime import UTC, datetime, timedelta

import django

django.setup()

from django.db import connection  # noqa: E402 - Django comes first

from bench.installation import process, wait_until  # noqa: E402
from bench.rivals import one_at_a_time  # noqa: E402
from clarion.flows import accounts, mailings, tenants  # noqa: E402
from clarion.models import Customer, Mailing, Message, Tenant  # noqa: E402
from clarion.settings import child_environment  # noqa: E402

# The rival is slow; a part of the messages says as much about its rate.
RIVAL_SHARE = 10


def now() -> datetime:
    return datetime.now(UTC)


def main(messages: int, base_url: str) -> None:
    tenant = tenants.create("bench", now=now())
    settings = {"base_url": base_url, "token": "bench"}
    accounts.add(tenant, name="sender", gateway="probe", settings=settings, now=now())
    _make_customers(tenant, messages)
    mailing = _mailing(tenant)
    materialise = _materialise(mailing)
    seconds = _dispatch(mailing, messages)
    rival = _rival(tenant, messages // RIVAL_SHARE, base_url)
    figures = {
        "database": _version(),
        "messages": messages,
        "materialise_seconds": round(materialise, 2),
        "dispatch_per_second": round(messages / seconds),
        "one_at_a_time_per_second": round(messages // RIVAL_SHARE / rival),
    }
    print(json.dumps(figures))


def _make_customers(tenant: Tenant, number: int) -> None:
    rows = []
    for n in range(number):
        row = Customer(tenant=tenant, phone=f"7{n:010}", timezone="UTC", created_at=now())
        row.relabel(operator_code="000", tag=None)
        rows.append(row)
    Customer.objects.bulk_create(rows, batch_size=5_000)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")


def _mailing(tenant: Tenant) -> Mailing:
    draft = mailings.Draft(text="hello", starts_at=now(), ends_at=now() + timedelta(hours=2))
    return mailings.create(tenant, draft, is_test=False, now=now())


def _materialise(mailing: Mailing) -> float:
    began = time.perf_counter()
    mailings.start_due(now())
    while mailing.materialised_at is None:
        mailings.materialise_due(now())
        mailing.refresh_from_db()
    return time.perf_counter() - began


def _dispatch(mailing: Mailing, messages: int) -> float:
    def sent() -> int:
        return dict(mailing.counts.by_state()).get("accepted", 0)

    with process(child_environment(), "worker"):
        # From the first answer: what a process needs to start is no part of its rate.
        wait_until(lambda: sent() > 0)
        before, began = sent(), time.perf_counter()
        wait_until(lambda: sent() == messages)
        return (time.perf_counter() - began) * messages / max(messages - before, 1)


def _rival(tenant: Tenant, messages: int, base_url: str) -> float:
    mailing = _mailing(tenant)
    _materialise(mailing)
    rows = Message.objects.filter(mailing=mailing).order_by("id").values_list("id", "address")[:messages]

    def write(number: int) -> None:
        Message.objects.filter(pk=number).update(state="accepted", finished_at=now())

    # `connection` is another one in each thread, so it is looked up there.
    return one_at_a_time.run(iter(list(rows)), base_url, write, lambda: connection.close())


def _version() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT sqlite_version()" if connection.vendor == "sqlite" else "SELECT version()")
        return f"{connection.display_name} {str(cursor.fetchone()[0]).removeprefix('PostgreSQL ').split()[0]}"


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
