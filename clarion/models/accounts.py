"""A tenant's credentials for a gateway, and the lane its messages leave by."""

from django.db import models

from clarion.models.sealed import Sealed
from clarion.models.tenants import Tenant, TenantRows

# Sends in a second: one in ten seconds is slower than anybody means; faster than the upper bound is no bound.
LEAST_RATE, LARGEST_RATE = 0.1, 100_000


class Lane(models.Model):
    """What shares one fate on the way out: a gateway account, or a subscription. Shared by all workers, survives a restart.

    While `closed_until` lies ahead nothing is taken from the lane; its rows wait untouched. A mailing with a rate of
    its own has a lane inside its account's (`parent`): it keeps its own pace, and closes with the account.
    """

    parent = models.ForeignKey("self", models.PROTECT, null=True, blank=True)
    # Sends begun in a second; null: as many as the slots allow.
    rate_per_second = models.FloatField(null=True, blank=True)
    # When the next send may begin, in seconds of the clock that leases are measured by.
    next_slot = models.FloatField(default=0.0)
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_until = models.DateTimeField(null=True, blank=True)
    closed_because = models.CharField(max_length=200, blank=True)
    # Of what is about one entity only one row is under way, and the others stand in line. Whoever puts a row into such
    # a lane, or brings one to its end, holds the lane: otherwise the next in line could be overlooked.
    is_ordered = models.BooleanField(default=False)
    # How often in a row the breaker opened, and how many sends on trial went right since.
    breaks = models.PositiveSmallIntegerField(default=0)
    passed = models.PositiveSmallIntegerField(default=0)
    # Since when it works again after the breaker, and goes slowly; null: at full speed.
    slow_since = models.DateTimeField(null=True, blank=True)
    # Set when the mailing it was made for has ended: nobody looks at it any more.
    ended_at = models.DateTimeField(null=True, blank=True, db_index=True)

    def __str__(self) -> str:
        return f"lane {self.pk}"

    @property
    def account(self) -> "GatewayAccount":
        """The account that it leads to."""
        return (self.parent or self).gatewayaccount


class GatewayAccounts(TenantRows["GatewayAccount"]):
    def default(self) -> "GatewayAccount | None":
        """The account that is used where none is named: the one made last, so that adding one is choosing it."""
        return self.filter(is_test=False).order_by("-id").first()


class GatewayAccount(Sealed):
    """One tenant's way to one provider. Its settings are never given back."""

    SEALED_FOR = "gateway_account"

    tenant = models.ForeignKey(Tenant, models.CASCADE, db_index=False)
    name = models.CharField(max_length=100)
    gateway = models.CharField(max_length=64)
    # Empty: the gateway's own policy. `resend` or `hold`: what happens to a send whose answer was lost.
    doubt = models.CharField(max_length=10, blank=True)
    is_test = models.BooleanField(default=False)
    lane = models.OneToOneField(Lane, models.PROTECT)
    created_at = models.DateTimeField()

    objects = GatewayAccounts.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="account_name_once")]

    def __str__(self) -> str:
        return f"{self.name} ({self.gateway})"
