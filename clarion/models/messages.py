"""A text to one person."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Self

from django.db import models

from clarion.models import outcomes
from clarion.models.customers import Customer
from clarion.models.mailings import Mailing, MailingCount, MailingCounts
from clarion.models.outcomes import Outcome
from clarion.models.outgoing import STATUS, Move, Outgoing, OutgoingRows, State, states_of
from clarion.models.tenants import Tenant


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
    def moved(cls, moves: Sequence[Move], now: datetime) -> None:
        """Tell in the log what became of them, as far as it is asked for."""
        told = {step.held.id: (_TOLD[step.to], step) for step in moves if step.to in _TOLD}
        tenants = {step.held.tenant_id for _, step in told.values()}
        wanted = outcomes.asked(tenants, {kind for kind, _ in told.values()})
        told = {
            pk: (kind, step) for pk, (kind, step) in told.items() if (step.held.tenant_id, kind) in wanted
        }
        if told:
            _tell(told, now)

    @classmethod
    def counts(cls) -> MailingCounts:
        return MailingCount.objects.all()


# What is told in the log of a message that comes into a state.
_TOLD: dict[str, str] = {
    State.ACCEPTED: "MESSAGE_SENT",
    State.DELIVERED: "MESSAGE_DELIVERED",
    State.UNDELIVERED: "MESSAGE_FAILED",
    State.FAILED: "MESSAGE_FAILED",
    State.DEAD: "MESSAGE_FAILED",
}


def _tell(told: Mapping[int, tuple[str, Move]], now: datetime) -> None:
    names = (
        "id",
        "mailing_id",
        "customer_id",
        "code",
        "mailing__account__gateway",
        "mailing__account__is_test",
    )
    rows = Message.objects.filter(pk__in=told, mailing__test_of=None).order_by("tenant", "pk")
    refs = dict(
        Customer.objects.filter(pk__in=rows.order_by().values("customer_id")).values_list("pk", "external_id")
    )
    by_tenant: defaultdict[int, list[Outcome]] = defaultdict(list)
    for pk, mailing_id, customer_id, code, gateway, is_test in rows.values_list(*names):
        kind, step = told[pk]
        facts = {
            "message_id": str(pk),
            "mailing_id": str(mailing_id),
            "status": STATUS[step.to],
            "reason": step.reason,
            "code": code,
            "gateway": gateway,
        }
        ref = refs.get(customer_id) or str(customer_id)
        # A message comes into a state once: whatever tells it again tells the same event.
        event_id = f"clarion-message-{pk}-{kind.removeprefix('MESSAGE_').lower()}"
        outcome = Outcome(kind, event_id, "MESSAGE", str(pk), ref, is_test, facts)
        by_tenant[step.held.tenant_id].append(outcome)
    # The heads of logs are held from here on, in the order of their tenants.
    for tenant in Tenant.objects.filter(pk__in=by_tenant).order_by("pk"):
        outcomes.write(tenant, by_tenant[tenant.pk], now)
