"""An event, found by the same columns as ours."""

from django.db import models


class Event(models.Model):
    """Something that happened."""

    event_id = models.CharField(max_length=255, unique=True)
    event_type = models.CharField(max_length=32)
    event_source = models.CharField(max_length=16)
    entity_name = models.CharField(max_length=255)
    entity_id = models.CharField(max_length=255)
    customer_id = models.CharField(max_length=255)
    received_at = models.DateTimeField(auto_now_add=True)
    event_payload = models.JSONField()

    class Meta:
        indexes = [
            models.Index(fields=["customer_id", "received_at"]),
            models.Index(fields=["entity_id", "received_at"]),
            models.Index(fields=["received_at"]),
        ]

    def __str__(self) -> str:
        return self.event_id
