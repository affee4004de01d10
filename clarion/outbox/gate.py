"""The last questions, asked in the transaction that writes `sending`. Whoever is refused here is not sent to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from clarion.lib.texts import BadText, CannotRender, compile_text
from clarion.models import Customer, Mailing, State
from clarion.models.outgoing import Held, Reason

# A send starts at least this long before its deadline: less is not enough for a slow sender to take it in time.
LEAST_TIME = timedelta(seconds=2)


class Due(NamedTuple):
    """A due row as it was read under its lock, with what sending it takes."""

    held: Held
    lane_id: int
    customer_id: int
    address: str
    text: str
    counted_tries: int
    deadline_at: datetime


@dataclass(frozen=True, slots=True)
class Go:
    """Send this text."""

    due: Due
    text: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Do not send. The row becomes `to`; a held one is looked at again at `look_again_at`."""

    due: Due
    to: str
    reason: str
    look_again_at: datetime | None = None


Verdict = Go | Stop


def ask(rows: Sequence[Due], *, now: datetime) -> list[Verdict]:
    """Return one verdict per row, in order. Reads what it needs in one query per kind, however many rows."""
    if not rows:
        return []
    mailings = Mailing.objects.in_bulk({row.held.owner_id for row in rows})
    customers = _customers({row.customer_id for row in rows})
    return [_verdict(row, mailings[row.held.owner_id], customers.get(row.customer_id), now) for row in rows]


def is_too_late(deadline_at: datetime, now: datetime) -> bool:
    return now + LEAST_TIME > deadline_at


def _verdict(row: Due, mailing: Mailing, customer: Mapping[str, object] | None, now: datetime) -> Verdict:
    if mailing.state == Mailing.CANCELLED:
        return Stop(row, State.CANCELLED, Reason.MAILING_CANCELLED)
    if customer is None:
        return Stop(row, State.CANCELLED, Reason.CUSTOMER_DELETED)
    if is_too_late(row.deadline_at, now):
        return Stop(row, State.EXPIRED, Reason.WINDOW_OVER)
    if mailing.paused_at is not None:
        # Resuming sets it free; should nobody resume, its deadline does.
        return Stop(row, State.WAITING, Reason.PAUSED, look_again_at=row.deadline_at)
    try:
        # A text is rendered once, before the first try; a retry sends what the first one sent.
        text = row.text or compile_text(mailing.text).render(customer)
    except (BadText, CannotRender):
        # BadText: it was good when it was stored, and the rules have grown stricter since.
        return Stop(row, State.FAILED, Reason.CANNOT_RENDER)
    return Go(row, text)


def _customers(ids: set[int]) -> dict[int, dict[str, object]]:
    """Return what texts may say of these customers; one who was deleted is not among them."""
    names = ("id", "phone", "operator_code", "tag", "timezone")
    rows = Customer.objects.filter(id__in=ids).values_list(*names)
    return {row[0]: dict(zip(names, row, strict=True)) for row in rows}
