"""Which message a purchase is put down to: the one it names, else what the customer last clicked, else last opened."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import NamedTuple

from django.conf import settings

from clarion.flows.mail_events import MailEvent
from clarion.flows.mail_ties import person_id
from clarion.models import Customer, Engagement, Tenant
from clarion.models.engagements import Credit, Kind

# Shops without a date tell the year 1; no moment has a window that begins before it.
_FIRST = datetime.min.replace(tzinfo=UTC)
# Purchases, sorted by time, whose touches are read at once. With fewer, what a busy customer did is read over and over
# (1,000 purchases beside 20,000 touches: 2.5 s with 50 of them, 0.8 s with 200); with more, the touches of months are read
# for everybody (purchases of a year: 0.3 s with 200, 0.4 s with all).
PIECE = 200


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


# A customer, whether by a test key, and what they did.
_Whose = tuple[int, bool, str]
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
    bought = sorted((each for each in purchases if each.seq in buyers), key=attrgetter("at"))
    found: dict[int, Credited] = {}
    for begin in range(0, len(bought), PIECE):
        piece = bought[begin : begin + PIECE]
        touches = _touches(tenant, piece, buyers, window)
        for each in piece:
            if (credited := _last(each, buyers[each.seq], touches, window)) is not None:
                found[each.seq] = credited
    return found


def _touches(
    tenant: Tenant, piece: Sequence[MailEvent], buyers: Mapping[int, int], window: timedelta
) -> Mapping[_Whose, Sequence[_Touch]]:
    """Return what may have led to these purchases, which are sorted by time, sorted by time as well."""
    customers = {buyers[each.seq] for each in piece}
    rows = Engagement.objects.of(tenant, leads=False).by_people(
        customers, _begin(piece[0].at, window), piece[-1].at
    )
    latest = max(each.seq for each in piece)
    touches: defaultdict[_Whose, list[_Touch]] = defaultdict(list)
    for row in rows.filter(mailing__test_of=None).values_list(*_COLUMNS):
        touch = _Touch._make(row)
        # Of a log that is read again there may be many that none of these purchases may see. Asked for here, since the
        # database would be tempted to look for them by their number.
        if touch.seq < latest:
            touches[touch.customer_id, touch.is_test, touch.kind].append(touch)
    for mine in touches.values():
        mine.sort()
    return touches


def _last(
    purchase: MailEvent, buyer: int, touches: Mapping[_Whose, Sequence[_Touch]], window: timedelta
) -> Credited | None:
    since = _begin(purchase.at, window)
    for kind, why in ((Kind.CLICKED, Credit.LAST_CLICK), (Kind.OPENED, Credit.LAST_OPEN)):
        mine = touches.get((buyer, purchase.is_test, str(kind)), ())
        place = bisect_right(mine, purchase.at, key=attrgetter("at"))
        # Back over what was told after the purchase, of a time before it: little, since it came in the same piece.
        while place and (last := mine[place - 1]).at >= since:
            if last.seq < purchase.seq:
                return Credited(last.message_id, last.mailing_id, last.customer_id, why)
            place -= 1
    return None


def _begin(at: datetime, window: timedelta) -> datetime:
    """Return when the window that ends at a moment begins."""
    return at - window if at - _FIRST > window else _FIRST
