"""Rows for tests: plain functions with defaults. Numbers come from a range nobody owns."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from clarion.flows import mailings
from clarion.flows.mailings import Draft
from clarion.models import Customer, Mailing, Tenant

_numbers = count(1)


def make_customer(tenant: Tenant, **fields: Any) -> Customer:
    row = Customer(
        tenant=tenant,
        phone=fields.pop("phone", f"7000000{next(_numbers):04}"),
        created_at=datetime.now(UTC),
    )
    row.locate(fields.pop("timezone", "UTC"))
    row.relabel(operator_code=fields.pop("operator_code", "000"), tag=fields.pop("tag", None))
    row.external_id = fields.pop("external_id", None)
    row.describe(fields.pop("attributes", {}))
    assert not fields, f"a customer has no {', '.join(fields)}"
    row.save()
    return row


def make_mailing(tenant: Tenant, *, now: datetime, is_test: bool = False, **fields: Any) -> Mailing:
    draft = Draft(
        **{
            "text": "Your parcel is on its way.",
            "starts_at": now - timedelta(minutes=1),
            "ends_at": now + timedelta(hours=1),
            **fields,
        }
    )
    return mailings.create(tenant, draft, is_test=is_test, now=now)


def statuses(mailing: Mailing) -> dict[str, int]:
    """How many messages of a mailing are in each state, counted from the rows."""
    found: dict[str, int] = {}
    for state in mailing.message_set.values_list("state", flat=True):
        found[state] = found.get(state, 0) + 1
    return found
