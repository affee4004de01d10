"""Forget what has served its time, in small batches that hold nobody up."""

from datetime import datetime, timedelta

from clarion.models import IdempotencyRecord, Worker

BATCH = 500
# Dead workers are named by attempts; a week is longer than any support case waits for them.
WORKERS_KEPT = timedelta(days=7)


def prune_due(now: datetime) -> int:
    """Drop one batch of answers kept for repeated requests and of workers that ended long ago; return how many."""
    answers = (
        IdempotencyRecord.objects.outdated(now).order_by("created_at").values_list("pk", flat=True)[:BATCH]
    )
    dropped, _ = IdempotencyRecord.objects.filter(pk__in=list(answers)).delete()
    workers = Worker.objects.filter(ended_at__lt=now - WORKERS_KEPT).values_list("pk", flat=True)[:BATCH]
    gone, _ = Worker.objects.filter(pk__in=list(workers)).delete()
    return dropped + gone
