"""One round of the outbox: a single transaction that records what landed and writes `sending` on what goes next.

The sends themselves begin after the commit, in `dispatch`. A round that fails changes nothing and is run again.
"""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import structlog
from django.db import DatabaseError, transaction

from clarion.lib.crashpoints import crashpoint
from clarion.lib.sending import Misconfigured, Receipt
from clarion.models import Attempt, GatewayAccount, Lane, Message, State
from clarion.models.bulk import moment
from clarion.models.moves import Move, move
from clarion.models.outgoing import PRIORITIES, SUSPECT, Reason
from clarion.models.transactions import again_on_deadlock
from clarion.outbox import claims, doubt, landing, lanes
from clarion.outbox.dispatch import Departure, Dispatch
from clarion.outbox.gate import Due, Go, Verdict, ask
from clarion.outbox.landing import Landing
from clarion.outbox.lanes import OpenLane

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
        # Lanes that have to show that they work again.
        self._on_trial: set[int] = set()
        # What left and is not recorded yet; and whether a round failed in such a way that it may have been written.
        self._in_hand: set[int] = set()
        self._is_in_doubt = False
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
        if not (self._unrecorded or self._is_in_doubt or (slots and lanes.with_work(now))):
            return 0
        try:
            moved, departures = again_on_deadlock(lambda: self._round(slots, now))
        except DatabaseError:
            # The connection may have died after the commit and before the answer to it.
            self._is_in_doubt = True
            raise
        self._is_in_doubt = False
        crashpoint("cycle.after_commit")
        if self._unrecorded:
            crashpoint("record.after_commit")
        recorded, self._unrecorded = self._unrecorded, []
        self._in_hand -= {each.id for each in recorded}
        self._in_hand |= {departure.id for departure in departures}
        self.dispatch.start(departures)
        for result in recorded:
            _log_landing(result, self.worker_id)
        return moved

    def _round(self, slots: int, now: datetime) -> tuple[int, list[Departure]]:
        accounts = self._known_accounts(now)
        with transaction.atomic():
            if slots and not claims.may_take(self.worker_id):
                slots = 0
            recorded = self._record(accounts, now)
            if self._is_in_doubt:
                self._put_back_strays(now)
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
        lanes.close(landing.lanes_to_close(self._still_true(self._unrecorded)))
        passed = {
            each.lane_id for each in self._unrecorded if isinstance(each.result, Receipt)
        } & self._on_trial
        if passed:
            lanes.pass_trial(passed, now)
        held = {row.id: row for row in Message.objects.lock([result.id for result in self._unrecorded])}
        policies = doubt.policies(accounts.values())
        effects = landing.effects(
            self._unrecorded, held, worker_id=self.worker_id, policies=policies, now=now, rng=self._rng
        )
        Attempt.objects.bulk_create(effects.attempts)
        crashpoint("record.before_commit")
        return effects.moves

    def _put_back_strays(self, now: datetime) -> None:
        """Let rows wait again that a round wrote as `sending` whose commit was not answered: none of them left."""
        mine = Message.objects.filter(state=State.SENDING, worker_id=self.worker_id)
        held = Message.objects.lock(list(mine.exclude(pk__in=self._in_hand).values_list("pk", flat=True)))
        move(Message, [Move(row, State.WAITING, Reason.RETRY, {"due_at": now}) for row in held])

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
        if not slots:
            return []
        open_lanes = lanes.with_work(now)
        if not self._accounts.keys() >= {lane.id for lane in open_lanes}:
            # One was made since they were read last.
            self._accounts_read_at = None
            self._known_accounts(now)
        self._on_trial = {lane.id for lane in open_lanes if lane.is_on_trial}
        taken: list[Due] = []
        for priority in PRIORITIES:
            self._take_fairly(open_lanes, priority, slots, now, taken)
        if not taken and slots == self.dispatch.slots:
            for lane in open_lanes[:1]:
                taken = _take_due(lane.id, SUSPECT, 1, now)
            self._is_alone = bool(taken)
        return taken

    def _take_fairly(
        self, open_lanes: Sequence[OpenLane], priority: int, slots: int, now: datetime, taken: list[Due]
    ) -> None:
        """Take each lane's fair share; then what is left over, save the part that is kept for newcomers."""
        under_way = Counter(self.dispatch.under_way)
        under_way.update(due.lane_id for due in taken)
        everything = self.dispatch.slots
        hungry: list[OpenLane] = []
        for lane in open_lanes:
            room = lane.room(slots=everything, lanes=len(open_lanes), under_way=under_way[lane.id])
            share = min(room, slots - len(taken))
            got = _take_due(lane.id, priority, share, now)
            taken += got
            if got and len(got) == share and not lane.is_on_trial:
                hungry.append(lane)
        spare = slots - len(taken) - (everything - lanes.most_of_one(everything))
        for lane in hungry:
            got = _take_due(lane.id, priority, spare, now)
            taken += got
            spare -= len(got)

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


# What is read of a due row besides what is known of every held one.
_DUE = Due._fields[1:]


def _take_due(lane_id: int, priority: int, most: int, now: datetime) -> list[Due]:
    if most <= 0:
        return []
    rows = Message.objects.take_due(_DUE, lane_id=lane_id, priority=priority, now=now, most=most)
    return [Due._make((held, *values[:-1], moment(values[-1]))) for held, values in rows]


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
