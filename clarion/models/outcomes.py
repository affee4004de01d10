"""What becomes of what we do, as events of the same log: written in the transaction in which it becomes so."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from clarion.lib.comparable import fold
from clarion.models.attributes import facts_of
from clarion.models.bulk import Values, read_among
from clarion.models.events import Event
from clarion.models.subscriptions import Subscription
from clarion.models.tenants import Tenant

# Rare ones are always told. Of the many the rows themselves are the record: they are told while somebody asks for them.
RARE = ("MESSAGE_FAILED", "CUSTOMER_UNSUBSCRIBED", "MAILING_FINISHED", "SUBSCRIPTION_DISABLED")
MANY = ("MESSAGE_SENT", "MESSAGE_DELIVERED", "MESSAGE_OPENED", "MESSAGE_CLICKED")
OUTCOMES = (*RARE, *MANY)


class Outcome(NamedTuple):
    """Something that became of what we did.

    `event_id` is the same however often it is told, and begins so that no shop has it; `facts` are what is known of it,
    as texts.
    """

    kind: str
    event_id: str
    entity_name: str
    entity_id: str
    customer_ref: str | None
    is_test: bool
    facts: Mapping[str, str]


def asked(tenants: Collection[int], kinds: Collection[str]) -> set[tuple[int, str]]:
    """Return which of these are to be told, by tenant: the rare ones, and the many that a subscription names."""
    told = {(tenant, kind) for tenant in tenants for kind in kinds if kind in RARE}
    many = sorted(kind for kind in kinds if kind in MANY)
    if many and tenants:
        # Written out: it is asked in every round in which something was sent.
        sql = (
            f"SELECT DISTINCT tenant_id, entity_type FROM {Subscription._meta.db_table} "  # noqa: S608 - our names
            f"WHERE is_active AND tenant_id IN ({', '.join(map(str, sorted(tenants)))}) AND entity IN (…)"
        )
        told |= {(tenant, kind) for tenant, kind in read_among(sql, [], [kind.lower() for kind in many])}
    return told


def write(tenant: Tenant, outcomes: Sequence[Outcome], now: datetime) -> None:
    """Put these into the tenant's log, at the end of the caller's transaction: it holds the log's head from then on."""
    if outcomes:
        Event.objects.append(tenant, [_row(each, now) for each in outcomes])


def _row(outcome: Outcome, now: datetime) -> Values:
    document: dict[str, Any] = {
        "id": outcome.event_id,
        "event_type": outcome.kind,
        "event_source": "SYSTEM",
        "entity_name": outcome.entity_name,
        "entity_id": outcome.entity_id,
        "event_payload": {"operation": "CREATE", "key_attributes": dict(outcome.facts)},
    }
    if outcome.customer_ref is not None:
        document["customer_id"] = outcome.customer_ref
    return (
        outcome.event_id,
        outcome.kind,
        fold(outcome.entity_name),
        outcome.entity_id,
        "SYSTEM",
        "CREATE",
        # In what is told about a customer it would stand beside what it is about.
        None,
        now,
        now,
        outcome.is_test,
        False,
        msgspec.json.encode(facts_of(dict(outcome.facts))).decode(),
        msgspec.json.encode(document).decode(),
    )
