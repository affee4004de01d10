"""Rounds of the outbox for tests: rows that are due, and cycles until nothing is left to do at this moment."""

import time
from datetime import datetime
from typing import Any

from django.db import transaction

from clarion.flows import mailings
from clarion.gateways import MessageContent
from clarion.models import GatewayAccount, Mailing, Message, State, Tenant, Worker
from clarion.models.moves import Move, move
from clarion.models.outgoing import FIRST_TRY
from clarion.outbox import claims
from clarion.outbox.cycle import Outbox
from clarion.outbox.landing import Departure
from tests.conftest import Clock
from tests.factories import make_customer, make_mailing

PATIENCE = 10  # seconds; what is waited for here takes milliseconds


def due_messages(tenant: Tenant, clock: Clock, count: int = 1, **mailing: Any) -> Mailing:
    """Return a started mailing with this many messages, all of them due."""
    tag = f"audience {Mailing.objects.count()}"
    for _ in range(count):
        make_customer(tenant, tag=tag)
    made = make_mailing(tenant, now=clock(), tag_filter=tag, **mailing)
    mailings.start_due(clock())
    mailings.materialise_due(clock())
    made.refresh_from_db()
    return made


def settle(outbox: Outbox, clock: Clock) -> None:
    """Run rounds until nothing is due and everything that was sent has its answer written down."""
    limit = time.monotonic() + PATIENCE
    while outbox.cycle(now=clock()) or not outbox.is_empty:
        assert time.monotonic() < limit, "the outbox does not come to rest"
        outbox.dispatch.landed.wait(0.01)


def until_landed(outbox: Outbox, count: int) -> None:
    """Wait until this many answers are there to be recorded."""
    limit = time.monotonic() + PATIENCE
    while len(outbox.dispatch._landings) < count:
        assert time.monotonic() < limit, "no answer came"
        time.sleep(0.001)


def departure(account: GatewayAccount, deadline_at: datetime, **fields: Any) -> Departure:
    """Return a send that may begin at once; `fields` change what it is."""
    usual: dict[str, Any] = {
        "id": 7,
        "owner_id": 3,
        "about_id": 5,
        "try_number": 1,
        "counted_tries": 0,
        "priority": FIRST_TRY,
        "lane_id": account.lane_id,
        "content": MessageContent(id=fields.get("id", 7), to="70000001234", text="hello"),
        "until": deadline_at,
        "is_trial": False,
        "is_ordered": False,
        "starts_at": 0.0,
        "gap": 0.0,
        "paced_by": account.lane_id,
    }
    return Departure(account=account, deadline_at=deadline_at, **{**usual, **fields})


def enlist(clock: Clock, *, pid: int = 1, lease_seconds: float = 60) -> Worker:
    return claims.enlist(pid=pid, now=clock(), lease_seconds=lease_seconds)


def in_flight(mailing: Mailing, worker: Worker, clock: Clock) -> list[Message]:
    """Let this worker have every waiting message of the mailing in its hands; return them."""
    ids = list(mailing.message_set.filter(state=State.WAITING).values_list("id", flat=True))
    with transaction.atomic():
        moves = [
            Move(
                row,
                State.SENDING,
                "",
                {"worker_id": worker.pk, "tries": row.tries + 1, "text": "hello", "sending_at": clock()},
            )
            for row in Message.objects.lock(ids)
        ]
        move(Message, moves, clock())
    return list(mailing.message_set.filter(pk__in=ids).order_by("pk"))
