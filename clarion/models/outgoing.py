"""The one life of everything that leaves: its states, which may follow which, and the row all of it shares.

`docs/states.md` is drawn from `NEXT`; a test compares them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, NamedTuple

from django.db import models

from clarion.lib.retry import MAILING, Policy
from clarion.models.accounts import Lane
from clarion.models.bulk import lock_rows, numbers
from clarion.models.tenants import Row, Tenant, TenantRows


class State(models.TextChoices):
    WAITING = "waiting"
    SENDING = "sending"
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    DEAD = "dead"
    EXPIRED = "expired"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class Reason:
    """Why a row is where it is: a closed list, because the counters are kept by it. Details stand in the attempts."""

    RETRY = "retry"  # waiting: an earlier try failed
    LANE_CLOSED = "lane_closed"  # waiting: the account is refused or asks us to slow down
    IN_LINE = "in_line"  # waiting: for what is before it of the same entity
    LOCAL_HOURS = "local_hours"  # waiting: until the customer's local hours begin
    PAUSED = "mailing_paused"  # waiting: held until somebody resumes
    IN_DOUBT = "in_doubt"  # unknown, expired: it may have arrived
    WINDOW_OVER = "window_over"  # expired: the end came first
    NO_TIME_TO_RETRY = "no_time_to_retry"  # expired: the next try would come after the end
    NO_LOCAL_HOURS = "no_local_hours"  # expired: the customer's local hours do not begin before the end
    NO_TIME_AT_RATE = "no_time_at_rate"  # expired: the rate leaves no time for it before the end
    REFUSED = "refused"  # failed: this recipient or text can never work
    CANNOT_RENDER = "cannot_render"  # failed: the text has no value for this customer
    EVENT_GONE = "event_gone"  # failed: the log no longer has it
    TRIES_USED_UP = "tries_used_up"  # dead
    POISON = "poison"  # dead: the worker died three times with it in flight
    BOUNCED = "bounced"  # undelivered: the other side refused it after it was taken
    SAME_ADDRESS = "same_address_twice"  # skipped
    OPTED_OUT = "opted_out"  # skipped: they said that they do not want such messages on this channel
    SUPPRESSED = "suppressed"  # skipped: nothing goes to this address any more
    MAILING_CANCELLED = "mailing_cancelled"  # cancelled
    CUSTOMER_DELETED = "customer_deleted"  # cancelled
    SUBSCRIPTION_ENDED = "subscription_ended"  # cancelled


# From a state to those that may follow it. A state without followers is final.
NEXT: dict[str, frozenset[str]] = {
    State.WAITING: frozenset(
        {State.WAITING, State.SENDING, State.EXPIRED, State.SKIPPED, State.CANCELLED, State.FAILED}
    ),
    State.SENDING: frozenset(
        {State.ACCEPTED, State.WAITING, State.UNKNOWN, State.FAILED, State.DEAD, State.EXPIRED}
    ),
    State.UNKNOWN: frozenset(
        {State.ACCEPTED, State.DELIVERED, State.UNDELIVERED, State.WAITING, State.EXPIRED, State.CANCELLED}
    ),
    State.ACCEPTED: frozenset({State.DELIVERED, State.UNDELIVERED}),
    State.DELIVERED: frozenset(),
    State.UNDELIVERED: frozenset(),
    State.FAILED: frozenset(),
    State.DEAD: frozenset(),
    State.EXPIRED: frozenset(),
    State.SKIPPED: frozenset(),
    State.CANCELLED: frozenset(),
}
# Still on the way: something will move each of these rows.
OPEN_STATES = (State.WAITING, State.SENDING, State.UNKNOWN)

# What callers read. The order is the one in which statuses are listed everywhere.
STATUS: dict[str, str] = {
    State.WAITING: "PENDING",
    State.SENDING: "SENDING",
    State.UNKNOWN: "SENDING",
    State.ACCEPTED: "SENT",
    State.DELIVERED: "DELIVERED",
    State.FAILED: "FAILED",
    State.DEAD: "FAILED",
    State.UNDELIVERED: "FAILED",
    State.EXPIRED: "TIMEOUT",
    State.SKIPPED: "SKIPPED",
    State.CANCELLED: "CANCELLED",
}
STATUSES = tuple(dict.fromkeys(STATUS.values()))


def states_of(status: str) -> list[str]:
    """Return the states behind a wire status, case ignored; none for a word that is no status."""
    return [state for state, name in STATUS.items() if name == status.upper()]


# What somebody waits for in front of a screen goes first; whoever has not been tried yet before whoever failed already;
# what is sent once more, in bulk, last. `PRIORITIES` of each kind is its order of sending; the numbers are in the rows,
# and only tell them apart.
FIRST_TRY, RETRY, URGENT, BULK = 0, 1, 3, 4
# In flight at every death of a worker but the last that a row survives. Goes when nothing else does, and alone, so
# that the next death names the culprit and takes no innocent with it.
SUSPECT = 2


class Held(NamedTuple):
    """What was read of a row while it was locked: enough to decide about it and to move its counter."""

    id: int
    state: str
    reason: str
    tenant_id: int
    owner_id: int
    worker_id: int | None
    tries: int


@dataclass(slots=True)
class Move:
    """What becomes of one row: the new state, why, and the other columns that change with it."""

    held: Held
    to: str
    reason: str = ""
    columns: dict[str, Any] = field(default_factory=dict)


class OutgoingRows(TenantRows[Row]):
    def lock(self, ids: list[int]) -> list[Held]:
        """Lock these rows, in id order like everybody, and return what they say now."""
        if not ids:
            return []
        where = f"id IN ({numbers(ids)}) ORDER BY id"
        return list(map(Held._make, lock_rows(self.model, self.held_columns(), where, ())))

    def take_due(
        self,
        columns: Sequence[str],
        *,
        lane_id: int,
        priority: int,
        now: datetime,
        most: int,
        besides: Sequence[int] = (),
    ) -> list[tuple[Held, tuple[Any, ...]]]:
        """Lock up to `most` due rows that nobody else holds, longest due first; return them with these columns.

        `besides` are the ids of those that this transaction has taken already: its own locks do not keep it out.
        """
        others = f"AND id NOT IN ({', '.join(['%s'] * len(besides))}) " if besides else ""
        where = (
            f"state = %s AND lane_id = %s AND priority = %s AND due_at <= %s {others}ORDER BY due_at LIMIT %s"
        )
        values = (State.WAITING, lane_id, priority, now, *besides, most)
        named = self.held_columns()
        rows = lock_rows(self.model, (*named, *columns), where, values, skip_locked=True)
        return [(Held._make(row[: len(named)]), row[len(named) :]) for row in rows]

    def held_columns(self) -> tuple[str, ...]:
        owner: str = self.model.OWNER  # type: ignore[attr-defined]
        return ("id", "state", "reason", "tenant_id", owner, "worker_id", "tries")


class Outgoing(models.Model):
    """One thing that leaves: who tries it, when, until when, how often it was tried, what came of it.

    `due_at` is when something looks at the row next: it is never empty while the row is open, so nothing can be
    forgotten. A held or doubtful row is looked at again at its deadline. `tries` counts every start and is what a
    late result is recognised by; `counted_tries` only those that use up the retry plan.
    """

    # The column that names what the row is counted under.
    OWNER: ClassVar[str]
    # The kinds of rows in the order in which they go; suspects after all of them.
    PRIORITIES: ClassVar[tuple[int, ...]] = (URGENT, FIRST_TRY, RETRY)
    # When what failed is tried again.
    RETRIES: ClassVar[Policy] = MAILING
    # From a state to those that may follow it.
    NEXT: ClassVar[Mapping[str, frozenset[str]]] = NEXT

    # Without constraints in the database: a check per row and parent doubles the time a million rows take, and
    # these parents are never deleted.
    tenant = models.ForeignKey(Tenant, models.PROTECT, db_index=False, db_constraint=False)
    lane = models.ForeignKey(Lane, models.PROTECT, db_index=False, db_constraint=False)
    state = models.CharField(max_length=12, choices=State.choices)
    reason = models.CharField(max_length=40, blank=True)
    priority = models.PositiveSmallIntegerField(default=FIRST_TRY)
    due_at = models.DateTimeField()
    deadline_at = models.DateTimeField()
    worker_id = models.BigIntegerField(null=True)
    tries = models.PositiveIntegerField(default=0)
    counted_tries = models.PositiveSmallIntegerField(default=0)
    worker_deaths = models.PositiveSmallIntegerField(default=0)
    provider_id = models.CharField(max_length=255, blank=True)
    code = models.CharField(max_length=64, blank=True)
    sending_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self._meta.model_name} {self.pk}"

    @property
    def status(self) -> str:
        return STATUS[self.state]

    @classmethod
    def counts(cls) -> Any:
        """The QuerySet whose `shift` moves this kind's counters."""
        raise TypeError(f"{cls.__name__} names no counters")

    @classmethod
    def moved(cls, moves: Sequence[Move], now: datetime) -> None:
        """Do what follows from these moves, in their transaction: rows and counters are written."""
