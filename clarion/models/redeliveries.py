"""Events or deliveries that somebody asked to be sent to a subscriber once more."""

from typing import Self

from django.db import models

from clarion.models.subscriptions import Subscription
from clarion.models.tenants import Tenant, TenantRows


class Redeliveries(TenantRows["Redelivery"]):
    def to_run(self) -> Self:
        return self.filter(finished_at=None)


class Redelivery(models.Model):
    """What was asked for, by whom, and how far it has come: done in slices, and kept as the record that it was done.

    A replay sends the events numbered from behind `after` to `until` as new deliveries; a recovery sends deliveries
    that failed since `since`, of those with these ids, again. `cursor` is the last number looked at, `found` how many
    there seemed to be when it was asked for, `done` how many have been put on their way.
    """

    REPLAY, RECOVERY = "replay", "recovery"

    tenant = models.ForeignKey(Tenant, models.CASCADE, db_index=False)
    subscription = models.ForeignKey(Subscription, models.CASCADE, db_index=False)
    kind = models.CharField(max_length=10)
    after = models.BigIntegerField()
    until = models.BigIntegerField()
    since = models.DateTimeField(null=True, blank=True)
    filter = models.JSONField(null=True, blank=True)
    cursor = models.BigIntegerField()
    found = models.BigIntegerField()
    done = models.BigIntegerField(default=0)
    asked_by = models.CharField(max_length=100)
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = Redeliveries.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "subscription", "id"], name="redelivery_tenant"),
            models.Index(fields=["finished_at"], name="redelivery_due"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"
