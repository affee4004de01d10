"""Who may hold rows: workers, their leases, and the rescue of what a dead one left behind."""

import socket
import time
from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet

from clarion.lib.crashpoints import crashpoint
from clarion.models import Delivery, Lane, Message, State, Worker
from clarion.models.attempts import keep_tries, try_of
from clarion.models.bulk import lock_rows
from clarion.models.moves import Move, move
from clarion.models.outgoing import BULK, FIRST_TRY, SUSPECT, Held, Outgoing, OutgoingRows, Reason
from clarion.models.transactions import again_on_deadlock
from clarion.outbox import doubt
from clarion.outbox.gate import is_too_late

log = structlog.get_logger()

# After so many deaths with the same row in flight, the last one alone, the row is taken to be the cause.
POISON_DEATHS = 3
# What a worker may have in its hands.
KINDS: tuple[type[Outgoing], ...] = (Message, Delivery)


def enlist(*, pid: int, now: datetime, lease_seconds: float) -> Worker:
    """Register this run of a worker process under a new id; it holds the lease from here on."""
    return Worker.objects.create(
        host=socket.gethostname(),
        pid=pid,
        boot_id=boot_id(),
        started_at=now,
        lease_until=lease_clock() + lease_seconds,
    )


def renew(worker: Worker, *, lease_seconds: float) -> bool:
    """Extend the lease; False when the worker was declared dead and must not send any more."""
    rows = Worker.objects.filter(pk=worker.pk, ended_at=None)
    return bool(rows.update(lease_until=lease_clock() + lease_seconds))


def living() -> list[Worker]:
    """Return the workers that gave a sign within the length of their lease, on this run of the machine."""
    clock = lease_clock()
    # Further ahead than a lease is long: that clock began anew with the machine.
    rows = Worker.objects.filter(
        ended_at=None, lease_until__range=(clock, clock + settings.CLARION.lease_seconds)
    )
    return list(rows.filter(boot_id=boot_id()) if connection.vendor == "sqlite" else rows)


def may_take(worker_id: int) -> bool:
    """Whether this worker still lives, which stays so until the end of the caller's transaction.

    Its row is locked: whoever declares it dead comes before or after what it takes, never in between. Otherwise
    rows would be in the hands of a dead worker, and nobody would look at them again.
    """
    return bool(lock_rows(Worker, ("id",), "id = %s AND ended_at IS NULL", [worker_id]))


def retire(worker: Worker, *, now: datetime) -> int:
    """End a worker that stops by itself; what it had to leave in flight was not the cause, and is no more suspect."""
    return rescue(Worker.objects.filter(pk=worker.pk), now=now, is_death=False)


def rescue_lapsed(*, now: datetime) -> int:
    """Rescue the rows of all workers that gave no sign for the length of their lease, or ran before a reboot."""
    lapsed = Q(lease_until__lt=lease_clock())
    if connection.vendor == "sqlite":
        lapsed |= ~Q(boot_id=boot_id())
        # Where a run of the machine has no id: the clock begins anew with it, and no lease lies so far ahead.
        # Twice, because somebody may renew between this reading of the clock and the look at the table.
        lapsed |= Q(lease_until__gt=lease_clock() + 2 * settings.CLARION.lease_seconds)
    return rescue(Worker.objects.filter(lapsed), now=now)


def rescue_process(pid: int, *, now: datetime) -> int:
    """Rescue the rows of a process of this machine that is known to have ended."""
    return rescue(Worker.objects.filter(host=socket.gethostname(), pid=pid), now=now)


def rescue(workers: QuerySet[Worker], *, now: datetime, is_death: bool = True) -> int:
    """Declare these workers dead and give every row they held its next step; return how many rows.

    Under `resend` a row goes again, under `hold` it becomes unknown. One transaction: whoever looks sees the
    worker dead and its rows free, or neither.
    """
    rescued = again_on_deadlock(lambda: _rescue(workers, now, is_death))
    if rescued:
        crashpoint("rescue.after_commit")
    return rescued


def _rescue(workers: QuerySet[Worker], now: datetime, is_death: bool) -> int:
    with transaction.atomic():
        alive = workers.filter(ended_at=None).select_for_update().order_by("id")
        dead = list(alive.values_list("id", flat=True))
        if not dead:
            return 0
        Worker.objects.filter(id__in=dead).update(ended_at=now)
        freed = [(model, _free_all(model, dead, now, is_death)) for model in KINDS]
        crashpoint("rescue.before_commit")
    for model, held in freed:
        name = model._meta.model_name
        for row in held:
            owner = {model.OWNER: row.owner_id}
            log.warning(f"{name}_rescued", **{f"{name}_id": row.id}, **owner, worker_id=row.worker_id)
    return sum(len(held) for _, held in freed)


