"""An operator settles a message in doubt: it arrived after all, or it may be sent again."""

from datetime import datetime

import structlog
from django.db import transaction

from clarion.models import Attempt, Message, State
from clarion.models.moves import Move, move
from clarion.models.outgoing import Held, Reason
from clarion.models.transactions import again_on_deadlock

log = structlog.get_logger()

# The outcome of a try that an operator decided.
SETTLED = "settled"


def settle(ids: list[int], *, arrived: bool, now: datetime) -> int:
    """Close what is in doubt among these messages; return how many were. Others are left as they are.

    `arrived` makes them SENT; otherwise they are sent again, which may reach a person twice.
    """
    settled = again_on_deadlock(lambda: _settle(ids, arrived, now))
    for row in settled:
        log.info("message_settled", message_id=row.id, mailing_id=row.owner_id, arrived=arrived)
    return len(settled)


def _settle(ids: list[int], arrived: bool, now: datetime) -> list[Held]:
    with transaction.atomic():
        held = [row for row in Message.objects.lock(ids) if row.state == State.UNKNOWN]
        if arrived:
            steps = [Move(row, State.ACCEPTED, "", {"finished_at": now}) for row in held]
        else:
            steps = [Move(row, State.WAITING, Reason.RETRY, {"due_at": now}) for row in held]
        move(Message, steps, now)
        Attempt.objects.bulk_create(_decision(row, arrived, now) for row in held)
    return held


def _decision(row: Held, arrived: bool, now: datetime) -> Attempt:
    """What an operator said of a try, beside what came of it by itself."""
    return Attempt(
        tenant_id=row.tenant_id,
        message_id=row.id,
        number=row.tries,
        worker_id=row.worker_id,
        ended_at=now,
        outcome=SETTLED,
        detail="It arrived." if arrived else "It shall go again.",
    )
