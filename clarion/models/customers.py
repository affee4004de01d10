"""Someone who can be reached; one record, whatever the door calls it (client, customer)."""

from collections.abc import Collection, Mapping
from typing import Self

from django.db import models

from clarion.lib.comparable import Scalar, fold
from clarion.lib.filters import Filter
from clarion.lib.zones import LONGEST_ZONE, find_zone
from clarion.models.attributes import facts_of
from clarion.models.conditions import meets
from clarion.models.tenants import Tenant, TenantRows

# What the text of a mailing may name.
TEXT_NAMES = ("id", "phone", "operator_code", "tag", "timezone", "external_id", "attributes")


class Customers(TenantRows["Customer"]):
    def matching(self, *, operator_code: str | None = None, tag: str | None = None) -> Self:
        """Those with this operator code and this tag, case ignored; None asks for nothing."""
        rows = self
        if operator_code is not None:
            rows = rows.filter(operator_key=fold(operator_code))
        if tag is not None:
            rows = rows.filter(tag_key=fold(tag))
        return rows

    def where(self, asked: Filter) -> Self:
        """Those who meet a filter."""
        return self.filter(meets(asked))

    def meant_by(self, refs: Collection[str]) -> dict[str, "Customer"]:
        """Return whom each reference means, if anybody: the shop's own word for somebody first, then Clarion's id."""
        wanted = set(refs)
        found = {row.external_id or "": row for row in self.filter(external_id__in=wanted)}
        ids = {ref: number for ref in wanted - found.keys() if (number := number_in(ref)) is not None}
        people = self.in_bulk(set(ids.values())) if ids else {}
        return found | {ref: people[number] for ref, number in ids.items() if number in people}

    def zones(self) -> list[str]:
        """Return the zones in which they live, as `Customer.zone` names them."""
        return list(self.order_by().values_list("zone", flat=True).distinct())

    def mentioning(self, text: str) -> Self:
        """Those whose phone, tag or operator code contains `text`."""
        return self.filter(
            models.Q(phone__contains=text)
            | models.Q(tag_key__contains=fold(text))
            | models.Q(operator_key__contains=fold(text))
        )


def number_in(ref: str) -> int | None:
    """Return the id of ours that a reference may be; None if it can be none."""
    return int(ref) if ref.isascii() and ref.isdigit() and len(ref) < len(str(2**63)) else None


class Customer(models.Model):
    """Someone who can be reached. `phone` is not unique: a shop may know one number twice.

    `operator_key` and `tag_key` are the labels as they are compared (`fold`); they are written together with
    the labels by `relabel`, because no database folds case the way the other two do. `facts` are to `attributes`
    what they are to the labels (`models/attributes.py`), written by `describe`.
    """

    tenant = models.ForeignKey(Tenant, models.CASCADE, db_index=False)
    phone = models.CharField(max_length=20)
    operator_code = models.CharField(max_length=64)
    tag = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001 - null is printed as null
    timezone = models.CharField(max_length=64)
    zone = models.CharField(max_length=LONGEST_ZONE, default="", blank=True, editable=False)
    external_id = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001 - unique where there is one
    attributes = models.JSONField(default=dict, blank=True)
    facts = models.JSONField(default=dict, blank=True, editable=False)
    operator_key = models.CharField(max_length=64, editable=False)
    tag_key = models.CharField(max_length=255, editable=False)
    created_at = models.DateTimeField()

    objects = Customers.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "external_id"], name="customer_external_once")
        ]
        indexes = [
            models.Index(fields=["tenant", "id"], name="customer_tenant"),
            models.Index(fields=["tenant", "operator_key", "id"], name="customer_operator"),
            models.Index(fields=["tenant", "tag_key", "id"], name="customer_tag"),
            models.Index(fields=["tenant", "phone", "id"], name="customer_phone"),
        ]

    def __str__(self) -> str:
        return f"customer {self.pk}"

    def relabel(self, *, operator_code: str, tag: str | None) -> None:
        """Set the labels and the form they are compared in; the caller saves."""
        self.operator_code, self.tag = operator_code, tag
        self.operator_key, self.tag_key = fold(operator_code), fold(tag or "")

    def describe(self, attributes: Mapping[str, Scalar]) -> None:
        """Set the attributes, all of them, and the form they are compared in; the caller saves.

        They have passed `models/attributes.py:errors_in`.
        """
        self.attributes, self.facts = dict(attributes), facts_of(attributes)

    def locate(self, timezone: str) -> None:
        """Set the time zone as it was written, and the zone it names: none means the tenant's. The caller saves."""
        self.timezone = timezone
        self.zone = timezone if find_zone(timezone) else ""
