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
from functools import partial

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, close_old_connections, connection

from clarion.flows import (
    deadlines,
    exports,
    forwarding,
    imports,
    mailings,
    outdated_deliveries,
    pruning,
    readers,
    redeliveries,
    retention,
)
from clarion.lib import parent
from clarion.lib.logs import code_of, mistake
from clarion.models import Worker
from clarion.outbox import claims
from clarion.outbox.cycle import Outbox
from clarion.outbox.deliveries import Deliveries
from clarion.outbox.dispatch import Dispatch
from clarion.outbox.messages import MESSAGES

log = structlog.get_logger()

Clock = Callable[[], datetime]

# What time makes happen, in this order: a mailing that starts now is materialised in the same tick.
FLOWS = (
    *(mailings.start_due, mailings.materialise_due, mailings.close_due),
    *(mailings.sweep_due, mailings.finish_due),
    *(imports.run_due, exports.run_due, readers.run_due),
    *(forwarding.sweep_due, redeliveries.run_due),
)
# What need not be looked at fifty times a second, and how often it is, s.
HOUSEKEEPING_EVERY = 5.0
# Batches of one step in a round: 50,000 doubts, and then the mailings that are due have their turn again.
HOUSEKEEPING_BATCHES = 50
HOUSEKEEPING = (claims.rescue_lapsed, claims.expire_unknown, deadlines.expire_held)
# And then what has served its time is dropped, of each kind for so long, s: nobody waits for it, and whatever is due
# waits a second at most.
PRUNING_LONGEST = 0.25
PRUNING = (
    *(pruning.prune_due, retention.prune_events, retention.prune_messages),
    *(outdated_deliveries.prune_deliveries, retention.prune_attempts),
)

# How long an idle worker sleeps before it looks again, s: the most that a due message waits unseen.
IDLE = 0.02
# It sleeps so many times as long as it looked: where thousands of receivers are away, to look at what waits for each takes
# 12 ms. And never longer than this, s.
LOOKED, LONGEST_IDLE = 9, 0.2
# How often the flows' thread looks when there was nothing to do and no event came in, s: a mailing starts this much late
# at most. Ten looks a second took a seventh of the interpreter from the sends under way.
FLOWS_IDLE = 0.25
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
    landed = threading.Event()
    outboxes = _outboxes(worker, in_flight, clock, landed)
    give_up = time.monotonic() + patience
    try:
        busy = True
        while (busy or not all(each.is_empty for each in outboxes)) and time.monotonic() < give_up:
            busy = run_flows(clock())
            landed.clear()
            busy = sum(each.cycle(now=clock()) for each in outboxes) > 0 or busy
            if not busy:
                landed.wait(IDLE)
        for housekeeping in (*HOUSEKEEPING, *PRUNING):
            housekeeping(now=clock())
    finally:
        for outbox in outboxes:
            outbox.dispatch.close()
        claims.retire(worker, now=clock())


def run_flows(now: datetime) -> bool:
    """Ask every flow once what is due; True when there was something."""
    return sum(flow(now) for flow in FLOWS) > 0


def run(*, parent_fd: int | None = None) -> None:
    """Be a worker process until SIGTERM or SIGINT, or until whoever holds the other end of `parent_fd` dies.

    :raises SystemExit: with code 1 when it ended for any other reason: a mistake, or it was declared dead
    """
    # Two threads take turns within microseconds; the default of 5 ms would hold each answer up that long.
    sys.setswitchinterval(0.0005)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    parent.end_with(parent_fd)
    worker = _enlist(stop)
    if worker is not None:
        WorkerProcess(worker, stop).run()


