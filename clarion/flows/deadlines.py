"""What waits behind a closed lane, where nothing looks at it: its deadline ends it all the same."""

from datetime import datetime, timedelta

from django.db import transaction

from clarion.models import Lane, Mailing, Message, State
from clarion.models.moves import Move, move
from clarion.models.outgoing import Reason
from clarion.models.transactions import again_on_deadlock

# Rows ended in one transaction: as many as SQLite moves in about 25 ms.
BATCH = 1_000
# Hours come every day, or two days later where a zone left one out: no last stretch ends earlier before the mailing.
NOT_BEFORE = timedelta(days=3)


def expire_held(now: datetime) -> int:
    """Expire waiting messages whose local hours end for good while their account's lane is closed; return how many.

    Messages whose deadline is the end of their mailing are not looked for: closing the mailing ends them.
    """
    return again_on_deadlock(lambda: _expire_held(now))


def _expire_held(now: datetime) -> int:
    running = Mailing.objects.filter(state=Mailing.RUNNING, finished_at=None, local_from__isnull=False)
    ending = running.filter(ends_at__lte=now + NOT_BEFORE)
    closed = Lane.objects.filter(closed_until__gt=now)
    behind = ending.filter(account__lane__in=closed).values_list("pk", flat=True)
    # Looked for before the transaction: it may take a while, and keeps nobody from writing.
    overdue = Message.objects.filter(mailing_id__in=list(behind), state=State.WAITING, deadline_at__lte=now)
    ids = list(overdue.order_by("id").values_list("id", flat=True)[:BATCH])
    if not ids:
        return 0
    with transaction.atomic():
        held = [row for row in Message.objects.lock(ids) if row.state == State.WAITING]
        ended = {"finished_at": now}
        move(Message, [Move(row, State.EXPIRED, Reason.NO_LOCAL_HOURS, ended) for row in held], now)
    return len(held)
