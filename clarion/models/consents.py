"""The one ledger of who may be written to: what people said about it, and which addresses nothing goes to any more."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import NamedTuple, Self

from django.db import models
from django.db.models import Q

from clarion.models.customers import Customer
from clarion.models.tenants import Row, Tenant, TenantRows


class MessageClass(models.TextChoices):
    """What a message is for. What is said of ALL holds for both others."""

    MARKETING = "marketing"
    TRANSACTIONAL = "transactional"
    ALL = "all"


class Say(models.TextChoices):
    OPT_IN = "opt_in"
    OPT_OUT = "opt_out"


class Said(NamedTuple):
    """One line of somebody's history, as far as it decides."""

    channel: str
    message_class: str
    verdict: str
    at: datetime


def standing(history: Iterable[Said]) -> Said | None:
    """Return the line that holds: the latest by its own time; of two at one moment the opt-out.

    In whatever order they came in, it is the same one.
    """
    return max(history, key=lambda said: (said.at, said.verdict == Say.OPT_OUT), default=None)


class LedgerRows(TenantRows[Row]):
    def about(self, refs: Collection[str], customer: Customer | None) -> Self:
        """Those about whoever goes by these references (`flows/events.refs_of`)."""
        asked = Q(ref__in=sorted(refs))
        if customer is not None:
            # A number that the shop gave to somebody else is not this one's, whoever was meant at that time.
            number = str(customer.pk)
            asked |= (
                Q(customer_id=customer.pk) if number in refs else Q(customer_id=customer.pk) & ~Q(ref=number)
            )
        return self.filter(asked)


class LedgerRow(models.Model):
    """What both kinds of rows of the ledger say: about whom, on which channel, when, how, and by whom.

    `ref` is the shop's own word for the person; `customer_id` Clarion's id, also where nobody had it yet: then `ref`
    is that number, and it holds for whoever turns out to be meant. `at` is when it was said or found out, `source`
    how (the kind of an event), `actor` by whom, `seq` the event that told it.
    """

    tenant = models.ForeignKey(Tenant, models.CASCADE, db_index=False)
    customer_id = models.BigIntegerField(null=True, blank=True)
    ref = models.CharField(max_length=255, blank=True)
    channel = models.CharField(max_length=32)
    at = models.DateTimeField()
    source = models.CharField(max_length=32)
    actor = models.CharField(max_length=100)
    message_id = models.BigIntegerField(null=True, blank=True)
    seq = models.BigIntegerField(null=True, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        abstract = True


class Consent(LedgerRow):
    """Somebody said that a class of messages may, or may not, reach them by a channel. Added, never changed."""

    message_class = models.CharField(max_length=16, choices=MessageClass.choices)
    verdict = models.CharField(max_length=8, choices=Say.choices)

    objects = LedgerRows["Consent"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "seq", "channel", "message_class"], name="consent_event_once"
            )
        ]
        indexes = [
            models.Index(fields=["customer_id"], name="consent_customer"),
            models.Index(fields=["ref", "tenant"], name="consent_ref"),
        ]

    def __str__(self) -> str:
        return f"{self.verdict} {self.channel} {self.message_class}"

    @property
    def said(self) -> Said:
        return Said(self.channel, self.message_class, self.verdict, self.at)


class Suppressed(models.TextChoices):
    """Why nothing goes to an address any more."""

    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint"
    STOP = "stop"
    INVALID = "invalid"


class Suppressions(LedgerRows["Suppression"]):
    def in_force(self) -> Self:
        return self.filter(lifted_at=None)


class Suppression(LedgerRow):
    """Nothing of any class goes by this channel to this address; where none is known, to this person.

    With an address it is about that address, and the person may be written to at another. `lifted_at`: somebody
    decided that it holds no more; the row stays.
    """

    address = models.CharField(max_length=255, blank=True)
    reason = models.CharField(max_length=16, choices=Suppressed.choices)
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.CharField(max_length=100, blank=True)

    objects = Suppressions.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "seq"], name="suppression_event_once")]
        indexes = [
            models.Index(fields=["address", "tenant"], name="suppression_address"),
            models.Index(fields=["customer_id"], name="suppression_customer"),
            models.Index(fields=["ref", "tenant"], name="suppression_ref"),
            models.Index(fields=["tenant", "id"], name="suppression_tenant"),
        ]

    def __str__(self) -> str:
        return f"{self.reason} {self.channel}"
