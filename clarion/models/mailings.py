"""A text, an audience and a window; and the counters that say what became of its messages."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import Q

from clarion.lib.hours import Hours
from clarion.models.accounts import GatewayAccount, Lane
from clarion.models.bulk import add_to_counts
from clarion.models.conditions import filter_of
from clarion.models.outgoing import OPEN_STATES, State
from clarion.models.tenants import Tenant, TenantRows

if TYPE_CHECKING:
    from clarion.models.customers import Customers


class Mailings(TenantRows["Mailing"]):
    def alive(self) -> Self:
        """Those that somebody made and did not delete; what a test send is made of is none of them."""
        return self.filter(deleted_at=None, test_of=None)

    def to_start(self, now: datetime) -> Self:
        """Scheduled, not paused, and their time has come."""
        return self.filter(state=Mailing.SCHEDULED, paused_at=None, deleted_at=None, starts_at__lte=now)

    def to_materialise(self) -> Self:
        return self.filter(state=Mailing.RUNNING, materialised_at=None)

    def to_close(self, now: datetime) -> Self:
        """Those whose end has come while messages may still wait."""
        return self.filter(
            state=Mailing.RUNNING,
            materialised_at__isnull=False,
            finished_at=None,
            closed_at=None,
            ends_at__lte=now,
        )

    def to_sweep(self) -> Self:
        """Those with waiting messages to release, to cancel or to expire (see `Mailing.sweep_cursor`)."""
        still_running = Q(state=Mailing.RUNNING, materialised_at__isnull=False)
        rows = self.filter(sweep_cursor__isnull=False, finished_at=None)
        return rows.filter(Q(state=Mailing.CANCELLED) | still_running)

    def to_sweep_again(self) -> Self:
        """Those swept to the end where something waits again: what was under way then, and came back."""
        waiting = MailingCount.objects.filter(mailing=models.OuterRef("pk"), state=State.WAITING, count__gt=0)
        ended = Q(state=Mailing.CANCELLED) | Q(state=Mailing.RUNNING, closed_at__isnull=False)
        rows = self.filter(ended, finished_at=None, sweep_cursor=None)
        return rows.filter(models.Exists(waiting))

    def to_prune(self, finished_before: datetime) -> Self:
        """Those that ended so long ago and still have messages, or have not been looked at."""
        return self.filter(pruned_at=None, finished_at__lt=finished_before)

    def to_finish(self) -> Self:
        """Those of which nothing is on its way any more."""
        open_counts = MailingCount.objects.filter(
            mailing=models.OuterRef("pk"), state__in=OPEN_STATES, count__gt=0
        )
        done = Q(state=Mailing.RUNNING, materialised_at__isnull=False) | Q(state=Mailing.CANCELLED)
        rows = self.filter(done, finished_at=None)
        return rows.filter(~models.Exists(open_counts))


class Mailing(models.Model):
    """A text for the customers who match, sent between `starts_at` and `ends_at`.

    `cursor` is the id of the last customer turned into a message, `last_customer_id` the highest there was at the
    start. `sweep_cursor` is set while waiting messages have to be released (after a pause), cancelled or expired
    (`closed_at`), and says how far that has come. `pruned` is how many of its messages have served their time and
    were dropped, `pruned_at` when the last one was; its counts stay as they were.
    """

    SCHEDULED, RUNNING, CANCELLED = "scheduled", "running", "cancelled"

    tenant = models.ForeignKey(Tenant, models.CASCADE, db_index=False)
    account = models.ForeignKey(GatewayAccount, models.PROTECT)
    name = models.CharField(max_length=200, blank=True)
    text = models.TextField()
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    operator_code_filter = models.CharField(max_length=64, null=True, blank=True)  # noqa: DJ001 - null: no filter
    tag_filter = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001 - null: no filter
    # Conditions over the customer's fields and attributes, as `lib/filters.py` reads them.
    filter = models.JSONField(null=True, blank=True)
    # The hours of the customer's own day in which it is sent; both or none.
    local_from = models.TimeField(null=True, blank=True)
    local_until = models.TimeField(null=True, blank=True)
    rate_per_second = models.FloatField(null=True, blank=True)
    # Only of a mailing with a rate of its own; without, its messages leave by the account's.
    lane = models.OneToOneField(Lane, models.PROTECT, null=True, blank=True)
    # How many messages can leave before the end at its rate; null: no rate bounds it. Known at its start.
    capacity = models.BigIntegerField(null=True, blank=True)
    # The mailing that this one shows to a single person; such a one is in no list and in no total.
    test_of = models.ForeignKey("self", models.CASCADE, null=True, blank=True, related_name="test_sends")
    state = models.CharField(max_length=10, default=SCHEDULED)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    materialised_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    cursor = models.BigIntegerField(default=0)
    last_customer_id = models.BigIntegerField(null=True, blank=True)
    sweep_cursor = models.BigIntegerField(null=True, blank=True)
    pruned = models.BigIntegerField(default=0)
    pruned_at = models.DateTimeField(null=True, blank=True)

    objects = Mailings.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "id"], name="mailing_tenant"),
            models.Index(fields=["state", "finished_at", "starts_at"], name="mailing_due"),
            models.Index(fields=["pruned_at", "finished_at"], name="mailing_to_prune"),
        ]

    def __str__(self) -> str:
        return f"mailing {self.pk}"

    def audience(self, customers: "Customers") -> "Customers":
        """Those of `customers` whom this mailing is for."""
        rows = customers.of(self.tenant).matching(
            operator_code=self.operator_code_filter, tag=self.tag_filter
        )
        return rows if self.filter is None else rows.where(filter_of(self.filter))

    @property
    def hours(self) -> Hours | None:
        """The part of the customer's own day in which it is sent; None: all of it."""
        if self.local_from is None or self.local_until is None:
            return None
        return Hours(self.local_from, self.local_until)

    def has_started(self, now: datetime) -> bool:
        return self.state != self.SCHEDULED or self.starts_at <= now


# Mailing, state, reason, tenant.
CounterKey = tuple[int, str, str, int]


class MailingCounts(TenantRows["MailingCount"]):
    def shift(self, shifts: Mapping[CounterKey, int]) -> None:
        """Move these counters, in one statement; one that is missing is made.

        Always in the order of their keys, so that two workers who move the same ones cannot wait for each other.
        """
        rows = [(*key, by) for key, by in sorted(shifts.items()) if by]
        if rows:
            add_to_counts(MailingCount, ("mailing_id", "state", "reason", "tenant_id"), rows)

    def without_tests(self) -> Self:
        return self.filter(mailing__test_of=None)

    def by_state(self) -> list[tuple[str, int]]:
        rows = self.values_list("state").annotate(total=models.Sum("count")).order_by("state")
        return [(state, total) for state, total in rows if total]


class MailingCount(models.Model):
    """How many messages of a mailing are in a state, for a reason. Moved in the transaction that moves the rows."""

    tenant = models.ForeignKey(Tenant, models.CASCADE)
    mailing = models.ForeignKey(Mailing, models.CASCADE, related_name="counts", db_index=False)
    state = models.CharField(max_length=12)
    reason = models.CharField(max_length=40, blank=True)
    count = models.BigIntegerField()

    objects = MailingCounts.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["mailing", "state", "reason"], name="mailing_count_once")
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.count}"
