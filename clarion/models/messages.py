"""A text to one person, and the tries that did not go right at once."""

from datetime import datetime
from typing import Self

from django.db import models

from clarion.models.mailings import Mailing, MailingCount, MailingCounts
from clarion.models.outgoing import Outgoing, OutgoingRows, State, states_of
from clarion.models.tenants import Tenant, TenantRows


class Messages(OutgoingRows["Message"]):
    def without_tests(self) -> Self:
        return self.filter(mailing__test_of=None)

    def with_status(self, status: str) -> Self:
        return self.filter(state__in=states_of(status))

    def made_before(self, moment: datetime, message_id: int) -> Self:
        """Those made before a moment, or at it with a smaller id."""
        return self.filter(models.Q(created_at__lt=moment) | models.Q(created_at=moment, id__lt=message_id))

    def waiting_after(self, mailing: Mailing, customer_id: int) -> Self:
        """Waiting messages of a mailing to customers behind this one, in the order a sweep goes through them."""
        rows = self.filter(mailing=mailing, customer_id__gt=customer_id, state=State.WAITING)
        return rows.order_by("customer_id")


class Message(Outgoing):
    """One text for one customer through one gateway account.

    `customer_id` is kept when the customer is deleted: the message still counts. `address` is empty where nothing
    was to be sent. `text` is what was rendered before the first try; retries send the same.
    """

    OWNER = "mailing_id"

    mailing = models.ForeignKey(Mailing, models.PROTECT, db_index=False, db_constraint=False)
    customer_id = models.BigIntegerField(db_index=True)
    address = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001 - unique among addresses only
    text = models.TextField(blank=True)

    objects = Messages.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["mailing", "customer_id"], name="message_customer_once"),
            models.UniqueConstraint(fields=["mailing", "address"], name="message_address_once"),
        ]
        indexes = [
            models.Index(fields=["state", "lane", "priority", "due_at"], name="message_due"),
            models.Index(fields=["tenant", "id"], name="message_tenant"),
        ]

    @classmethod
    def counts(cls) -> MailingCounts:
        return MailingCount.objects.all()


class Attempt(models.Model):
    """One try that did not go right at once: when, what kind of failure, what the other side said.

    `is_late` marks a result that came when the row was no longer ours; it changed nothing else.
    """

    tenant = models.ForeignKey(Tenant, models.CASCADE, db_index=False)
    message = models.ForeignKey(Message, models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    worker_id = models.BigIntegerField(null=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField()
    outcome = models.CharField(max_length=20)
    code = models.CharField(max_length=64, blank=True)
    detail = models.CharField(max_length=500, blank=True)
    excerpt = models.TextField(blank=True)
    is_late = models.BooleanField(default=False)

    objects = TenantRows["Attempt"].as_manager()

    class Meta:
        indexes = [models.Index(fields=["tenant", "ended_at"], name="attempt_tenant")]

    def __str__(self) -> str:
        return f"try {self.number} of message {self.message_id}"
