"""One round of the outbox: a single transaction that records what landed and writes `sending` on what goes next.

The sends themselves begin after the commit, in `dispatch`. A round that fails changes nothing and is run again.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, transaction

from clarion.lib.crashpoints import crashpoint
from clarion.lib.logs import info_lines
from clarion.lib.sending import Misconfigured, Receipt, Refused, Throttled
from clarion.models import Attempt, GatewayAccount, Lane, Message, State
from clarion.models.moves import Move, move
from clarion.models.outgoing import Reason
from clarion.models.transactions import again_on_deadlock
from clarion.outbox import breaker, claims, doubt, landing, lanes
from clarion.outbox.breaker import Breaker
from clarion.outbox.dispatch import Dispatch
from clarion.outbox.gate import Go, Stop, ask
from clarion.outbox.landing import Departure, Landing
from clarion.outbox.taking import Going, Taking

# Who gave no answer for so long has to earn its slots anew: as long as a send may take.
SILENCE = timedelta(seconds=10)

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
        # By account's lane: what it remembers of each, and those whose breaker has just had enough.
        self._breakers: defaultdict[int, Breaker] = defaultdict(Breaker)
        self._broke: set[int] = set()
        # Also by account's lane: the answers it gave since it was silent or away, and when it gave the last one.
        self._answered: Counter[int] = Counter()
        self._heard_at: dict[int, datetime] = {}
        # Lanes of which the last round met rows that may not go.
        self._stopped: set[int] = set()
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
        self._note(self.dispatch.take_landings(), now)
        is_idle = self.dispatch.free == self.dispatch.slots
        self._is_alone = self._is_alone and not is_idle
        slots = self.dispatch.free if take and not self._is_alone else 0
        taking = self._look(slots, now) if slots else None
        if not (self._unrecorded or self._is_in_doubt or (taking and taking.lanes)):
            return 0
        try:
            moved, departures = again_on_deadlock(lambda: self._round(taking, now))
        except DatabaseError:
            # The connection may have died after the commit and before the answer to it.
            self._is_in_doubt = True
            raise
        self._is_in_doubt = False
        crashpoint("cycle.after_commit")
        if self._unrecorded:
            crashpoint("record.after_commit")
        recorded, self._unrecorded = self._unrecorded, []
        self._in_hand -= {each.departure.id for each in recorded}
        self._in_hand |= {departure.id for departure in departures}
        for root_id in self._broke:
            del self._breakers[root_id]
        self._broke.clear()
        self.dispatch.start(departures)
        info_lines("message_tried", (_told(result, self.worker_id) for result in recorded))
        return moved

    def _look(self, slots: int, now: datetime) -> Taking:
        return Taking(self.dispatch, slots=slots, answered=self._answered, stopped=self._stopped, now=now)

    def _note(self, landings: Sequence[Landing], now: datetime) -> None:
        self._unrecorded += landings
        broke, closed = set[int](), set[int]()
        for each in landings:
            root_id = each.departure.account.lane_id
            if isinstance(each.result, Receipt | Refused):
                self._answered[root_id] += 1
                self._heard_at[root_id] = now
            if self._breakers[root_id].note(each):
                broke.add(root_id)
            if isinstance(each.result, Misconfigured | Throttled):
                closed.add(root_id)
        self._broke |= broke
        self.dispatch.recall(broke | closed)
        for root_id, heard_at in list(self._heard_at.items()):
            if root_id in broke or not timedelta() <= now - heard_at < SILENCE:
                del self._heard_at[root_id], self._answered[root_id]

    def _round(self, taking: Taking | None, now: datetime) -> tuple[int, list[Departure]]:
        accounts = self._known_accounts(now, {lane.root_id for lane in taking.lanes} if taking else set())
        with transaction.atomic():
            if taking and not claims.may_take(self.worker_id):
                taking = None
            held = lanes.lock([*self._lanes_with_news(), *(taking.lanes_to_lock() if taking else [])])
            recorded = self._record(held, accounts, now)
            strays = self._put_back_strays(now) if self._is_in_doubt else 0
            taken = taking.take(held) if taking else []
            self._is_alone = taking.is_suspect if taking else self._is_alone
            verdicts = ask([each.due for each in taken], now=now)
            going = taking.choose(zip(taken, verdicts, strict=True), held) if taking else []
            stops = [each for each in verdicts if isinstance(each, Stop)]
            self._stopped = {each.due.lane_id for each in stops}
            # Together, because most of what one adds to the counters the other takes away.
            steps = [_stop(each, now) for each in stops]
            steps += [self._go(each.verdict, now) for each in going]
            move(Message, [*recorded, *steps])
            lanes.save(held.values())
            crashpoint("cycle.before_commit")
        departures = list(map(self._departure, going))
        return len(recorded) + strays + len(steps), departures

    def _lanes_with_news(self) -> set[int]:
        """The accounts' lanes of which the answers say more than that a message went, or did not."""
        return {
            each.departure.account.lane_id
            for each in self._unrecorded
            if each.departure.is_trial
            or isinstance(each.result, Misconfigured | Throttled)
            or each.departure.account.lane_id in self._broke
        }

    def _record(self, held_lanes: Mapping[int, Lane], accounts: Accounts, now: datetime) -> list[Move]:
        """Write what the answers say of lanes and tries, and return what they make of the rows."""
        if not self._unrecorded:
            return []
        of_lane: defaultdict[int, list[Landing]] = defaultdict(list)
        for each in self._still_true(self._unrecorded):
            of_lane[each.departure.account.lane_id].append(each)
        for root_id, lane in held_lanes.items():
            broke = root_id in self._broke
            breaker.record(lane, of_lane[root_id], broke=broke, now=now, rng=self._rng)
        ids = [each.departure.id for each in self._unrecorded]
        held = {row.id: row for row in Message.objects.lock(ids)}
        policies = doubt.policies(accounts.values())
        effects = landing.effects(
            self._unrecorded, held, worker_id=self.worker_id, policies=policies, now=now, rng=self._rng
        )
        Attempt.objects.bulk_create(effects.attempts)
        crashpoint("record.before_commit")
        return effects.moves

    def _put_back_strays(self, now: datetime) -> int:
        """Let rows wait again that a round wrote as `sending` whose commit was not answered: none of them left."""
        mine = Message.objects.filter(state=State.SENDING, worker_id=self.worker_id)
        held = Message.objects.lock(list(mine.exclude(pk__in=self._in_hand).values_list("pk", flat=True)))
        move(Message, [Move(row, State.WAITING, Reason.RETRY, {"due_at": now}) for row in held])
        return len(held)

    def _still_true(self, landings: list[Landing]) -> list[Landing]:
        """Leave out what was refused under settings that were changed meanwhile: it says nothing of the new ones.

        Who changes an account opens its lane in the same transaction; the lane is locked, so that came before.
        """
        refused = {
            each.departure.account.lane_id for each in landings if isinstance(each.result, Misconfigured)
        }
        if not refused:
            return landings
        accounts = GatewayAccount.objects.filter(lane_id__in=refused)
        sealed = dict(accounts.values_list("lane_id", "sealed_settings"))
        self._accounts_read_at = None
        return [
            each
            for each in landings
            if not isinstance(each.result, Misconfigured)
            or each.departure.account.sealed_settings == sealed[each.departure.account.lane_id]
        ]

    def _known_accounts(self, now: datetime, needed: set[int]) -> Accounts:
        """The gateway accounts by lane, read again every second: a changed key counts from the next one on."""
        is_fresh = self._accounts_read_at is not None and _fresh(self._accounts_read_at, now)
        if not is_fresh or not self._accounts.keys() >= needed:
            self._accounts = {account.lane_id: account for account in GatewayAccount.objects.all()}
            self._accounts_read_at = now
        return self._accounts

    def _go(self, verdict: Go, now: datetime) -> Move:
        held = verdict.due.held
        columns = {
            "worker_id": self.worker_id,
            "tries": held.tries + 1,
            "text": verdict.text,
            "sending_at": now,
        }
        return Move(held, State.SENDING, "", {**columns, **verdict.columns})

    def _departure(self, going: Going) -> Departure:
        due, lane = going.taken.due, going.taken.lane
        return Departure(
            id=due.held.id,
            owner_id=due.held.owner_id,
            customer_id=due.customer_id,
            try_number=due.held.tries + 1,
            counted_tries=due.counted_tries,
            priority=due.priority,
            account=self._accounts[lane.root_id],
            lane_id=lane.id,
            address=due.address,
            text=going.verdict.text,
            deadline_at=going.verdict.due.deadline_at,
            until=going.verdict.until,
            is_trial=lane.is_on_trial,
            starts_at=going.starts_at,
            gap=lane.gap,
            paced_by=lane.paced_by,
        )


def _stop(verdict: Stop, now: datetime) -> Move:
    ends = {"finished_at": now} if verdict.look_again_at is None else {"due_at": verdict.look_again_at}
    return Move(verdict.due.held, verdict.to, verdict.reason, {**ends, **verdict.columns})


def _fresh(read_at: datetime, now: datetime) -> bool:
    # A clock that was set back makes it old as well.
    return timedelta() <= now - read_at < timedelta(seconds=1)


def _told(result: Landing, worker_id: int) -> dict[str, Any]:
    """What the log says of a try."""
    departure = result.departure
    return {
        "message_id": departure.id,
        "mailing_id": departure.owner_id,
        "client_id": departure.customer_id,
        "try_number": departure.try_number,
        "outcome": landing.name(result.result),
        "code": getattr(result.result, "code", ""),
        "ms": round((result.ended_at - result.started_at).total_seconds() * 1000, 1),
        "worker_id": worker_id,
    }
