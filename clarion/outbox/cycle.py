"""One round of the outbox: a single transaction that records what landed and writes `sending` on what goes next.

The sends themselves begin after the commit, in `dispatch`. A round that fails changes nothing and is run again.
"""

import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from clarion.lib.crashpoints import crashpoint
from clarion.lib.sending import Misconfigured
from clarion.models import Attempt, GatewayAccount, Lane, Message, State
from clarion.models.bulk import moment
from clarion.models.moves import Move, move
from clarion.models.outgoing import PRIORITIES, SUSPECT
from clarion.models.transactions import again_on_deadlock
from clarion.outbox import claims, doubt, landing
from clarion.outbox.dispatch import Departure, Dispatch
from clarion.outbox.gate import Due, Go, Verdict, ask
from clarion.outbox.landing import Landing

log = structlog.get_logger()

Accounts = Mapping[int, GatewayAccount]


class Outbox:
    """What one worker process has in its hands. Used by one thread."""

    def __init__(self, *, worker_id: int, dispatch: Dispatch, rng: random.Random | None = None) -> None:
        self.worker_id = worker_id
        self.dispatch = dispatch
        self._rng = rng or random.SystemRandom()
        self._unrecorded: list[Landing] = []
        # A suspect is under way, and nothing else may be.
        self._is_alone = False
        self._accounts: Accounts = {}
        self._accounts_read_at: datetime | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is under way and nothing is left to record."""
        return self.dispatch.free == self.dispatch.slots and not self._unrecorded

    def cycle(self, *, now: datetime, take: bool = True) -> int:
        """Run one round; return how many rows it moved. With `take=False` it only records."""
        self._unrecorded += self.dispatch.take_landings()
        is_idle = self.dispatch.free == self.dispatch.slots
        self._is_alone = self._is_alone and not is_idle
        slots = self.dispatch.free if take and not self._is_alone else 0
        if not self._unrecorded and not (slots and _lanes_with_work(now).exists()):
            return 0
        moved, departures = again_on_deadlock(lambda: self._round(slots, now))
        crashpoint("cycle.after_commit")
        if self._unrecorded:
            crashpoint("record.after_commit")
        for result in self._unrecorded:
            _log_landing(result, self.worker_id)
        self._unrecorded = []
        self.dispatch.start(departures)
        return moved

    def _round(self, slots: int, now: datetime) -> tuple[int, list[Departure]]:
        accounts = self._known_accounts(now)
        with transaction.atomic():
            if slots and not claims.may_take(self.worker_id):
                slots = 0
            recorded = self._record(accounts, now)
            verdicts = ask(self._take(slots, now), now=now)
            # Together, because most of what one adds to the counters the other takes away.
            move(Message, [*recorded, *(self._step(verdict, now) for verdict in verdicts)])
            crashpoint("cycle.before_commit")
        departures = [_departure(verdict, self._accounts) for verdict in verdicts if isinstance(verdict, Go)]
        return len(recorded) + len(verdicts), departures

    def _record(self, accounts: Accounts, now: datetime) -> list[Move]:
        """Write what the answers say of lanes and tries, and return what they make of the rows."""
        if not self._unrecorded:
            return []
        _close_lanes(landing.lanes_to_close(self._still_true(self._unrecorded)))
        held = {row.id: row for row in Message.objects.lock([result.id for result in self._unrecorded])}
        policies = doubt.policies(accounts.values())
        effects = landing.effects(
            self._unrecorded, held, worker_id=self.worker_id, policies=policies, now=now, rng=self._rng
        )
        Attempt.objects.bulk_create(effects.attempts)
        crashpoint("record.before_commit")
        return effects.moves

    def _still_true(self, landings: list[Landing]) -> list[Landing]:
        """Leave out what was refused under settings that were changed meanwhile: it says nothing of the new ones."""
        refused = {each.lane_id for each in landings if isinstance(each.result, Misconfigured)}
        if not refused:
            return landings
        # Who changes an account opens its lane in the same transaction, and so comes before this or after it.
        list(Lane.objects.select_for_update().filter(pk__in=refused).order_by("pk"))
        accounts = GatewayAccount.objects.filter(lane_id__in=refused)
        sealed = dict(accounts.values_list("lane_id", "sealed_settings"))
        self._accounts_read_at = None
        return [
            each
            for each in landings
            if not isinstance(each.result, Misconfigured) or each.sealed_settings == sealed[each.lane_id]
        ]

    def _known_accounts(self, now: datetime) -> Accounts:
        """The gateway accounts by lane, read again every second: a changed key counts from the next one on."""
        if self._accounts_read_at is None or not _fresh(self._accounts_read_at, now):
            self._accounts = {account.lane_id: account for account in GatewayAccount.objects.all()}
            self._accounts_read_at = now
        return self._accounts

    def _take(self, slots: int, now: datetime) -> list[Due]:
        """Lock what goes next: first tries of every lane, then retries; when there is none, a suspect by itself."""
        lanes = list(_lanes_with_work(now).values_list("id", flat=True))
        if not self._accounts.keys() >= set(lanes):
            # One was made since they were read last.
            self._accounts_read_at = None
            self._known_accounts(now)
        taken = _take(lanes, PRIORITIES, slots, now)
        if not taken and slots == self.dispatch.slots:
            taken = _take(lanes, (SUSPECT,), 1, now)
            self._is_alone = bool(taken)
        return taken

    def _step(self, verdict: Verdict, now: datetime) -> Move:
        held = verdict.due.held
        if isinstance(verdict, Go):
            columns = {
                "worker_id": self.worker_id,
                "tries": held.tries + 1,
                "text": verdict.text,
                "sending_at": now,
            }
            return Move(held, State.SENDING, "", columns)
        if verdict.look_again_at is not None:
            return Move(held, verdict.to, verdict.reason, {"due_at": verdict.look_again_at})
        return Move(held, verdict.to, verdict.reason, {"finished_at": now})


def _fresh(read_at: datetime, now: datetime) -> bool:
    # A clock that was set back makes it old as well.
    return timedelta() <= now - read_at < timedelta(seconds=1)


def _lanes_with_work(now: datetime) -> QuerySet[Lane]:
    """The open lanes in which something is due. One indexed question: an idle worker asks it fifty times a second."""
    due = Message.objects.filter(
        lane_id=OuterRef("pk"), state=State.WAITING, priority__in=(*PRIORITIES, SUSPECT), due_at__lte=now
    )
    is_open = Q(closed_until=None) | Q(closed_until__lte=now)
    return Lane.objects.filter(is_open, Exists(due)).order_by("id")


def _close_lanes(closed: Mapping[int, tuple[datetime, str]]) -> None:
    for lane_id, (until, because) in sorted(closed.items()):
        # An answer that was long under way must not open what another one closed for longer.
        shorter = Q(closed_until=None) | Q(closed_until__lt=until)
        Lane.objects.filter(shorter, pk=lane_id).update(closed_until=until, closed_because=because)


def _take(lanes: Sequence[int], priorities: Sequence[int], slots: int, now: datetime) -> list[Due]:
    """Lock up to `slots` due rows: those of the first priority, of every lane, before those of the next."""
    taken: list[Due] = []
    for priority in priorities:
        for number, lane_id in enumerate(lanes):
            if len(taken) >= slots:
                return taken
            # Each lane gets its share of what is left, so that the first one cannot take all.
            share = -(-(slots - len(taken)) // (len(lanes) - number))
            rows = Message.objects.take_due(_DUE, lane_id=lane_id, priority=priority, now=now, most=share)
            taken += [Due._make((held, *values[:-1], moment(values[-1]))) for held, values in rows]
    return taken


_DUE = Due._fields[1:]


def _departure(verdict: Go, accounts: Accounts) -> Departure:
    due = verdict.due
    return Departure(
        id=due.held.id,
        owner_id=due.held.owner_id,
        customer_id=due.customer_id,
        try_number=due.held.tries + 1,
        counted_tries=due.counted_tries,
        account=accounts[due.lane_id],
        address=due.address,
        text=verdict.text,
        deadline_at=due.deadline_at,
    )


def _log_landing(result: Landing, worker_id: int) -> None:
    log.info(
        "message_tried",
        message_id=result.id,
        mailing_id=result.owner_id,
        client_id=result.customer_id,
        try_number=result.try_number,
        outcome=landing.name(result.result),
        code=getattr(result.result, "code", ""),
        ms=round((result.ended_at - result.started_at).total_seconds() * 1000, 1),
        worker_id=worker_id,
    )
