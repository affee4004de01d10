"""The last questions, asked in the transaction that writes `sending`. Whoever is refused here is not sent to."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from clarion.gateways import channel_of
from clarion.lib.texts import BadText, CannotRender, compile_text
from clarion.lib.zones import find_zone
from clarion.models import Customer, Mailing, State
from clarion.models.bulk import read_rows
from clarion.models.consents import MessageClass
from clarion.models.customers import TEXT_NAMES
from clarion.models.outgoing import Held, Reason
from clarion.models.permissions import MENTIONED, Asked, refusals
from clarion.outbox.verdicts import Go, Stop, Verdict

# A send starts at least this long before its deadline: less is not enough for a slow sender to take it in time.
LEAST_TIME = timedelta(seconds=2)
# What it reads of a mailing.
_ASKED = (
    *("state", "paused_at", "text", "ends_at", "local_from", "local_until", "test_of_id"),
    *("tenant__timezone", "account__gateway"),
)


class MessageDue(NamedTuple):
    """A due message (`verdicts.Due`)."""

    held: Held
    lane_id: int
    customer_id: int
    address: str
    text: str
    counted_tries: int
    priority: int
    deadline_at: datetime


def ask(rows: Sequence[MessageDue], *, now: datetime) -> list[Verdict]:
    """Return one verdict per row, in order. Reads what it needs in one query per kind, however many rows."""
    if not rows:
        return []
    read = Mailing.objects.select_related("tenant", "account").only(*_ASKED)
    mailings = read.in_bulk({row.held.owner_id for row in rows})
    customers, mentioned = _customers({row.customer_id for row in rows})
    refused = _refused(_in_question(rows, customers, mentioned), mailings, customers)
    return [
        _verdict(
            row, mailings[row.held.owner_id], customers.get(row.customer_id), refused.get(row.held.id), now
        )
        for row in rows
    ]


def is_too_late(deadline_at: datetime, now: datetime) -> bool:
    return now + LEAST_TIME > deadline_at


def _in_question(
    rows: Sequence[MessageDue], customers: Mapping[int, Mapping[str, Any]], mentioned: set[int]
) -> list[MessageDue]:
    """Return the rows that the ledger has to be asked about: it mentions their customer, or their address may differ."""
    return [
        row
        for row in rows
        if row.customer_id in mentioned
        or (row.customer_id in customers and row.address != customers[row.customer_id]["phone"])
    ]


def _refused(
    rows: Sequence[MessageDue], mailings: Mapping[int, Mailing], customers: Mapping[int, Mapping[str, Any]]
) -> dict[int, str]:
    """Return for the ids of those who may not be written to, why."""
    asked = []
    for row in rows:
        mailing, customer = mailings[row.held.owner_id], customers[row.customer_id]
        asked.append(
            Asked(
                tenant_id=row.held.tenant_id,
                customer_id=row.customer_id,
                external_id=customer["external_id"],
                address=row.address,
                channel=channel_of(mailing.account.gateway),
                # All that mailings send; what an order or a parcel is about has another way out.
                message_class=MessageClass.MARKETING,
                # Shown to somebody else, a message is not to the customer whose text it has.
                is_for_them=mailing.test_of_id is None or row.address == customer["phone"],
            )
        )
    return {row.held.id: reason for row, reason in zip(rows, refusals(asked), strict=True) if reason}


def _verdict(
    row: MessageDue,
    mailing: Mailing,
    customer: Mapping[str, object] | None,
    refused: str | None,
    now: datetime,
) -> Verdict:
    if mailing.state == Mailing.CANCELLED:
        return Stop(row, State.CANCELLED, Reason.MAILING_CANCELLED)
    if customer is None:
        return Stop(row, State.CANCELLED, Reason.CUSTOMER_DELETED)
    row, columns = _in_zone(row, mailing, str(customer["zone"]))
    if is_too_late(row.deadline_at, now):
        is_over = mailing.hours is None or is_too_late(mailing.ends_at, now)
        reason = Reason.WINDOW_OVER if is_over else Reason.NO_LOCAL_HOURS
        return Stop(row, State.EXPIRED, reason, columns=columns)
    if refused:
        return Stop(row, State.SKIPPED, refused, columns=columns)
    if mailing.paused_at is not None:
        # Resuming sets it free; should nobody resume, its deadline does.
        return Stop(row, State.WAITING, Reason.PAUSED, row.deadline_at, columns)
    opening, closing = _hours(mailing, str(customer["zone"]), now)
    if is_too_late(row.deadline_at, opening):
        return Stop(row, State.EXPIRED, Reason.NO_LOCAL_HOURS, columns=columns)
    if opening > now:
        return Stop(row, State.WAITING, Reason.LOCAL_HOURS, opening, columns)
    try:
        # A text is rendered once, before the first try; a retry sends what the first one sent.
        text = row.text or compile_text(mailing.text).render(customer)
    except (BadText, CannotRender):
        # BadText: it was good when it was stored, and the rules have grown stricter since.
        return Stop(row, State.FAILED, Reason.CANNOT_RENDER)
    until = row.deadline_at if closing is None else min(row.deadline_at, closing)
    return Go(row, text, until, columns)


def _in_zone(row: MessageDue, mailing: Mailing, zone: str) -> tuple[MessageDue, dict[str, datetime]]:
    """Return the row with the deadline that it has where the customer lives now, and what changes with that."""
    if mailing.hours is None:
        return row, {}
    deadline = mailing.hours.last_closing(mailing.ends_at, find_zone(zone) or mailing.tenant.zone)
    if deadline == row.deadline_at:
        return row, {}
    return row._replace(deadline_at=deadline), {"deadline_at": deadline}


def _hours(mailing: Mailing, zone: str, now: datetime) -> tuple[datetime, datetime | None]:
    """Return from when the mailing may reach people of this zone, `now` if that is so, and until when."""
    hours = mailing.hours
    if hours is None:
        return now, None
    place = find_zone(zone) or mailing.tenant.zone
    return hours.open_for(LEAST_TIME, now, place)


def _customers(ids: set[int]) -> tuple[dict[int, dict[str, Any]], set[int]]:
    """Return what texts may say of these customers, and whom the ledger mentions; who was deleted is not there."""
    names = (*TEXT_NAMES, "zone")
    found, mentioned = {}, set()
    for *values, is_mentioned in read_rows(Customer, names, ids, MENTIONED):
        row = dict(zip(names, values, strict=True))
        row["attributes"] = json.loads(row["attributes"])
        found[row["id"]] = row
        if is_mentioned:
            mentioned.add(row["id"])
    return found, mentioned
