"""Clients that go out as a file: for whom it is, and how far the writing is."""

from typing import Self

from django.db import models

from clarion.lib.records import CSV
from clarion.models.conditions import filter_of
from clarion.models.customers import Customer, Customers
from clarion.models.files import Transfer
from clarion.models.tenants import TenantRows


class Exports(TenantRows["Export"]):
    def open(self) -> Self:
        """Those that are not whole yet, the one longest not served first."""
        return self.filter(state__in=Export.OPEN).order_by("served_at", "id")


class Export(Transfer):
    """One file of clients on its way out. Everybody up to the id `cursor` is in it.

    A CSV file begins with its header, so its clients are looked at twice: `columns` are the attributes that anybody
    has, all of them once it `is_surveyed`; should one turn up later, the file is begun anew. Who is in it was fixed
    when it was asked for: `last_customer_id`.
    """

    tag_filter = models.CharField(max_length=255, null=True)  # noqa: DJ001 - an empty tag is one, too
    filter = models.JSONField(null=True)
    operator_code_filter = models.CharField(max_length=64, null=True)  # noqa: DJ001 - the same
    is_surveyed = models.BooleanField(default=False)
    cursor = models.BigIntegerField(default=0)
    last_customer_id = models.BigIntegerField()
    rows = models.BigIntegerField(default=0)

    objects = Exports.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "id"], name="export_tenant"),
            models.Index(fields=["state", "served_at", "id"], name="export_open"),
        ]

    @property
    def progress(self) -> float:
        """How much of the work is done, from 0 to 1; clients are passed over twice where columns are looked for."""
        if self.state == Export.DONE:
            return 1.0
        share = min(self.cursor / max(self.last_customer_id, 1), 1.0)
        return share if self.format != CSV else (share + self.is_surveyed) / 2

    def customers(self) -> Customers:
        """Everybody who is in it, in the order of the file."""
        rows = Customer.objects.of(self.tenant).filter(id__lte=self.last_customer_id).order_by("id")
        rows = rows.matching(operator_code=self.operator_code_filter, tag=self.tag_filter)
        return rows if self.filter is None else rows.where(filter_of(self.filter))
