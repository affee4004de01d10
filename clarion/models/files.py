"""Files that came in or are made here, in the database: web and worker may be two machines."""

from collections.abc import Iterator
from datetime import datetime
from typing import Self

from django.db import models

from clarion.models.tenants import Tenant, TenantRows

# The most that one row holds: small beside what a server takes in one packet (MariaDB: 16 MiB), and written within
# the few milliseconds that a write may hold up others on SQLite.
MOST_OF_PART = 256 * 1024
# Parts read at once while a file is given out: 2 MiB.
READ_AHEAD = 8


class StoredFiles(TenantRows["StoredFile"]):
    def outdated(self, *, ended_before: datetime, begun_before: datetime) -> Self:
        """Those whose import or export ended so long ago, and uploads begun so long ago that never became whole."""
        of_imports = models.Q(**{"import__finished_at__lt": ended_before})
        of_exports = models.Q(export__finished_at__lt=ended_before)
        broken_off = models.Q(is_whole=False, export=None, created_at__lt=begun_before)
        return self.filter(of_imports | of_exports | broken_off)


class StoredFile(models.Model):
    """A file in parts. Only a whole one is ever read by others than its writer; the rest is pruned."""

    tenant = models.ForeignKey(Tenant, models.CASCADE)
    name = models.CharField(max_length=255)
    media_type = models.CharField(max_length=100)
    size = models.BigIntegerField(default=0)
    is_whole = models.BooleanField(default=False)
    created_at = models.DateTimeField()

    objects = StoredFiles.as_manager()

    def __str__(self) -> str:
        return f"file {self.pk}"

    def append(self, data: bytes) -> None:
        """Write `data` behind what is there; the caller saves the file itself when it is whole."""
        parts = [
            FilePart(file=self, starts_at=self.size + at, data=data[at : at + MOST_OF_PART])
            for at in range(0, len(data), MOST_OF_PART)
        ]
        FilePart.objects.bulk_create(parts)
        self.size += len(data)

    def clear(self) -> None:
        """Drop what was written; the caller saves the file itself."""
        FilePart.objects.filter(file=self).delete()
        self.size = 0

    def read(self, starts_at: int, size: int) -> bytes:
        """Return up to `size` bytes from this place on; fewer only where the file ends."""
        parts = FilePart.objects.filter(
            file=self, starts_at__gt=starts_at - MOST_OF_PART, starts_at__lt=starts_at + size
        )
        rows = list(parts.order_by("starts_at").values_list("starts_at", "data"))
        if not rows:
            return b""
        skipped = max(starts_at - rows[0][0], 0)
        return b"".join(bytes(data) for _, data in rows)[skipped : skipped + size]

    def pieces(self) -> Iterator[bytes]:
        """Give the whole file, part by part."""
        after = -1
        while True:
            parts = FilePart.objects.filter(file=self, starts_at__gt=after).order_by("starts_at")
            rows = list(parts.values_list("starts_at", "data")[:READ_AHEAD])
            yield from (bytes(data) for _, data in rows)
            if len(rows) < READ_AHEAD:
                return
            after = rows[-1][0]


class FilePart(models.Model):
    """A piece of a file, with the place of its first byte."""

    file = models.ForeignKey(StoredFile, models.CASCADE, db_index=False)
    starts_at = models.BigIntegerField()
    data = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["file", "starts_at"], name="file_part_once")]

    def __str__(self) -> str:
        return f"file {self.file_id} from {self.starts_at}"


class Transfer(models.Model):
    """A file of clients on its way in or out, a piece of work at a time: what imports and exports have in common.

    `columns` is what the cells of a CSV file mean. `file` is none once it has served its time and was dropped.
    """

    WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"
    OPEN = (WAITING, RUNNING)

    tenant = models.ForeignKey(Tenant, models.CASCADE, db_index=False)
    file = models.ForeignKey(StoredFile, models.SET_NULL, null=True)
    format = models.CharField(max_length=10)
    columns = models.JSONField(default=list)
    state = models.CharField(max_length=10, default=WAITING)
    why = models.TextField(blank=True)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    served_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self._meta.model_name} {self.pk}"

    @property
    def is_open(self) -> bool:
        """Whether there is something left to do."""
        return self.state in Transfer.OPEN

    def end(self, state: str, *, why: str = "", now: datetime) -> None:
        """Let nothing more be done to it; the caller saves."""
        self.state, self.why, self.finished_at = state, why, now
