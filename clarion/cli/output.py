"""How the verbs answer: tables for people, JSON for programs, and an exit code that says which kind of no it was."""

import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn

import typer
from django.conf import settings
from rich.console import Console
from rich.table import Table

from clarion.lib import logs
from clarion.models import Tenant

FAILED, WRONG_USE, NOT_FOUND, REFUSED = 1, 2, 3, 4

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)


def start_logs() -> None:
    """Events kept, messages sent, every one accounted for."""
    logs.set_up(level=settings.CLARION.log_level, form=settings.CLARION.log_format)


def now() -> datetime:
    return datetime.now(UTC)


def stop(code: int, sentence: str) -> NoReturn:
    """End with this exit code; the sentence says what to do next."""
    err.print(sentence, markup=False)
    raise typer.Exit(code)


def program() -> str:
    """Return how this program is called from here: a fresh checkout's own one is not on the PATH."""
    if sys.argv[0].endswith("__main__.py"):
        return f"{_shortest(sys.executable)} -m clarion"
    return _shortest(sys.argv[0]) if os.sep in sys.argv[0] else sys.argv[0]


def _shortest(path: str) -> str:
    return min(path, os.path.relpath(path), key=len)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, as_json: bool) -> None:
    """Print rows as a table, or as one JSON object a line."""
    if as_json:
        for row in rows:
            print(json.dumps(dict(zip(columns, row, strict=True)), default=str))
        return
    drawn = Table(*columns, title=title, title_justify="left", box=None, pad_edge=False)
    for row in rows:
        drawn.add_row(*("" if value is None else str(value) for value in row))
    out.print(drawn)


def find_tenant(name: str) -> Tenant:
    tenant = Tenant.objects.filter(name=name).first()
    if tenant is None:
        stop(NOT_FOUND, f"There is no tenant {name}. clarion tenants add {name} makes it.")
    return tenant
