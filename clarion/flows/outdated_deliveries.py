"""What drops deliveries when their time is over, with their attempts, and out of the counts."""

from collections import Counter
from datetime import datetime

from django.db import transaction
from django.db.models import Max, OuterRef, QuerySet, Subquery

from clarion.flows.retention import batch, kept_by_tenants
from clarion.models import Delivery, DeliveryAttempt, DeliveryCount, Subscription, Tenant
from clarion.models.outgoing import OPEN_STATES
from clarion.models.transactions import again_on_deadlock

# Tenants looked at in one step, those with the oldest first. To find them is a look at every tenant.
TENANTS = 8

# Of this process: the last delivery of each tenant that was looked at.
_looked_at: dict[int, int] = {}


def prune_deliveries(now: datetime) -> int:
    """Drop deliveries that ended long ago, with their attempts and out of the counts; return how many were looked at."""
    looked = 0
    for own, before in kept_by_tenants("keep_deliveries_days", now):
        first = Delivery.objects.filter(tenant=OuterRef("pk")).order_by("id").values("created_at")[:1]
        tenants = Tenant.objects.filter(keep_deliveries_days=own).annotate(oldest=Subquery(first))
        for tenant in tenants.filter(oldest__lt=before).order_by("oldest")[:TENANTS]:
            looked += _drop_deliveries(tenant, before)
            if looked >= batch():
                break
    return looked


def _drop_deliveries(tenant: Tenant, before: datetime) -> int:
    """Look at the next deliveries that were made so long ago, and drop those that have ended so long ago; return how many
    were looked at.

    What somebody asked for once more ended later, or is on its way: it stays, and those behind it are looked at next.
    """
    after = _looked_at.pop(tenant.pk, 0)
    made = Delivery.objects.of(tenant).filter(created_at__lt=before, pk__gt=after).order_by("id")
    ids = list(made.values_list("pk", flat=True)[: batch()])
    if not ids:
        return 0

    def once() -> None:
        with transaction.atomic():
            ended = Delivery.objects.of(tenant).filter(pk__in=ids, finished_at__lt=before)
            _begin_behind(tenant, ended.filter(redelivery_id=0, seq__isnull=False))
            held = Delivery.objects.of(tenant).lock(list(ended.values_list("pk", flat=True)))
            gone = [row.id for row in held if row.state not in OPEN_STATES]
            shifts = Counter(
                (row.owner_id, row.state, row.reason, tenant.pk) for row in held if row.id in gone
            )
            DeliveryAttempt.objects.of(tenant).filter(delivery__in=gone).delete()
            Delivery.objects.of(tenant).filter(pk__in=gone).delete()
            DeliveryCount.objects.of(tenant).shift({key: -count for key, count in shifts.items()})

    again_on_deadlock(once)
    _looked_at[tenant.pk] = ids[-1]
    return len(ids)


def _begin_behind(tenant: Tenant, dropped: QuerySet[Delivery]) -> None:
    """See to it that a reader that is sent back does not take what was dropped for what was never made."""
    last = dropped.values_list("subscription").annotate(last=Max("seq")).order_by("subscription")
    for subscription_id, seq in last:
        rows = Subscription.objects.of(tenant).filter(pk=subscription_id, from_seq__lt=seq)
        rows.update(from_seq=seq)
