"""Files of clients for tests: sent, read to their end, and what became of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest

from clarion.flows import imports, uploads
from clarion.models import Customer, Import, Refusal, Tenant

HEADER = "phone;tag;city\n"
COLUMNS = ("phone", "operator_code", "tag", "timezone", "external_id", "attributes")


def table(*phones: str, tag: str = "vip") -> str:
    """Return a file of these clients."""
    return HEADER + "".join(f"{phone};{tag};Köln\n" for phone in phones)


def numbers(count: int, *, first: int = 0) -> list[str]:
    """Return phones that nobody owns."""
    return [f"7000000{first + number:04}" for number in range(count)]


def in_small_batches(monkeypatch: pytest.MonkeyPatch, *, rows: int = 3, batches: int = 1) -> None:
    """Let a batch have so many rows on every database, and a round so many batches."""
    monkeypatch.setattr(imports, "BATCH", {})
    monkeypatch.setattr(imports, "SERVER_BATCH", rows)
    monkeypatch.setattr(imports, "ROUND", batches)


def send(tenant: Tenant, data: bytes | str, *, now: datetime, **hints: str) -> Import:
    """Keep a file; nothing of it is read yet."""
    raw = data.encode() if isinstance(data, str) else data
    return uploads.receive(tenant, [raw], uploads.Hints(**hints), now=now)


def read(tenant: Tenant, data: bytes | str, *, now: datetime, **hints: str) -> Import:
    """Keep a file and read it to its end."""
    row = send(tenant, data, now=now, **hints)
    while imports.run_due(now):
        pass
    row.refresh_from_db()
    return row


def counts(row: Import) -> tuple[int, int, int, int]:
    return row.created, row.updated, row.unchanged, row.refused


def refused(row: Import) -> list[tuple[int, str]]:
    return list(Refusal.objects.filter(origin=row).order_by("line").values_list("line", "reason"))


def stored(tenant: Tenant) -> list[dict[str, Any]]:
    """Return all that is kept of a tenant's clients, every column but the tenant."""
    rows: Sequence[dict[str, Any]] = Customer.objects.of(tenant).order_by("id").values()
    return [{name: value for name, value in row.items() if name != "tenant_id"} for row in rows]


def known(tenant: Tenant) -> list[dict[str, Any]]:
    """Return what a file can say of a tenant's clients."""
    return list(Customer.objects.of(tenant).order_by("id").values(*COLUMNS))
