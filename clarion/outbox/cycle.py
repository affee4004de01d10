"""One round of the outbox: a single transaction that records what landed and writes `sending` on what goes next.

The sends themselves begin after the commit, in `dispatch`. A round that fails changes nothing and is run again.
"""

import random
from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from clarion.lib.crashpoints import crashpoint
from clarion.models import Attempt, GatewayAccount, Lane, Message, State
from clarion.models.moves import Move, move
from clarion.models.outgoing import PRIORITIES, Held
from clarion.models.transactions import again_on_deadlock
from clarion.outbox import doubt, landing
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

    @property
    def is_empty(self) -> bool:
        """Whether nothing is under way and nothing is left to record."""
        return self.dispatch.free == self.dispatch.slots and not self._unrecorded

    def cycle(self, *, now: datetime, take: bool = True) -> int:
        """Run one round; return how many rows it moved. With `take=False` it only records."""
        self._unrecorded += self.dispatch.take_landings()
        slots = self.dispatch.free if take else 0
        if not self._unrecorded and not (slots and _anything_due(now)):
            return 0
        moved, departures = again_on_deadlock(lambda: self._round(slots, now))
        crashpoint("cycle.after_commit")
        for result in self._unrecorded:
            _log_landing(result, self.worker_id)
        self._unrecorded = []
        self.dispatch.start(departures)
        return moved

    def _round(self, slots: int, now: datetime) -> tuple[int, list[Departure]]:
        with transaction.atomic():
            accounts = _accounts()
            recorded = self._record(accounts, now)
            verdicts = ask(_take(_open_lanes(now), slots, now), now=now)
            move(Message, [self._step(verdict, now) for verdict in verdicts])
            crashpoint("cycle.before_commit")
        departures = [_departure(verdict, accounts) for verdict in verdicts if isinstance(verdict, Go)]
        return recorded + len(verdicts), departures

    def _record(self, accounts: Accounts, now: datetime) -> int:
        if not self._unrecorded:
            return 0
        _close_lanes(landing.lanes_to_close(self._unrecorded))
        held = {row.id: row for row in Message.objects.lock([result.id for result in self._unrecorded])}
        policies = doubt.policies(accounts.values())
        effects = landing.effects(
            self._unrecorded, held, worker_id=self.worker_id, policies=policies, now=now, rng=self._rng
        )
        move(Message, effects.moves)
        Attempt.objects.bulk_create(effects.attempts)
        crashpoint("record.before_commit")
        return len(effects.moves)

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


def _anything_due(now: datetime) -> bool:
    """One indexed question: an idle worker asks it fifty times a second."""
    due = Message.objects.filter(
        lane_id=OuterRef("pk"), state=State.WAITING, priority__in=PRIORITIES, due_at__lte=now
    )
    return _open(now).filter(Exists(due)).exists()


def _open(now: datetime) -> QuerySet[Lane]:
    return Lane.objects.filter(Q(closed_until=None) | Q(closed_until__lte=now))


def _open_lanes(now: datetime) -> list[int]:
    return list(_open(now).order_by("id").values_list("id", flat=True))


def _close_lanes(closed: Mapping[int, tuple[datetime, str]]) -> None:
    for lane_id, (until, because) in sorted(closed.items()):
        Lane.objects.filter(pk=lane_id).update(closed_until=until, closed_because=because)


def _take(lanes: Sequence[int], slots: int, now: datetime) -> list[Due]:
    """Lock up to `slots` due rows: first tries of every lane before the retries of any."""
    taken: list[Due] = []
    for priority in PRIORITIES:
        for number, lane_id in enumerate(lanes):
            if len(taken) >= slots:
                return taken
            # Each lane gets its share of what is left, so that the first one cannot take all.
            share = -(-(slots - len(taken)) // (len(lanes) - number))
            rows = Message.objects.due(lane_id=lane_id, priority=priority, now=now).order_by("due_at")[:share]
            locked = rows.select_for_update(skip_locked=True).values_list(
                *Message.objects.held_columns(), *_DUE
            )
            taken += [Due(Held(*row[:_HELD]), *row[_HELD:]) for row in locked]
    return taken


_HELD = len(Held._fields)
_DUE = Due._fields[1:]


def _accounts() -> dict[int, GatewayAccount]:
    """The gateway accounts by lane."""
    return {account.lane_id: account for account in GatewayAccount.objects.all()}


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
