"""Forget what has served its time, in small batches that hold nobody up."""

from datetime import datetime, timedelta

from clarion.flows.retention import kept_by_tenants
from clarion.models import FilePart, IdempotencyRecord, Refusal, StoredFile, Worker

BATCH = 500
# Dead workers are named by attempts; a week is longer than any support case waits for them.
WORKERS_KEPT = timedelta(days=7)
# Files that came in and were made, with the rows that were refused: somebody has to mend them after a holiday.
FILES_KEPT = timedelta(days=7)
# An upload takes minutes; of one that was begun a day ago nobody sends the rest.
UPLOADS_KEPT = timedelta(days=1)
# Parts of 256 KiB dropped at once: SQLite frees as many in about 10 ms.
PARTS = 16


def prune_due(now: datetime) -> int:
    """Drop one batch each of answers kept for repeated requests, of files and of dead workers; return how many rows."""
    dropped = sum(_drop_answers(own, before) for own, before in kept_by_tenants("keep_answers_hours", now))
    workers = Worker.objects.filter(ended_at__lt=now - WORKERS_KEPT).values_list("pk", flat=True)[:BATCH]
    gone, _ = Worker.objects.filter(pk__in=list(workers)).delete()
    return dropped + gone + _drop_file(now)


def _drop_answers(own: int | None, before: datetime) -> int:
    rows = (
        IdempotencyRecord.objects.filter(tenant__keep_answers_hours=own)
        .outdated(before)
        .order_by("created_at")
    )
    answers = list(rows.values_list("pk", flat=True)[:BATCH])
    return IdempotencyRecord.objects.filter(pk__in=answers).delete()[0]


def _drop_file(now: datetime) -> int:
    """Drop the next part of one file that has served its time: its refused rows, its content, at last itself."""
    outdated = StoredFile.objects.outdated(ended_before=now - FILES_KEPT, begun_before=now - UPLOADS_KEPT)
    file = outdated.order_by("id").first()
    if file is None:
        return 0
    refused = Refusal.objects.filter(origin__file=file).order_by("id").values_list("id", flat=True)[:BATCH]
    parts = FilePart.objects.filter(file=file).order_by("starts_at").values_list("id", flat=True)[:PARTS]
    dropped, _ = Refusal.objects.filter(id__in=list(refused)).delete()
    dropped += 0 if dropped else FilePart.objects.filter(id__in=list(parts)).delete()[0]
    return dropped or file.delete()[0]
