"""The tries of what leaves that did not go right at once."""

from collections.abc import Iterable
from typing import Any

from django.db import models

from clarion.models.deliveries import Delivery
from clarion.models.messages import Message
from clarion.models.outgoing import Held, Outgoing
from clarion.models.tenants import Tenant, TenantRows


class Try(models.Model):
    """One try that did not go right at once: when, what kind of failure, what the other side said.

    `is_late` marks a result that came when the row was no longer ours; it changed nothing else.
    """

    tenant = models.ForeignKey(Tenant, models.CASCADE, db_index=False)
    number = models.PositiveIntegerField()
    worker_id = models.BigIntegerField(null=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField()
    outcome = models.CharField(max_length=20)
    code = models.CharField(max_length=64, blank=True)
    detail = models.CharField(max_length=500, blank=True)
    excerpt = models.TextField(blank=True)
    is_late = models.BooleanField(default=False)

    class Meta:
        abstract = True


class Attempt(Try):
    """A try of a message."""

    message = models.ForeignKey(Message, models.CASCADE, related_name="attempts")

    objects = TenantRows["Attempt"].as_manager()

    class Meta:
        indexes = [models.Index(fields=["tenant", "ended_at"], name="attempt_tenant")]

    def __str__(self) -> str:
        return f"try {self.number} of message {self.message_id}"


class DeliveryAttempt(Try):
    """A try of a delivery."""

    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="attempts")

    objects = TenantRows["DeliveryAttempt"].as_manager()

    class Meta:
        indexes = [models.Index(fields=["tenant", "ended_at"], name="delivery_attempt_tenant")]

    def __str__(self) -> str:
        return f"try {self.number} of delivery {self.delivery_id}"


# Of each kind of what leaves: its tries, and the column that names the row.
_OF: dict[type[Outgoing], tuple[type[Try], str]] = {
    Message: (Attempt, "message_id"),
    Delivery: (DeliveryAttempt, "delivery_id"),
}


def try_of(model: type[Outgoing], row: Held, **columns: Any) -> Try:
    """Return, not saved, a try of this row."""
    kind, owner = _OF[model]
    return kind(tenant_id=row.tenant_id, **{owner: row.id}, **columns)


def keep_tries(model: type[Outgoing], tries: Iterable[Try]) -> None:
    """Store tries of rows of this kind."""
    _OF[model][0]._default_manager.bulk_create(tries)
