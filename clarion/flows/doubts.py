"""An operator settles a message in doubt: it arrived after all, or it may be sent again."""

from datetime import datetime

from django.db import transaction

from clarion.models import Message, State
from clarion.models.moves import Move, move
from clarion.models.outgoing import Reason
from clarion.models.transactions import again_on_deadlock


def settle(ids: list[int], *, arrived: bool, now: datetime) -> int:
    """Close what is in doubt among these messages; return how many were. Others are left as they are.

    `arrived` makes them SENT; otherwise they are sent again, which may reach a person twice.
    """
    return again_on_deadlock(lambda: _settle(ids, arrived, now))


def _settle(ids: list[int], arrived: bool, now: datetime) -> int:
    with transaction.atomic():
        held = [row for row in Message.objects.lock(ids) if row.state == State.UNKNOWN]
        if arrived:
            steps = [Move(row, State.ACCEPTED, "", {"finished_at": now}) for row in held]
        else:
            steps = [Move(row, State.WAITING, Reason.RETRY, {"due_at": now}) for row in held]
        move(Message, steps)
    return len(steps)
