"""An event on its way to one subscriber."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Self

from django.db import models
from django.db.models import Count, Min, Q

from clarion.lib.retry import FORWARDING
from clarion.models.bulk import numbers, read, update_rows
from clarion.models.outgoing import (
    BULK,
    FIRST_TRY,
    NEXT,
    OPEN_STATES,
    RETRY,
    URGENT,
    Move,
    Outgoing,
    OutgoingRows,
    Reason,
    State,
    states_of,
)
from clarion.models.subscriptions import DeliveryCount, DeliveryCounts, Subscription

# What did not arrive, and can be sent again because somebody asks for it.
RECOVERABLE = (State.FAILED, State.DEAD, State.EXPIRED, State.CANCELLED)


class Deliveries(OutgoingRows["Delivery"]):
    def with_status(self, status: str) -> Self:
        return self.filter(state__in=states_of(status))

    def let_go(self, lines: Iterable[int], now: datetime) -> None:
        """Let whoever is first in each of these lines go, unless somebody of it is under way. Their lanes are held.

        They keep the reason that they are counted by until they go.
        """
        in_line = Q(state=State.WAITING, reason=Reason.IN_LINE)
        rows = self.filter(order_key__in=sorted(set(lines))).order_by().values("order_key")
        found = rows.annotate(first=Min("id", filter=in_line), busy=Count("id", filter=~in_line))
        first = [row["first"] for row in found if row["first"] is not None and not row["busy"]]
        update_rows(Delivery, ("due_at",), [(pk, now) for pk in sorted(first)])


class Delivery(Outgoing):
    """One event for one subscription. Not the event itself: that is read when it leaves.

    `seq` is the event's number; none where somebody wanted to see whether anything arrives, then `body` is what goes.
    `order_key` names the line in which it stands until its end, where the order is kept. `redelivery_id` is what
    sent the event once more; 0 the first time.
    """

    OWNER = "subscription_id"
    # What is sent again in bulk goes when nothing else does.
    PRIORITIES = (URGENT, FIRST_TRY, RETRY, BULK)
    RETRIES = FORWARDING
    # Somebody may ask for what did not arrive.
    NEXT = {
        state: follow | ({State.WAITING} if state in RECOVERABLE else set()) for state, follow in NEXT.items()
    }

    subscription = models.ForeignKey(
        Subscription, models.PROTECT, db_index=False, db_constraint=False, related_name="deliveries"
    )
    seq = models.BigIntegerField(null=True)
    redelivery_id = models.BigIntegerField(default=0)
    order_key = models.BigIntegerField(null=True)
    body = models.TextField(blank=True)

    objects = Deliveries.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["subscription", "seq", "redelivery_id"], name="delivery_once")
        ]
        indexes = [
            models.Index(fields=["state", "lane", "priority", "due_at"], name="delivery_due"),
            models.Index(fields=["subscription", "state", "id"], name="delivery_list"),
            models.Index(fields=["order_key", "id"], name="delivery_line"),
            models.Index(fields=["tenant", "id"], name="delivery_tenant"),
        ]

    @classmethod
    def counts(cls) -> DeliveryCounts:
        return DeliveryCount.objects.all()

    @classmethod
    def moved(cls, moves: Sequence[Move], now: datetime) -> None:
        """Let whoever stood in line behind those that came to their end go next."""
        ends = [step.held.id for step in moves if step.to not in OPEN_STATES]
        # Written out: it is asked in every round, and there is seldom anybody.
        places = f"SELECT id, order_key FROM {cls._meta.db_table} WHERE order_key IS NOT NULL"  # noqa: S608 - ours
        found = read(f"{places} AND id IN ({numbers(ends)})", []) if ends else []
        lines: dict[int, int] = dict(found)
        if lines:
            update_rows(cls, ("order_key",), [(pk, None) for pk in sorted(lines)])
            cls.objects.let_go(lines.values(), now)


def line(subscription_id: int, entity: str) -> int:
    """Return the number of the line in which deliveries of one entity to one subscriber stand.

    63 bits: two entities that share one by chance wait for each other, and nothing else is wrong.
    """
    digest = blake2b(f"{subscription_id} {entity}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
