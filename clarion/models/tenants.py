"""Whose data it is, the keys that prove it, and the answers kept for repeated requests."""

from datetime import UTC, datetime, tzinfo
from typing import Self, TypeVar

from django.db import connection, models

from clarion.lib.zones import find_zone

Row = TypeVar("Row", bound=models.Model)


class TenantRows(models.QuerySet[Row]):
    """Rows that belong to a tenant. Every query on them starts with `of`."""

    def of(self, tenant: "Tenant", *, leads: bool = True) -> Self:
        """Those of this tenant. Without `leads` they are found by something else, and then looked at for the tenant.

        SQLite takes any tenant for ten rows: where one asks for more than a handful of customers or messages, it would
        go through all that the tenant has. As a sum the tenant is in no index.
        """
        if leads or connection.vendor != "sqlite":
            return self.filter(tenant=tenant)
        return self.alias(owner=models.F("tenant_id") + 0).filter(owner=tenant.pk)


class Tenant(models.Model):
    """A retailer, or one brand of it. `name` is what X-TWC-Tenant carries.

    `keep_…` says how long its rows of that kind are kept: null as the installation has it, 0 for ever.
    """

    name = models.CharField(max_length=64, unique=True)
    timezone = models.CharField(max_length=64, default="UTC")
    created_at = models.DateTimeField()
    keep_events_days = models.PositiveIntegerField(null=True, blank=True)
    keep_messages_days = models.PositiveIntegerField(null=True, blank=True)
    keep_deliveries_days = models.PositiveIntegerField(null=True, blank=True)
    keep_attempts_days = models.PositiveIntegerField(null=True, blank=True)
    keep_answers_hours = models.PositiveIntegerField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name

    @property
    def zone(self) -> tzinfo:
        """Where times and hours without a zone of their own are."""
        return find_zone(self.timezone) or UTC


class ApiKey(models.Model):
    """A credential of one tenant. Only the hash is kept; the key itself is shown once."""

    tenant = models.ForeignKey(Tenant, models.CASCADE)
    name = models.CharField(max_length=100)
    is_test = models.BooleanField()
    digest = models.CharField(max_length=64, unique=True)
    hint = models.CharField(max_length=20)
    scopes = models.JSONField()
    created_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = TenantRows["ApiKey"].as_manager()

    def __str__(self) -> str:
        return f"{self.name} ({self.hint})"


class IdempotencyRows(TenantRows["IdempotencyRecord"]):
    def outdated(self, created_before: datetime | None) -> Self:
        """Those that were kept as long as they are to be; None: none is."""
        return self.none() if created_before is None else self.filter(created_at__lt=created_before)


class IdempotencyRecord(models.Model):
    """The final answer to one POST that named an Idempotency-Key, stored in the transaction of its effect.

    `digest` stands for method, path and key; `fingerprint` for the body. `status` is empty only inside the
    transaction that computes the answer.
    """

    tenant = models.ForeignKey(Tenant, models.CASCADE, db_index=False)
    digest = models.CharField(max_length=64)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    headers = models.JSONField(default=dict)
    body = models.BinaryField(default=b"")
    created_at = models.DateTimeField(db_index=True)

    objects = IdempotencyRows.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "digest"], name="idempotency_key_once")]

    def __str__(self) -> str:
        return self.digest[:12]
