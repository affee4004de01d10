"""The one thread that stores events. Whatever arrived while the last commit ran is the next batch; there is no timer.

So alone an event waits for nobody, and under load a commit is shared by many.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any

import msgspec
import structlog
from django.db import DatabaseError, InterfaceError, OperationalError, connection

from clarion import checks
from clarion.api.clock import now
from clarion.flows import events
from clarion.flows.events import Arrival, Outcome
from clarion.lib.logs import code_of, mistake

log = structlog.get_logger()

# One transaction at most, in events and in bytes: SQLite stores 5,000 in about 25 ms, and others wait for their turn.
MOST_EVENTS = 5_000
MOST_BYTES = 4 * 1024 * 1024
# What may wait at once, in events and in bytes: a second or two of work. What comes on top is told to come again.
MOST_WAITING = 20_000
MOST_WAITING_BYTES = 64 * 1024 * 1024
# A database that is away is not asked for so long after a failure, s; doubled with each, up to the longest.
FIRST_REST, LONGEST_REST = 0.1, 5.0


class Unavailable(Exception):
    """The database is away or busy: the events were not acknowledged, and may be sent again."""


class Full(Exception):
    """More waits already than may wait."""


class Parcel(msgspec.Struct, frozen=True):
    """The good events of one request, their bytes, and whom to tell what became of them."""

    arrivals: Sequence[Arrival]
    size: int
    whom: Any


# What became of each event of a parcel, or why nothing did.
Result = list[Outcome] | Exception
Tell = Callable[[Sequence[tuple[Parcel, Result]]], None]


class Writer:
    """Takes parcels from any thread; `tell` is called in the writer's own, for many parcels at once."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        # None: nothing comes any more.
        self._waiting: SimpleQueue[Parcel | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._events = self._bytes = 0
        self._thread: threading.Thread | None = None
        # After a failure: how long nobody asks the database, and until when (monotonic seconds).
        self._rest, self._rests_until = 0.0, 0.0
        # Whether the database was seen to keep its promises since it was last away.
        self._is_safe = False

    def accept(self, parcel: Parcel) -> None:
        """Take a parcel that is to be stored; it will be, when it is put.

        :raises Unavailable: the database was away a moment ago
        :raises Full: too much waits
        """
        if time.monotonic() < self._rests_until:
            raise Unavailable
        with self._lock:
            # One that is large may always come when nothing else waits.
            if self._events and (
                self._events + len(parcel.arrivals) > MOST_WAITING
                or self._bytes + parcel.size > MOST_WAITING_BYTES
            ):
                raise Full
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="intake", daemon=True)
                thread.start()
                self._thread = thread
            self._events += len(parcel.arrivals)
            self._bytes += parcel.size

    def put(self, parcels: Iterable[Parcel]) -> None:
        """Have accepted parcels stored. Put together they are more likely to share a transaction."""
        for parcel in parcels:
            self._waiting.put(parcel)

    def close(self) -> None:
        """Store what waits, then end; nothing may be put any more."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()

    def _run(self) -> None:
        kept: Parcel | None = None
        while (first := kept or self._waiting.get()) is not None:
            batch = [first]
            kept = self._gather(batch)
            try:
                self._store(batch)
            except Exception as error:
                # Whoever waits for these is told when their patience ends; all others go on.
                log.error("intake_failed", **mistake(error))
            with self._lock:
                self._events -= sum(len(parcel.arrivals) for parcel in batch)
                self._bytes -= sum(parcel.size for parcel in batch)
        drop_connection()

    def _gather(self, batch: list[Parcel]) -> Parcel | None:
        """Add whatever waits, as far as it fits; return the one that no longer did."""
        count, size = len(batch[0].arrivals), batch[0].size
        while True:
            try:
                parcel = self._waiting.get_nowait()
            except Empty:
                return None
            if parcel is None:
                self._waiting.put(None)
                return None
            count, size = count + len(parcel.arrivals), size + parcel.size
            if count > MOST_EVENTS or size > MOST_BYTES:
                return parcel
            batch.append(parcel)

    def _store(self, batch: Sequence[Parcel]) -> None:
        """Store parcels in one transaction, and tell each. One that breaks it is found, and breaks no other."""
        if time.monotonic() < self._rests_until:
            self._tell([(parcel, Unavailable()) for parcel in batch])
            return
        try:
            if not self._is_safe:
                self._look_at_promises()
            outcomes = events.append([arrival for parcel in batch for arrival in parcel.arrivals], now())
        except Exception as error:
            if is_outage(error):
                self._fail(batch, error)
            elif len(batch) > 1:
                for parcel in batch:
                    self._store([parcel])
            else:
                log.error("intake_failed", **mistake(error))
                self._tell([(batch[0], error)])
            return
        self._rest = 0.0
        left = iter(outcomes)
        self._tell([(parcel, list(islice(left, len(parcel.arrivals)))) for parcel in batch])

    def _look_at_promises(self) -> None:
        """Ask whether the database keeps what is acknowledged: first of all, and again whenever it was away.

        :raises OperationalError: it would not
        """
        for message in checks.database_promises(None):
            log.error("weak_database", problem=message.msg, hint=message.hint)
            raise OperationalError(message.msg)
        self._is_safe = True

    def _fail(self, batch: Sequence[Parcel], error: Exception) -> None:
        log.warning("database_unavailable", error=type(error).__name__, code=code_of(error))
        # A lost connection is opened anew by whoever asks next, and it may be another server that answers then.
        drop_connection()
        self._is_safe = False
        self._rest = min(self._rest * 2 or FIRST_REST, LONGEST_REST)
        self._rests_until = time.monotonic() + self._rest
        self._tell([(parcel, Unavailable()) for parcel in batch])


def is_outage(error: Exception) -> bool:
    """Whether it is the database that failed, and not what it was given."""
    return isinstance(error, OperationalError | InterfaceError)


def drop_connection() -> None:
    """Forget this thread's connection, whatever state it is in."""
    try:
        connection.close()
    except (DatabaseError, InterfaceError):
        connection.connection = None
