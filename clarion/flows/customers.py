"""A customer leaves: what waits for them is cancelled in the same moment."""

from datetime import datetime

import structlog
from django.db import transaction

from clarion.models import Customer, Message, State
from clarion.models.moves import Move, move
from clarion.models.outgoing import Reason
from clarion.models.transactions import again_on_deadlock

log = structlog.get_logger()


def delete(customer: Customer, *, now: datetime) -> None:
    """Delete the customer and cancel what waits for them. Messages sent before still count."""
    again_on_deadlock(lambda: _delete(customer, now))
    log.info("client_deleted", client_id=customer.pk, tenant=customer.tenant.name)


def _delete(customer: Customer, now: datetime) -> None:
    with transaction.atomic():
        mine = Message.objects.of(customer.tenant).filter(customer_id=customer.pk, state=State.WAITING)
        held = Message.objects.lock(list(mine.values_list("id", flat=True)))
        waiting = [row for row in held if row.state == State.WAITING]
        move(
            Message,
            [Move(row, State.CANCELLED, Reason.CUSTOMER_DELETED, {"finished_at": now}) for row in waiting],
            now,
        )
        Customer.objects.of(customer.tenant).filter(pk=customer.pk).delete()
