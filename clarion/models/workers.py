"""The worker processes that may hold rows, and until when each is believed to be alive."""

from django.db import models


class Worker(models.Model):
    """One run of one worker process. `lease_until` is in seconds of the lease clock, never of the wall clock.

    The lease clock is the database server's; on SQLite, where all processes share a machine, the time since
    `boot_id` began.
    """

    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    boot_id = models.CharField(max_length=64)
    started_at = models.DateTimeField()
    lease_until = models.FloatField()
    # Stopped by itself, or declared dead and its rows rescued: either way it may write no result any more.
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["ended_at", "lease_until"], name="worker_alive")]

    def __str__(self) -> str:
        return f"worker {self.pk} (pid {self.pid} on {self.host})"
