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
from clarion.models import Lane, State
from clarion.models.attempts import keep_tries
from clarion.models.moves import Move, move
from clarion.models.outgoing import Held, OutgoingRows, Reason
from clarion.models.transactions import again_on_deadlock
from clarion.outbox import breaker, claims, landing, lanes
from clarion.outbox.breaker import Breaker
from clarion.outbox.dispatch import Dispatch
from clarion.outbox.landing import Departure, Landing
from clarion.outbox.taking import Going, Taking
from clarion.outbox.traffic import Account
from clarion.outbox.verdicts import Go, Stop

# Who gave no answer for so long has to earn its slots anew: as long as a send may take.
SILENCE = timedelta(seconds=10)

Accounts = Mapping[int, Account]


class Outbox:
    """What one worker process has in its hands of one kind of traffic. Used by one thread."""

    def __init__(self, *, worker_id: int, dispatch: Dispatch, rng: random.Random | None = None) -> None:
        self.worker_id = worker_id
        self.dispatch = dispatch
        self.traffic = dispatch.traffic
        # What else this process has in its hands: all of it dies together.
        self.beside: Sequence[Outbox] = ()
        self._rng = rng or random.SystemRandom()
        self._unrecorded: list[Landing] = []
        # A suspect is under way, and nothing else may be.
        self.is_alone = False
        # By account's lane: what it remembers of each, and those whose breaker has just had enough.
        self._breakers: defaultdict[int, Breaker] = defaultdict(Breaker)
        self._broke: set[int] = set()
        # Also by account's lane: the answers it gave since it was silent or away, and when it gave the last one.
        self._answered: Counter[int] = Counter()
        self._heard_at: dict[int, datetime] = {}
        # Where there are more lanes than slots: the last one that has had its turn.
        self._turn = 0
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
        self.is_alone = self.is_alone and not is_idle
        others_alone = any(each.is_alone for each in self.beside)
        slots = self.dispatch.free if take and not self.is_alone and not others_alone else 0
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
        if taking and taking.lanes:
            self._turn = taking.lanes[-1].id
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
        info_lines(f"{self.traffic.name}_tried", map(self._told, recorded))
        return moved

    def _look(self, slots: int, now: datetime) -> Taking:
        return Taking(
            self.dispatch,
            slots=slots,
            answered=self._answered,
            stopped=self._stopped,
            may_be_alone=all(each.is_empty for each in self.beside),
            turn=self._turn,
            now=now,
        )

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
            before = lanes.states(held.values())
            recorded = self._record(held, accounts, now)
            strays = self._put_back_strays(now) if self._is_in_doubt else 0
            taken = taking.take(held) if taking else []
            self.is_alone = taking.is_suspect if taking else self.is_alone
            verdicts = self.traffic.ask([each.due for each in taken], accounts, now=now)
            going = taking.choose(zip(taken, verdicts, strict=True), held) if taking else []
            stops = [each for each in verdicts if isinstance(each, Stop)]
            self._stopped = {each.due.lane_id for each in stops}
            # Together, because most of what one adds to the counters the other takes away.
            steps = [_stop(each, now) for each in stops]
            steps += [self._go(each.verdict, now) for each in going]
            move(self.traffic.model, [*recorded, *steps], now)
            lanes.save(held, before)
            crashpoint("cycle.before_commit")
        departures = list(map(self._departure, going))
        return len(recorded) + strays + len(steps), departures

    def _lanes_with_news(self) -> set[int]:
        """The accounts' lanes of which the answers say more than that a row went, or did not; and where order is kept."""
        return {
            each.departure.account.lane_id
            for each in self._unrecorded
            if each.departure.is_trial
            or each.departure.is_ordered
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
        self.traffic.heard(self._unrecorded, now)
        model = self.traffic.model
        held = {row.id: row for row in self._lock([each.departure.id for each in self._unrecorded])}
        left_by = {each.departure.account.lane_id: each.departure.account for each in self._unrecorded}
        policies = {
            lane_id: self.traffic.policy(accounts.get(lane_id, account))
            for lane_id, account in left_by.items()
        }
        effects = landing.effects(
            self._unrecorded,
            held,
            worker_id=self.worker_id,
            policies=policies,
            now=now,
            rng=self._rng,
            model=model,
        )
        keep_tries(model, effects.attempts)
        crashpoint("record.before_commit")
        return effects.moves

    def _put_back_strays(self, now: datetime) -> int:
        """Let rows wait again that a round wrote as `sending` whose commit was not answered: none of them left."""
        model = self.traffic.model
        mine = model._default_manager.filter(state=State.SENDING, worker_id=self.worker_id)
        held = self._lock(list(mine.exclude(pk__in=self._in_hand).values_list("pk", flat=True)))
        move(model, [Move(row, State.WAITING, Reason.RETRY, {"due_at": now}) for row in held], now)
        return len(held)

    def _lock(self, ids: list[int]) -> list[Held]:
        rows: OutgoingRows[Any] = self.traffic.model._default_manager.all()  # type: ignore[assignment]
        return rows.lock(ids)

    def _still_true(self, landings: list[Landing]) -> list[Landing]:
        """Leave out what was refused under settings that were changed meanwhile: it says nothing of the new ones.

        Who changes an account opens its lane in the same transaction; the lane is locked, so that came before.
        """
        refused = {
            each.departure.account.lane_id for each in landings if isinstance(each.result, Misconfigured)
        }
        if not refused:
            return landings
        sealed = {
            lane_id: account.sealed_settings for lane_id, account in self.traffic.accounts(refused).items()
        }
        self._accounts_read_at = None
        return [
            each
            for each in landings
            if not isinstance(each.result, Misconfigured)
            or each.departure.account.sealed_settings == sealed.get(each.departure.account.lane_id)
        ]

    def _known_accounts(self, now: datetime, needed: set[int]) -> Accounts:
        """The accounts by lane, read again every second: a changed key counts from the next one on."""
        is_fresh = self._accounts_read_at is not None and _fresh(self._accounts_read_at, now)
        if not is_fresh or not self._accounts.keys() >= needed:
            self._accounts = self.traffic.accounts(needed)
            self._accounts_read_at = now
        return self._accounts

    def _go(self, verdict: Go, now: datetime) -> Move:
        held = verdict.due.held
        columns = {
            "worker_id": self.worker_id,
            "tries": held.tries + 1,
            **self.traffic.columns(verdict),
            "sending_at": now,
        }
        return Move(held, State.SENDING, "", {**columns, **verdict.columns})

    def _departure(self, going: Going) -> Departure:
        due, lane = going.taken.due, going.taken.lane
        return Departure(
            id=due.held.id,
            owner_id=due.held.owner_id,
            about_id=self.traffic.about(due),
            try_number=due.held.tries + 1,
            counted_tries=due.counted_tries,
            priority=due.priority,
            account=self._accounts[lane.root_id],
            lane_id=lane.id,
            content=self.traffic.content(going.verdict),
            deadline_at=going.verdict.due.deadline_at,
            until=going.verdict.until,
            is_trial=lane.is_on_trial,
            is_ordered=lane.is_ordered,
            starts_at=going.starts_at,
            gap=lane.gap,
            paced_by=lane.paced_by,
        )

    def _told(self, result: Landing) -> dict[str, Any]:
        """What the log says of a try."""
        return {
            **self.traffic.told(result.departure),
            "try_number": result.departure.try_number,
            "outcome": landing.name(result.result),
            "code": getattr(result.result, "code", ""),
            "ms": round((result.ended_at - result.started_at).total_seconds() * 1000, 1),
            "worker_id": self.worker_id,
        }


def _stop(verdict: Stop, now: datetime) -> Move:
    ends = {"finished_at": now} if verdict.look_again_at is None else {"due_at": verdict.look_again_at}
    return Move(verdict.due.held, verdict.to, verdict.reason, {**ends, **verdict.columns})


def _fresh(read_at: datetime, now: datetime) -> bool:
    # A clock that was set back makes it old as well.
    return timedelta() <= now - read_at < timedelta(seconds=1)
