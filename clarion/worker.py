"""DOOR for time: each tick asks every flow what is due, then lets the outbox send.

`run` is the worker process: one thread for the outbox, one for the flows, one that renews the lease. `tick` is the
same in one step, for tests, for a debugger and for `clarion worker --once`.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connection

from clarion.flows import mailings, pruning
from clarion.models import Worker
from clarion.outbox import claims
from clarion.outbox.cycle import Outbox
from clarion.outbox.dispatch import Dispatch

log = structlog.get_logger()

Clock = Callable[[], datetime]

# What time makes happen, in this order: a mailing that starts now is materialised in the same tick.
FLOWS = (
    mailings.start_due,
    mailings.materialise_due,
    mailings.close_due,
    mailings.sweep_due,
    mailings.finish_due,
)
# What need not be looked at fifty times a second, and how often it is, s.
HOUSEKEEPING_EVERY = 5.0
HOUSEKEEPING = (claims.rescue_lapsed, claims.expire_unknown, pruning.prune_due)

# How long an idle worker sleeps before it looks again, s: the most that a due message waits unseen.
IDLE = 0.02
# How often the flows' thread looks when there was nothing to do, s: a mailing starts this much late at most.
FLOWS_IDLE = 0.1
# After a database error: short enough to be back at once, long enough not to hammer a server that starts, s.
DATABASE_PAUSE = 0.5
# The lease is renewed three times in its length, so two renewals may fail before it lapses.
RENEWALS_PER_LEASE = 3


def utc_now() -> datetime:
    return datetime.now(UTC)


def tick(clock: Clock, *, in_flight: int = 64, patience: float = 10.0) -> None:
    """Do everything that is due, send what may leave, and return when nothing is left to do now.

    `patience` is how long sends under way are waited for, s.
    """
    worker = claims.enlist(pid=os.getpid(), now=clock(), lease_seconds=settings.CLARION.lease_seconds)
    dispatch = Dispatch(slots=in_flight, clock=clock)
    outbox = Outbox(worker_id=worker.pk, dispatch=dispatch)
    give_up = time.monotonic() + patience
    try:
        busy = True
        while (busy or not outbox.is_empty) and time.monotonic() < give_up:
            busy = run_flows(clock())
            busy = bool(outbox.cycle(now=clock())) or busy
            if not busy:
                dispatch.landed.wait(IDLE)
        for housekeeping in HOUSEKEEPING:
            housekeeping(now=clock())
    finally:
        dispatch.close()
        claims.retire(worker, now=clock())


def run_flows(now: datetime) -> bool:
    """Ask every flow once what is due; True when there was something."""
    return sum(flow(now) for flow in FLOWS) > 0


def run(*, parent_fd: int | None = None) -> None:
    """Be a worker process until SIGTERM or SIGINT, or until whoever holds the other end of `parent_fd` dies."""
    # Two threads take turns within microseconds; the default of 5 ms would hold each answer up that long.
    sys.setswitchinterval(0.0005)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if parent_fd is not None:
        threading.Thread(target=_stop_with_parent, args=(parent_fd, stop), daemon=True).start()
    worker = _enlist(stop)
    if worker is None:
        return
    log.info("worker_started", worker_id=worker.pk, pid=os.getpid())
    fenced = threading.Event()
    drained = threading.Event()
    helpers = [
        threading.Thread(target=_or_stop, args=(stop, _flows_loop, stop), name="flows"),
        threading.Thread(
            target=_or_stop, args=(stop, _lease_loop, worker, stop, fenced, drained), name="lease"
        ),
    ]
    for thread in helpers:
        thread.start()
    try:
        _outbox_loop(worker, stop, fenced)
    finally:
        # However it ended: threads that went on without it would renew the lease of a worker that sends nothing.
        stop.set()
        drained.set()
        for thread in helpers:
            thread.join()
    _survive(lambda: claims.retire(worker, now=utc_now()))
    log.info("worker_stopped", worker_id=worker.pk)


def _or_stop(stop: threading.Event, loop: Callable[..., None], *arguments: object) -> None:
    """Run a thread's loop; a mistake in it ends the whole process, which is then started anew, not just the thread."""
    try:
        loop(*arguments)
    except Exception:
        stop.set()
        raise


def _outbox_loop(worker: Worker, stop: threading.Event, fenced: threading.Event) -> None:
    dispatch = Dispatch(slots=settings.CLARION.in_flight, clock=utc_now)
    outbox = Outbox(worker_id=worker.pk, dispatch=dispatch)
    drained_by: float | None = None
    while True:
        if stop.is_set() and drained_by is None:
            drained_by = time.monotonic() + settings.CLARION.drain_seconds
        if drained_by is not None and (outbox.is_empty or time.monotonic() > drained_by):
            break
        may_send = drained_by is None and not fenced.is_set()
        moved = _survive(lambda: outbox.cycle(now=utc_now(), take=may_send))  # noqa: B023 - called at once
        if not moved:
            dispatch.landed.wait(IDLE)
    dispatch.close()


def _flows_loop(stop: threading.Event) -> None:
    next_housekeeping = 0.0
    while not stop.is_set():
        busy = _survive(lambda: int(run_flows(utc_now())))
        if time.monotonic() >= next_housekeeping:
            next_housekeeping = time.monotonic() + HOUSEKEEPING_EVERY
            for housekeeping in HOUSEKEEPING:
                _survive(lambda: housekeeping(now=utc_now()))  # noqa: B023 - called at once
        if not busy:
            stop.wait(FLOWS_IDLE)
    connection.close()


def _lease_loop(
    worker: Worker, stop: threading.Event, fenced: threading.Event, drained: threading.Event
) -> None:
    """Renew the lease, to the end of the last send. While it may have lapsed, or was taken away, nothing new is sent."""
    seconds = settings.CLARION.lease_seconds
    good_until = time.monotonic() + seconds
    while not drained.wait(seconds / RENEWALS_PER_LEASE):
        asked_at = time.monotonic()
        renewed = _survive(lambda: int(claims.renew(worker, lease_seconds=seconds)))
        if renewed:
            good_until = asked_at + seconds
        elif renewed == 0:
            log.error("worker_declared_dead", worker_id=worker.pk)
            fenced.set()
            stop.set()
        if time.monotonic() > good_until - seconds / RENEWALS_PER_LEASE:
            fenced.set()
        elif renewed:
            fenced.clear()
    connection.close()


def _enlist(stop: threading.Event) -> Worker | None:
    while not stop.is_set():
        try:
            return claims.enlist(pid=os.getpid(), now=utc_now(), lease_seconds=settings.CLARION.lease_seconds)
        except (DatabaseError, InterfaceError) as error:
            log.warning("database_unavailable", error=type(error).__name__)
            close_old_connections()
            stop.wait(DATABASE_PAUSE)
    return None


def _survive(step: Callable[[], int]) -> int | None:
    """Run a step; a database that is away costs time and nothing else. None when the step failed."""
    try:
        return step()
    except (DatabaseError, InterfaceError) as error:
        log.warning("database_unavailable", error=type(error).__name__, code=_code(error))
        connection.close()
        time.sleep(DATABASE_PAUSE)
        return None


def _code(error: DatabaseError | InterfaceError) -> str:
    """What the database calls the error. Its sentence is left out: some repeat the values, and so an address."""
    cause = error.__cause__
    number = error.args[0] if error.args and isinstance(error.args[0], int) else ""
    return str(getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None) or number)


def _stop_with_parent(fd: int, stop: threading.Event) -> None:
    """Nothing is ever written to the pipe: reading ends when the supervisor does, however it ended."""
    os.read(fd, 1)
    stop.set()