def _free_all(model: type[Outgoing], dead: Collection[int], now: datetime, is_death: bool) -> list[Held]:
    rows: OutgoingRows[Any] = model._default_manager.all()  # type: ignore[assignment]
    found = rows.filter(state=State.SENDING, worker_id__in=dead)
    ids = list(found.values_list("id", flat=True))
    lock_lanes(found)
    held = [row for row in rows.lock(ids) if row.state == State.SENDING and row.worker_id in dead]
    _free(model, held, now=now, is_death=is_death)
    return held


def lock_lanes(rows: QuerySet[Any]) -> None:
    """Hold the lanes of these rows in which an order is kept: one that comes to its end there lets another go."""
    lanes = Lane.objects.filter(is_ordered=True, pk__in=rows.order_by().values("lane"))
    list(lanes.select_for_update().order_by("pk").values_list("pk", flat=True))


def _free(model: type[Outgoing], held: list[Held], *, now: datetime, is_death: bool) -> None:
    rows = model._default_manager.select_related("lane").in_bulk([row.id for row in held])
    policies = _policies(model, {row.lane for row in rows.values()})
    moves, tries = [], []
    for row in held:
        outgoing = rows[row.id]
        deaths = outgoing.worker_deaths + is_death
        to, reason, due_at = State.WAITING, Reason.RETRY, now
        # What goes in bulk does not overtake what is new because a worker died.
        again = BULK if outgoing.priority == BULK else FIRST_TRY
        if deaths >= POISON_DEATHS:
            to, reason = State.DEAD, Reason.POISON
        elif policies[outgoing.lane_id] == "hold":
            to, reason, due_at = State.UNKNOWN, Reason.IN_DOUBT, outgoing.deadline_at
        elif is_too_late(outgoing.deadline_at, now):
            to, reason = State.EXPIRED, Reason.IN_DOUBT
        columns = {
            "worker_deaths": deaths,
            "due_at": due_at,
            "priority": SUSPECT if deaths == POISON_DEATHS - 1 else again,
            "finished_at": now if to in (State.DEAD, State.EXPIRED) else None,
        }
        moves.append(Move(row, to, reason, columns))
        tries.append(
            try_of(
                model,
                row,
                number=row.tries,
                worker_id=row.worker_id,
                started_at=outgoing.sending_at,
                ended_at=now,
                outcome="worker_died" if is_death else "worker_stopped",
                detail="The worker ended between the start of this try and its answer.",
            )
        )
    move(model, moves, now)
    keep_tries(model, tries)


def _policies(model: type[Outgoing], lanes: Collection[Lane]) -> dict[int, str]:
    """Return what a lost answer leads to, by lane. Systems tell what they have by its id: it goes again."""
    if model is Delivery:
        return {lane.pk: "resend" for lane in lanes}
    accounts = Lane.objects.select_related("gatewayaccount", "parent__gatewayaccount")
    found = accounts.in_bulk([lane.pk for lane in lanes])
    return {pk: doubt.policy(lane.account) for pk, lane in found.items()}


def expire_unknown(*, now: datetime, most: int = 1000) -> int:
    """Close what stayed in doubt until its deadline; return how many rows. `most` bounds one transaction."""
    return again_on_deadlock(lambda: _expire_unknown(now, most))


def _expire_unknown(now: datetime, most: int) -> int:
    # Messages only: of deliveries none is ever held in doubt.
    with transaction.atomic():
        overdue = Message.objects.filter(state=State.UNKNOWN, due_at__lte=now).order_by("id")[:most]
        held = Message.objects.lock(list(overdue.values_list("id", flat=True)))
        moves = [
            Move(row, State.EXPIRED, Reason.IN_DOUBT, {"finished_at": now})
            for row in held
            if row.state == State.UNKNOWN
        ]
        move(Message, moves, now)
    return len(moves)


def lease_clock() -> float:
    """Return the seconds that leases are measured in: no process's wall clock has a say in them.

    Measured with wall clocks: one worker an hour ahead caused a third of all messages to be sent twice.
    """
    queries = {
        "postgresql": "SELECT EXTRACT(EPOCH FROM clock_timestamp())",
        "mysql": "SELECT UNIX_TIMESTAMP(SYSDATE(6))",
    }
    if connection.vendor not in queries:
        # Runs on while the machine sleeps, unlike CLOCK_MONOTONIC on Linux; macOS's monotonic does so itself.
        return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
    with connection.cursor() as cursor:
        cursor.execute(queries[connection.vendor])
        return float(cursor.fetchone()[0])


def boot_id() -> str:
    """Return what identifies this run of the machine, on Linux; elsewhere an empty text."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else ""
