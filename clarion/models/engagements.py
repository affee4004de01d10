"""What became of a message after it left: opened, clicked, bounced, paid for; and the counters of each mailing."""

from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Self

from django.db import models

from clarion.models.bulk import add_to_counts
from clarion.models.mailings import Mailing
from clarion.models.messages import Message
from clarion.models.tenants import Tenant, TenantRows

# Money is kept in ten-thousandths of its unit, as a whole number: no currency of ISO 4217 has smaller parts, and
# SQLite has no decimals, and would make binary fractions of them.
MONEY_PARTS = 10_000
# A mailing whose purchases come to so much of these parts (100,000,000,000,000 of a currency) is full. Sums have 64
# bits, and the rest of them, 8e18, has room for what one more slice of the log may add before that is seen.
FULL_SUM = 10**18


class Kind(models.TextChoices):
    """What happened, once for each message it happened to; `MACHINE_…` are what machines did."""

    SENT = "sent"
    DELIVERED = "delivered"
    OPENED = "opened"
    CLICKED = "clicked"
    UNSUBSCRIBED = "unsubscribed"
    BOUNCED = "bounced"
    # A refusal that may pass.
    DEFERRED = "deferred"
    COMPLAINED = "complained"
    PURCHASED = "purchased"


class Credit(models.TextChoices):
    """Why a purchase is put down to its message."""

    NAMED = "named"
    LAST_CLICK = "last_click"
    LAST_OPEN = "last_open"


class Engagements(TenantRows["Engagement"]):
    def of_messages(self, ids: Collection[int]) -> Self:
        """Those with these messages, in the order in which they happened."""
        return self.filter(message_id__in=ids).order_by("at", "seq")

    def by_people(self, customer_ids: Collection[int], since: datetime, until: datetime) -> Self:
        """What these customers themselves opened and clicked in this time, both ends included."""
        return self.filter(
            customer_id__in=customer_ids,
            kind__in=(Kind.OPENED, Kind.CLICKED),
            is_machine=False,
            at__gte=since,
            at__lte=until,
        )


class Engagement(models.Model):
    """One thing that an event told of a message. `seq` is the event's number: each is told once.

    `customer_id` is whom the message went to, `at` the event's own time. `is_machine`: nobody did it, a program
    looked. `link` is what was clicked; `amount` (ten-thousandths) and `currency` what was paid, `credit` why the
    message gets the merit. An amount too large to be a price is not kept, nor one for which a sum has no room.
    """

    # Without constraints in the database, as with messages: these two are never deleted before it.
    tenant = models.ForeignKey(Tenant, models.CASCADE, db_index=False, db_constraint=False)
    seq = models.BigIntegerField()
    mailing = models.ForeignKey(Mailing, models.CASCADE, db_index=False, db_constraint=False)
    # Of a purchase it may be gone (`flows/retention.py`).
    message = models.ForeignKey(
        Message, models.DO_NOTHING, db_index=False, db_constraint=False, related_name="engagements"
    )
    customer_id = models.BigIntegerField()
    kind = models.CharField(max_length=16, choices=Kind.choices)
    at = models.DateTimeField()
    is_machine = models.BooleanField(default=False)
    link = models.CharField(max_length=2_000, blank=True)
    amount = models.BigIntegerField(null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    credit = models.CharField(max_length=10, choices=Credit.choices, blank=True)

    objects = Engagements.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "seq"], name="engagement_event_once")]
        indexes = [
            models.Index(fields=["message", "kind"], name="engagement_message"),
            models.Index(fields=["customer_id", "at"], name="engagement_customer"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.message_id}"

    @property
    def money(self) -> Decimal | None:
        """What was paid."""
        return None if self.amount is None else money(self.amount)


def money(amount: int) -> Decimal:
    """Return a sum of ten-thousandths as what it is, with two places at least: 12.50."""
    value = Decimal(amount) / MONEY_PARTS
    return value if value != value.quantize(Decimal("0.01")) else value.quantize(Decimal("0.01"))


# What is counted of a mailing beside kinds: messages that machines opened and clicked, and the sum of purchases.
OPENED_BY_MACHINE, CLICKED_BY_MACHINE, REVENUE = "machine_opened", "machine_clicked", "revenue"
BY_MACHINE: dict[str, str] = {Kind.OPENED: OPENED_BY_MACHINE, Kind.CLICKED: CLICKED_BY_MACHINE}


# Mailing, what, currency, tenant.
EngagementKey = tuple[int, str, str, int]


class EngagementCounts(TenantRows["EngagementCount"]):
    def shift(self, shifts: Mapping[EngagementKey, int]) -> None:
        """Move these counters, in one statement and in the order of their keys; one that is missing is made."""
        rows = [(*key, by) for key, by in sorted(shifts.items()) if by]
        if rows:
            add_to_counts(EngagementCount, ("mailing_id", "what", "currency", "tenant_id"), rows)

    def full(self, mailing_ids: Collection[int]) -> set[tuple[int, str]]:
        """Those of these mailings, with the currency, whose sum of purchases has no room for more."""
        rows = self.filter(mailing_id__in=mailing_ids, what=REVENUE, count__gte=FULL_SUM)
        return set(rows.values_list("mailing_id", "currency"))


class EngagementCount(models.Model):
    """How many messages of a mailing were opened, clicked and so on, moved in the transaction that stores the rows.

    `what` is a `Kind`, or one of the three beside it. A message counts once for each, a purchase as often as it
    happens. Of REVENUE `count` is a sum of ten-thousandths. `currency` is that of purchases, else empty.
    """

    # Without constraints: a new counter would lock its mailing, which others lock before messages.
    tenant = models.ForeignKey(Tenant, models.CASCADE, db_constraint=False)
    mailing = models.ForeignKey(
        Mailing, models.CASCADE, related_name="engagement_counts", db_index=False, db_constraint=False
    )
    what = models.CharField(max_length=16)
    currency = models.CharField(max_length=3, blank=True)
    count = models.BigIntegerField()

    objects = EngagementCounts.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["mailing", "what", "currency"], name="engagement_count_once")
        ]

    def __str__(self) -> str:
        return f"{self.what} {self.count}"
