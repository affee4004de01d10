"""Intake with one protection switched off; without.py does it by name."""

import secrets
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from random import random
from typing import Any

from django.db import connection, models, transaction
from django.db.backends.sqlite3 import base as sqlite_base

from clarion import checks
from clarion.api import problems
from clarion.flows import events
from clarion.intake import writer
from clarion.models import events as log_models
from clarion.models.bulk import insert_rows


def full() -> None:
    """SQLite is content when the system has taken a commit; nobody waits for the disk."""
    honest = sqlite3.connect

    def connect(*args: Any, **named: Any) -> Any:
        connection = honest(*args, **{**named, "factory": Hasty})
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    class Hasty(sqlite3.Connection):
        def execute(self, sql: str, *args: Any) -> Any:
            return super().execute(sql.replace("synchronous = FULL", "synchronous = NORMAL"), *args)

    sqlite3.connect = sqlite_base.Database.connect = connect  # type: ignore[assignment]
    # It would see that, and take nothing.
    checks.database_promises = lambda *_, **__: []


def commit_first() -> None:
    """Events are acknowledged at once, and stored a moment later."""
    honest = events.append

    def append(batch: Any, now: Any) -> Any:
        with transaction.atomic():
            outcomes = honest(batch, now)
            transaction.set_rollback(True)
        threading.Timer(0.05, honest, (batch, now)).start()
        return outcomes

    events.append = append  # type: ignore[assignment]


def once() -> None:
    """Whatever id an event has, it is a new one."""
    honest = log_models.append

    def append(log: Any, tenant: Any, rows: Any) -> dict[str, int]:
        renamed = [(f"{row[0]}#{secrets.token_hex(4)}", *row[1:]) for row in rows]
        numbers = honest(log, tenant, renamed)
        return {event_id.rpartition("#")[0]: seq for event_id, seq in numbers.items()}

    log_models.append = append  # type: ignore[assignment]


def given_back() -> None:
    """Numbers are taken for every event that comes, and those of known ones are not given back."""
    honest = log_models.append

    def append(log: Any, tenant: Any, rows: Any) -> dict[str, int]:
        numbers = honest(log, tenant, rows)
        wasted = len(rows) - len(numbers)
        log.heads.objects.filter(tenant=tenant).update(seq=models.F("seq") + wasted)
        return numbers

    log_models.append = append  # type: ignore[assignment]


def numbers_in_order() -> None:
    """Numbers are taken beforehand, so what has a later one may be there first."""

    def append(log: Any, tenant: Any, rows: Any) -> dict[str, int]:
        def take() -> int:
            with transaction.atomic():
                log.heads.objects.get_or_create(tenant=tenant)
                (before,) = log.heads.objects.filter(tenant=tenant).select_for_update().values_list("seq")[0]
                log.heads.objects.filter(tenant=tenant).update(seq=before + len(rows))
            connection.close()
            return int(before)

        with ThreadPoolExecutor(1) as other:
            before = other.submit(take).result()
        time.sleep(random() / 50)
        numbered = [(tenant.pk, before + n, *row) for n, row in enumerate(rows, 1)]
        insert_rows(log.entries, ("tenant", "seq", *log.columns), numbered)
        return {str(row[0]): before + n for n, row in enumerate(rows, 1)}

    log_models.append = append  # type: ignore[assignment]


def outage() -> None:
    """A database that is away is taken for a mistake of ours."""
    writer.is_outage = lambda error: False  # type: ignore[assignment]


def limits() -> None:
    """Whoever asks for more than a page has gets a mistake of ours."""

    def broken(request: Any, error: Any) -> Any:
        return problems.failed(request, error)

    problems._invalid = broken  # type: ignore[assignment]


INTAKE = (full, commit_first, once, given_back, numbers_in_order, outage, limits)
