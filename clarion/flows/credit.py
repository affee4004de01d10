"""Which message a purchase is put down to: the one it names, else what the customer last clicked, else last opened."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from django.conf import settings

from clarion.flows.mail_events import MailEvent
from clarion.flows.mail_ties import person_id
from clarion.models import Customer, Engagement, Tenant
from clarion.models.engagements import Credit, Kind

# Shops without a date tell the year 1; no moment has a window that begins before it.
_FIRST = datetime.min.replace(tzinfo=UTC)


class Credited(NamedTuple):
    """The message that gets the merit, and why."""

    message_id: int
    mailing_id: int
    customer_id: int
    credit: Credit


class _Touch(NamedTuple):
    """A customer opened or clicked a message. Compared, the later one is the greater."""

    at: datetime
    seq: int
    kind: str
    message_id: int
    mailing_id: int
    customer_id: int
    is_test: bool


_COLUMNS = ("at", "seq", "kind", "message_id", "mailing_id", "customer_id", "mailing__account__is_test")


def credit(
    tenant: Tenant, purchases: Sequence[MailEvent], people: Mapping[str, Customer]
) -> dict[int, Credited]:
    """Return what each of these purchases, which name no message of ours, is put down to, by the event's number.

    Only what stands before the purchase in the log counts, and happened before it, within the days that
    CLARION_CREDIT_DAYS says. So it makes no difference in which pieces, and how often, the log is read. What machines
    did, and test sends, give no credit.
    """
    buyers = {each.seq: number for each in purchases if (number := person_id(each.ref, people)) is not None}
    if not buyers:
        return {}
    window = timedelta(days=settings.CLARION.credit_days)
    moments = [each.at for each in purchases]
    rows = Engagement.objects.of(tenant).by_people(set(buyers.values()), _begin(min(moments), window), max(moments))
    touches: defaultdict[int, list[_Touch]] = defaultdict(list)
    for row in rows.filter(mailing__test_of=None).values_list(*_COLUMNS):
        touch = _Touch._make(row)
        touches[touch.customer_id].append(touch)
    found = {
        each.seq: _last(each, touches[buyers[each.seq]], window) for each in purchases if each.seq in buyers
    }
    return {seq: credited for seq, credited in found.items() if credited is not None}



def _last(purchase: MailEvent, touches: Sequence[_Touch], window: timedelta) -> Credited | None:
    since = _begin(purchase.at, window)
    earlier = [
        touch
        for touch in touches
        if touch.seq < purchase.seq
        and touch.is_test == purchase.is_test
        and since <= touch.at <= purchase.at
    ]
    for kind, why in ((Kind.CLICKED, Credit.LAST_CLICK), (Kind.OPENED, Credit.LAST_OPEN)):
        if mine := [touch for touch in earlier if touch.kind == kind]:
            last = max(mine)
            return Credited(last.message_id, last.mailing_id, last.customer_id, why)
    return None


def _begin(at: datetime, window: timedelta) -> datetime:
    """Return when the window that ends at a moment begins."""
    return at - window if at - _FIRST > window else _FIRST
