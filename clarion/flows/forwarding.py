"""Events reach whoever subscribed: the reader of the log that makes a delivery for each, and the end of subscriptions."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import islice

import structlog
from django.db import connection

from clarion.flows.matching import Heard, Interest, Wanted
from clarion.flows.reading import TooMuch
from clarion.flows.rounds import each
from clarion.models import Delivery, DeliveryCount, Lane, State, Subscription, Tenant
from clarion.models.bulk import Values, insert_rows, read_among
from clarion.models.deliveries import line
from clarion.models.events import Logged
from clarion.models.moves import Move, move
from clarion.models.outcomes import Outcome, write
from clarion.models.outgoing import FIRST_TRY, Reason

log = structlog.get_logger()

# All tries of a delivery fit into 151 hours, and what waits in line or behind a closed lane has some time left.
LONGEST = timedelta(days=7)
# Deliveries made at once, more only of a single event: what a slice may take (`flows/reading.py`), at 11 µs each.
MOST_AT_ONCE = {"sqlite": 2_000}
MOST_ON_SERVER = 20_000
# Deliveries cancelled in one transaction: as many as SQLite moves in about 25 ms.
SWEEP = 500

COLUMNS = (
    *("tenant", "subscription", "lane", "seq", "redelivery_id", "order_key", "state", "reason", "priority"),
    *(
        "due_at",
        "deadline_at",
        "created_at",
        "tries",
        "counted_tries",
        "worker_deaths",
        "provider_id",
        "code",
    ),
    "body",
)


def apply(tenant: Tenant, events: Sequence[Logged], now: datetime) -> None:
    """Make a delivery of each event for each subscription that wants to hear of it, once."""
    heard = [Heard(event) for event in events]
    wanted = Wanted(Subscription.objects.of(tenant), heard)
    pairs = ((interest, told.event) for told in heard for interest in wanted.by(told))
    most = MOST_AT_ONCE.get(connection.vendor, MOST_ON_SERVER)
    some = list(islice(pairs, most + 1))
    if len(some) > most and len(events) > 1:
        raise TooMuch
    make(tenant, [*some, *pairs], now)


def is_wanted(tenant: Tenant) -> bool:
    """Whether anybody is subscribed to anything."""
    return Subscription.objects.of(tenant).active().exists()


def make(
    tenant: Tenant,
    pairs: Collection[tuple[Interest, Logged]],
    now: datetime,
    *,
    redelivery_id: int = 0,
    priority: int = FIRST_TRY,
) -> int:
    """Make a delivery for each of these pairs, in the caller's transaction; return how many were not there before.

    Where an order is kept they stand in line, and the first of each line may go.
    """
    new = _unknown(pairs, redelivery_id)
    if not new:
        return 0
    hold_lanes(interest.lane_id for interest, _ in new if interest.is_ordered)
    waiting, deadline_at, tenant_id = State.WAITING.value, now + LONGEST, tenant.pk
    rows: list[Values] = []
    lines = set()
    shifts: Counter[tuple[int, str, str, int]] = Counter()
    for interest, event in new:
        place, reason, due_at = None, "", now
        if interest.is_ordered:
            # Its line lets it go.
            place, reason, due_at = line(interest.subscription_id, event.about), Reason.IN_LINE, deadline_at
            lines.add(place)
        owner = (tenant_id, interest.subscription_id, interest.lane_id, event.seq, redelivery_id, place)
        rows.append((*owner, waiting, reason, priority, due_at, deadline_at, now, 0, 0, 0, "", "", ""))
        shifts[interest.subscription_id, waiting, reason, tenant_id] += 1
    insert_rows(Delivery, COLUMNS, rows)
    if lines:
        Delivery.objects.of(tenant, leads=False).let_go(lines, now)
    DeliveryCount.objects.of(tenant).shift(shifts)
    return len(new)


def hold_lanes(lane_ids: Iterable[int]) -> None:
    """Hold these lanes until the end of the transaction: nobody else puts a row in line there, or ends one."""
    wanted = sorted(set(lane_ids))
    if wanted:
        list(Lane.objects.filter(pk__in=wanted).select_for_update().order_by("pk").values_list("pk"))


def sweep_due(now: datetime) -> int:
    """Cancel the next waiting deliveries of subscriptions that ended; return how many were looked at.

    Also where one was swept, and something came back to wait that was under way then.
    """
    again = sum(each(Subscription.objects.to_sweep_again().order_by("pk"), _sweep_again, now))
    return again + sum(each(Subscription.objects.to_sweep().order_by("pk"), _sweep, now))


def _unknown(pairs: Collection[tuple[Interest, Logged]], redelivery_id: int) -> list[tuple[Interest, Logged]]:
    """Return those of which there is no delivery yet: a reader may come by an event again."""
    if not pairs:
        return []
    numbers = [event.seq for _, event in pairs]
    known = set(
        read_among(
            f"SELECT subscription_id, seq FROM {Delivery._meta.db_table} "  # noqa: S608 - names of ours, no values
            "WHERE seq BETWEEN %s AND %s AND redelivery_id = %s AND subscription_id IN (…)",
            [min(numbers), max(numbers), redelivery_id],
            sorted({interest.subscription_id for interest, _ in pairs}),
        )
    )
    return [pair for pair in pairs if (pair[0].subscription_id, pair[1].seq) not in known]


def _sweep(subscription: Subscription, now: datetime) -> int:
    if subscription.sweep_cursor is None:
        return 0
    tenant = subscription.tenant
    if subscription.is_ordered:
        # Otherwise one that ends meanwhile would let go whom this cancels, and nobody else.
        hold_lanes([subscription.lane_id])
    is_first = subscription.sweep_cursor == 0
    waiting = Delivery.objects.of(tenant, leads=False).filter(subscription=subscription, state=State.WAITING)
    # Examples go to whoever ended, too.
    rows = waiting.filter(pk__gt=subscription.sweep_cursor, seq__isnull=False).order_by("pk")
    ids = [] if subscription.is_active else list(rows.values_list("pk", flat=True)[:SWEEP])
    held = [row for row in Delivery.objects.of(tenant).lock(ids) if row.state == State.WAITING]
    ended = {"finished_at": now}
    move(Delivery, [Move(row, State.CANCELLED, Reason.SUBSCRIPTION_ENDED, ended) for row in held], now)
    subscription.sweep_cursor = ids[-1] if len(ids) == SWEEP else None
    if is_first and subscription.disabled_because:
        _tell(subscription, now)
    return 1


def _sweep_again(subscription: Subscription, now: datetime) -> int:
    # Asked of the rows: a wrong counter must not begin sweeps without end.
    rows = Delivery.objects.of(subscription.tenant, leads=False)
    waiting = rows.filter(subscription=subscription, state=State.WAITING, seq__isnull=False)
    if subscription.sweep_cursor is not None or subscription.is_active or not waiting.exists():
        return 0
    # Not 0: whoever wants to know of its end was told already.
    subscription.sweep_cursor = -1
    return 1


def _tell(subscription: Subscription, now: datetime) -> None:
    outcome = Outcome(
        kind="SUBSCRIPTION_DISABLED",
        event_id=f"clarion-subscription-{subscription.uid.hex}-{now.timestamp():.0f}",
        entity_name="SUBSCRIPTION",
        entity_id=subscription.ref,
        customer_ref=None,
        is_test=subscription.is_test,
        facts={"subscription": subscription.ref, "reason": subscription.disabled_because},
    )
    write(subscription.tenant, [outcome], now)
