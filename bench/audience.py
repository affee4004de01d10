"""Customers for measuring, made by the database itself: a million of them in seconds."""

import json
from datetime import UTC, datetime

from django.db import connection

from clarion.models import Customer, Tenant
from clarion.models.attributes import facts_of

# What differs from one to the next, as each database says it of `s.n`.
PHONES = {"sqlite": "printf('7%%010d', s.n)", "postgresql": "'7' || lpad(s.n::text, 10, '0')"}
TEXTS = {"sqlite": "'{}'", "postgresql": "'{}'::jsonb"}
# Every third lives in Berlin: a filter has to look at all of them, and finds many.
CITIES = ("Berlin", "Paris", "Rome")
# As many codes as a country has operators, near enough.
CODES = 10


def now() -> datetime:
    return datetime.now(UTC)


def make(tenant: Tenant, number: int) -> None:
    """Make so many customers: distinct phones, ten operator codes, every third in each of three cities."""
    lives = [{"city": city} for city in CITIES]
    pattern = Customer(tenant=tenant, phone="70000000000", created_at=now())
    pattern.locate("UTC")
    pattern.relabel(operator_code="000", tag=None)
    pattern.save()
    own = {
        "phone": PHONES[connection.vendor],
        "operator_code": _one_of([f"{code:03}" for code in range(CODES)], "'{}'"),
        "operator_key": _one_of([f"{code:03}" for code in range(CODES)], "'{}'"),
        "attributes": _one_of([json.dumps(each) for each in lives], TEXTS[connection.vendor]),
        "facts": _one_of([json.dumps(facts_of(each)) for each in lives], TEXTS[connection.vendor]),
    }
    names = [field.column for field in Customer._meta.concrete_fields if not field.primary_key]
    copied = [own.get(name, f'c."{name}"') for name in names]
    quoted = ", ".join(f'"{name}"' for name in names)
    sql = f"""
        INSERT INTO clarion_customer ({quoted})
        WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < %s)
        SELECT {", ".join(copied)} FROM s CROSS JOIN clarion_customer c WHERE c.id = %s"""  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(sql, [number - 1, pattern.pk])
        if connection.vendor == "postgresql":
            # What autovacuum would have done long before in an installation of this size.
            cursor.execute("VACUUM ANALYZE")


def _one_of(values: list[str], form: str) -> str:
    whens = " ".join(f"WHEN {n} THEN {form.format(value)}" for n, value in enumerate(values))
    return f"CASE s.n %% {len(values)} {whens} END"