class WorkerProcess:
    """Three loops that share one fate: a mistake in any of them ends the process, which is then started anew."""

    def __init__(self, worker: Worker, stop: threading.Event) -> None:
        self.worker = worker
        # No new sends, and an end when those under way have theirs.
        self.stop = stop
        # An answer came, or something to send: the outboxes need not wait.
        self.landed = threading.Event()
        # The lease may have lapsed, or was taken away: no new sends.
        self.fenced = threading.Event()
        # Nothing is under way any more, so no lease is needed.
        self.drained = threading.Event()
        # It ends, and nobody asked it to.
        self.broken = threading.Event()

    def run(self) -> None:
        """:raises SystemExit: with code 1 when a loop broke, or the worker was declared dead"""
        log.info("worker_started", worker_id=self.worker.pk, pid=os.getpid())
        loops = {"flows": self._flows_loop, "lease": self._lease_loop}
        helpers = [threading.Thread(target=self._guard, args=each, name=each[0]) for each in loops.items()]
        for thread in helpers:
            thread.start()
        self._guard("outbox", self._outbox_loop)
        # However it ended: threads that went on without it would renew the lease of a worker that sends nothing.
        self.stop.set()
        self.drained.set()
        for thread in helpers:
            thread.join()
        _survive("retire", lambda: claims.retire(self.worker, now=utc_now()))
        log.info("worker_stopped", worker_id=self.worker.pk)
        if self.broken.is_set():
            raise SystemExit(1)

    def _guard(self, name: str, loop: Callable[[], None]) -> None:
        try:
            loop()
        except Exception as error:
            log.error("worker_failed", worker_id=self.worker.pk, loop=name, **mistake(error))
            self.broken.set()
            self.stop.set()

    def _outbox_loop(self) -> None:
        landed = self.landed
        outboxes = _outboxes(self.worker, settings.CLARION.in_flight, utc_now, landed)
        drained_by: float | None = None
        while True:
            if self.stop.is_set() and drained_by is None:
                drained_by = time.monotonic() + settings.CLARION.drain_seconds
            is_empty = all(each.is_empty for each in outboxes)
            if drained_by is not None and (is_empty or time.monotonic() > drained_by):
                break
            may_send = drained_by is None and not self.fenced.is_set()
            landed.clear()
            began = time.monotonic()
            # Each has its round, whatever the other had to do.
            moved = [_survive("outbox", partial(_round, each, may_send)) for each in outboxes]
            if not any(moved):
                landed.wait(min(max(IDLE, LOOKED * (time.monotonic() - began)), LONGEST_IDLE))
        for outbox in outboxes:
            outbox.dispatch.close()

    def _flows_loop(self) -> None:
        next_housekeeping = 0.0
        while not self.stop.is_set():
            done = [
                _outlive(flow.__name__, partial(flow, utc_now())) for flow in FLOWS if not self.stop.is_set()
            ]
            if time.monotonic() >= next_housekeeping:
                self._keep_house()
                next_housekeeping = time.monotonic() + HOUSEKEEPING_EVERY
            if not any(done):
                self._rest()
        connection.close()

    def _rest(self) -> None:
        """Wait for the next look, or for an event: whoever subscribed hears of it at once."""
        until = time.monotonic() + FLOWS_IDLE
        while time.monotonic() < until and not self.stop.wait(IDLE):
            if _outlive("has_news", lambda: int(readers.has_news())):
                # Before all else that may be due: to look for that takes as long as a delivery.
                _outlive("readers", lambda: readers.run_due(utc_now()))
                self.landed.set()
                return

    def _keep_house(self) -> None:
        for step in HOUSEKEEPING:
            for _ in range(HOUSEKEEPING_BATCHES):
                if self.stop.is_set() or not _outlive(step.__name__, partial(step, now=utc_now())):
                    break
        for step in PRUNING:
            give_up = time.monotonic() + PRUNING_LONGEST
            while not self.stop.is_set() and _outlive(step.__name__, partial(step, now=utc_now())):
                if time.monotonic() > give_up:
                    break

    def _lease_loop(self) -> None:
        """Renew the lease, to the end of the last send. While it may have lapsed nothing new is sent."""
        seconds = settings.CLARION.lease_seconds
        good_until = time.monotonic() + seconds
        while not self.drained.wait(seconds / RENEWALS_PER_LEASE):
            asked_at = time.monotonic()
            renewed = _survive("renew", lambda: int(claims.renew(self.worker, lease_seconds=seconds)))
            if renewed:
                good_until = asked_at + seconds
            elif renewed == 0:
                log.error("worker_declared_dead", worker_id=self.worker.pk)
                self.broken.set()
                self.fenced.set()
                self.stop.set()
            if time.monotonic() > good_until - seconds / RENEWALS_PER_LEASE:
                self.fenced.set()
            elif renewed:
                self.fenced.clear()
        connection.close()


def _round(outbox: Outbox, may_send: bool) -> int:
    return outbox.cycle(now=utc_now(), take=may_send)


def _outboxes(worker: Worker, slots: int, clock: Clock, landed: threading.Event) -> list[Outbox]:
    """Return what a worker sends with: one for each kind of traffic, each with slots of its own.

    Whatever becomes of the receivers of one kind, the other has all of its slots.
    """
    kinds = (MESSAGES, Deliveries())
    sends = [Dispatch(slots=slots, clock=clock, traffic=kind, landed=landed) for kind in kinds]
    messages, deliveries = (Outbox(worker_id=worker.pk, dispatch=each) for each in sends)
    messages.beside, deliveries.beside = [deliveries], [messages]
    return [messages, deliveries]


def _enlist(stop: threading.Event) -> Worker | None:
    while not stop.is_set():
        try:
            return claims.enlist(pid=os.getpid(), now=utc_now(), lease_seconds=settings.CLARION.lease_seconds)
        except (DatabaseError, InterfaceError) as error:
            _say(error, "enlist")
            close_old_connections()
            stop.wait(DATABASE_PAUSE)
    return None


def _outlive(name: str, step: Callable[[], int]) -> int | None:
    """Run a step; whatever it does, the steps of everybody else go on. None when it failed."""
    try:
        return _survive(name, step)
    except Exception as error:
        log.error("step_failed", step=name, **mistake(error))
        # Half a transaction may be open on it.
        connection.close()
        time.sleep(DATABASE_PAUSE)
        return None


def _survive(name: str, step: Callable[[], int]) -> int | None:
    """Run a step; a database that is away costs time and nothing else. None when the step failed."""
    try:
        return step()
    except (DatabaseError, InterfaceError) as error:
        _say(error, name)
        connection.close()
        time.sleep(DATABASE_PAUSE)
        return None


def _say(error: DatabaseError | InterfaceError, step: str) -> None:
    is_away = isinstance(error, OperationalError | InterfaceError)
    event = "database_unavailable" if is_away else "step_failed"
    log.warning(event, step=step, error=type(error).__name__, code=code_of(error))
