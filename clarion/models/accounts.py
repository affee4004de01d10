"""A tenant's credentials for a gateway, and the lane its messages leave by."""

from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import models

from clarion.lib.secrets import Box
from clarion.models.tenants import Tenant, TenantRows


class Lane(models.Model):
    """What shares one fate on the way out: a gateway account. Shared by all workers, survives a restart.

    While `closed_until` lies ahead nothing is taken from the lane; its rows wait untouched.
    """

    closed_until = models.DateTimeField(null=True, blank=True)
    closed_because = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return f"lane {self.pk}"


class GatewayAccounts(TenantRows["GatewayAccount"]):
    def default(self) -> "GatewayAccount | None":
        """The account that is used where none is named: the one made last, so that adding one is choosing it."""
        return self.filter(is_test=False).order_by("-id").first()


class GatewayAccount(models.Model):
    """One tenant's way to one provider. The settings are encrypted at rest and never given back."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, db_index=False)
    uid = models.UUIDField(default=uuid4, unique=True, editable=False)
    name = models.CharField(max_length=100)
    gateway = models.CharField(max_length=64)
    sealed_settings = models.TextField(editable=False)
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

    @property
    def settings(self) -> dict[str, Any]:
        """The clear settings. Only `outbox/dispatch.py` has a use for them."""
        return Box(settings.SECRET_KEYS).open(self.sealed_settings, owner=self._owner)

    def seal(self, clear: dict[str, Any]) -> None:
        """Put `clear` in place of the settings; the caller saves."""
        self.sealed_settings = Box(settings.SECRET_KEYS).seal(clear, owner=self._owner)

    @property
    def _owner(self) -> str:
        return f"gateway_account:{self.uid}"
