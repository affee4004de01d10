"""Clients that come in by a file: how far the reading is, and the rows that were refused."""

from collections.abc import Iterator
from typing import Any, Self

from django.db import models
from django.db.models import Min

from clarion.lib.records import Form
from clarion.models.files import Transfer
from clarion.models.tenants import TenantRows

# Refused rows given out at once: of the longest, 6 MiB.
REFUSALS_AT_ONCE = 100


class Imports(TenantRows["Import"]):
    def open(self) -> Self:
        """Those of which rows are still to be read."""
        return self.filter(state__in=Import.OPEN)

    def next_of_each_tenant(self) -> Self:
        """The oldest open one of every tenant, the one longest not served first.

        One after the other: of two files about the same people, the later one wins.
        """
        oldest = self.open().order_by().values("tenant").annotate(oldest=Min("id")).values("oldest")
        return self.filter(id__in=oldest).order_by("served_at", "id")


class Import(Transfer):
    """One file of clients. Everything up to `position` is done: its rows are clients, or refusals.

    `position` (bytes) is where the next record begins, `line` its number; `is_inside` says that it stands within a
    line that is too long instead. `columns` is what the header's cells mean, in their order, once it was read.
    """

    CANCELLED = "cancelled"

    name = models.CharField(max_length=255)
    size = models.BigIntegerField()
    encoding = models.CharField(max_length=40)
    delimiter = models.CharField(max_length=1)
    line_end = models.CharField(max_length=1)
    header = models.BinaryField(default=b"")
    position = models.BigIntegerField(default=0)
    line = models.BigIntegerField(default=1)
    is_inside = models.BooleanField(default=False)
    created = models.BigIntegerField(default=0)
    updated = models.BigIntegerField(default=0)
    unchanged = models.BigIntegerField(default=0)
    refused = models.BigIntegerField(default=0)

    objects = Imports.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "id"], name="import_tenant"),
            models.Index(fields=["state", "tenant", "id"], name="import_open"),
        ]

    @property
    def form(self) -> Form:
        """How the file is written."""
        return Form(self.format, self.encoding, self.delimiter, self.line_end)

    @property
    def rows(self) -> int:
        """How many records were read, the header and blank lines left out."""
        return self.created + self.updated + self.unchanged + self.refused

    @property
    def progress(self) -> float:
        """How much of the file is read, from 0 to 1."""
        return 1.0 if self.state == Import.DONE else self.position / self.size


class Refusal(models.Model):
    """One row that became no client, as it stood in the file, and why."""

    origin = models.ForeignKey(Import, models.CASCADE, db_index=False)
    line = models.BigIntegerField()
    reason = models.TextField()
    raw = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["origin", "line"], name="refusal_once")]

    def __str__(self) -> str:
        return f"line {self.line} of import {self.origin_id}"


def refusals(origin: Import) -> Iterator[tuple[int, str, bytes]]:
    """Give line, reason and raw bytes of every refused row, in the order of the file, few at a time."""
    after = 0
    while True:
        rows: list[Any] = list(
            Refusal.objects.filter(origin=origin, line__gt=after)
            .order_by("line")
            .values_list("line", "reason", "raw")[:REFUSALS_AT_ONCE]
        )
        yield from ((line, reason, bytes(raw)) for line, reason, raw in rows)
        if len(rows) < REFUSALS_AT_ONCE:
            return
        after = rows[-1][0]
