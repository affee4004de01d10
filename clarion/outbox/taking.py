"""What goes next: due rows of every open lane, within its share of the slots and its pace, and one of each on trial."""

import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from clarion.models import Lane
from clarion.models.bulk import moment
from clarion.models.outgoing import SUSPECT, OutgoingRows
from clarion.outbox import breaker, lanes, pace
from clarion.outbox.claims import lease_clock
from clarion.outbox.dispatch import Dispatch
from clarion.outbox.lanes import OpenLane, Room
from clarion.outbox.verdicts import Due, Go, Verdict

# Rows looked at in one round where the last one met some that may not go: a night's worth of them must not stand in
# front of those who may, one by one.
LOOK = 256


class Taken(NamedTuple):
    """A due row in our hands, and the lane it goes by."""

    due: Due
    lane: OpenLane


class Going(NamedTuple):
    """A row that goes, and when it may begin, on the clock of `time.monotonic`."""

    taken: Taken
    verdict: Go
    starts_at: float


class Taking:
    """One round's look at the lanes, before its transaction; then what it takes, inside it."""

    def __init__(
        self,
        dispatch: Dispatch,
        *,
        slots: int,
        answered: Mapping[int, int],
        stopped: Collection[int],
        may_be_alone: bool,
        turn: int,
        now: datetime,
    ) -> None:
        self._dispatch = dispatch
        self._traffic = dispatch.traffic
        self._may_be_alone = may_be_alone
        self._answered = answered
        # Lanes of which the last round met rows that may not go; and how many sends each may begin in this one.
        self._stopped = stopped
        self._allowed: Counter[int] = Counter()
        self._slots = slots
        self._now = now
        self.is_suspect = False
        found = lanes.with_work(self._traffic.model, now)
        self._clock = lease_clock() if any(lane.paces for lane in found) else 0.0
        self._read_at = time.monotonic()
        room = self._room(found)
        # Without those whose accounts hold all they may: one that hangs would else cost a transaction in each round.
        with_room = [lane for lane in found if room.all_of(lane) and pace.has_slot(lane.paces, self._clock)]
        self.lanes = _in_turn(with_room, slots, turn)

    def lanes_to_lock(self) -> set[int]:
        """Return the ids of the lanes that this round may change, or whose order it may: on trial, with a pace, ordered."""
        found = {lane.root_id for lane in self.lanes if lane.is_on_trial or lane.is_ordered}
        return found | {each.lane_id for lane in self.lanes for each in lane.paces}

    def take(self, held: Mapping[int, Lane]) -> list[Taken]:
        """Lock what goes next: first tries of every lane, then retries; when there is none, a suspect by itself."""
        self.lanes = [lane for lane in self.lanes if self._is_still_open(lane, held)]
        self._set_paces(held)
        self._allowed.clear()
        room = self._room(self.lanes)
        taken: list[Taken] = []
        for priority in self._traffic.model.PRIORITIES:
            self._take_fairly(priority, room, taken)
        if not taken and self._slots == self._dispatch.slots and self._may_be_alone:
            for lane in [each for each in self.lanes if SUSPECT in each.due][:1]:
                taken = self._take_due(lane, SUSPECT, 1)
            self.is_suspect = bool(taken)
        return taken

    def choose(self, asked: Iterable[tuple[Taken, Verdict]], held: Mapping[int, Lane]) -> list[Going]:
        """Return which of those the gate let through go, and when. The others are left as they were.

        Only what goes uses up moments and tries a lane on trial: whom the gate stopped left room for the next.
        """
        self._set_paces(held)
        going = []
        for taken, verdict in asked:
            lane = taken.lane
            moment = max((each.first_slot(self._clock) for each in lane.paces), default=self._clock)
            if isinstance(verdict, Go) and self._allowed[lane.id] and moment <= self._clock + pace.HORIZON:
                self._allowed[lane.id] -= 1
                pace.use(lane.paces, [moment])
                going.append(Going(taken, verdict, self._read_at + moment - self._clock))
        for each in {each.lane_id: each for lane in self.lanes for each in lane.paces}.values():
            held[each.lane_id].next_slot = each.next_slot
        tried = {each.taken.lane.root_id for each in going}
        for root_id in {lane.root_id for lane in self.lanes if lane.is_on_trial} - tried:
            breaker.end_trial(held[root_id], self._now)
        return going

    def _room(self, found: Sequence[OpenLane]) -> Room:
        dispatch = self._dispatch
        return Room(found, slots=dispatch.slots, under_way=dispatch.under_way, answered=self._answered)

    def _set_paces(self, held: Mapping[int, Lane]) -> None:
        for lane in self.lanes:
            for each in lane.paces:
                each.next_slot = held[each.lane_id].next_slot

    def _is_still_open(self, lane: OpenLane, held: Mapping[int, Lane]) -> bool:
        """Look again under the lock. One on trial is ours from here on, or somebody else's."""
        root = held.get(lane.root_id)
        if root is None or root.closed_until is None:
            return not lane.is_on_trial
        was_set_back = root.closed_at is not None and root.closed_at > self._now
        if not lane.is_on_trial or (root.closed_until > self._now and not was_set_back):
            return False
        breaker.begin_trial(root, self._now)
        return True

    def _take_fairly(self, priority: int, room: Room, taken: list[Taken]) -> None:
        """Take each lane's fair share; then what is left over, save the part that is kept for newcomers."""
        everything = self._dispatch.slots
        hungry: list[tuple[OpenLane, list[int]]] = []
        for lane in self.lanes:
            if priority not in lane.due:
                continue
            share = min(room.fair(lane), self._slots - self._allowed.total())
            got = self._take_due(lane, priority, share)
            room.take(lane, min(len(got), share))
            taken += got
            if got and len(got) >= share and not lane.is_on_trial:
                hungry.append((lane, [each.due.held.id for each in got]))
        reserve = everything - lanes.most_of_one(everything)
        for lane, besides in hungry:
            most = min(room.all_of(lane), self._slots - self._allowed.total() - reserve)
            got = self._take_due(lane, priority, most, besides)
            room.take(lane, min(len(got), most))
            taken += got

    def _take_due(self, lane: OpenLane, priority: int, most: int, besides: Sequence[int] = ()) -> list[Taken]:
        slots = pace.slots(lane.paces, self._clock, most)
        if not slots:
            return []
        looked_at = max(len(slots), LOOK) if lane.id in self._stopped else len(slots)
        due = self._traffic.due
        waiting: OutgoingRows[Any] = self._traffic.model._default_manager.all()  # type: ignore[assignment]
        rows = waiting.take_due(
            # What is read of it besides what is known of every held one.
            due._fields[1:],
            lane_id=lane.id,
            priority=priority,
            now=self._now,
            most=looked_at,
            besides=besides,
        )
        used = slots[: len(rows)]
        self._allowed[lane.id] += len(used)
        pace.use(lane.paces, used)
        return [Taken(due._make((held, *values[:-1], moment(values[-1]))), lane) for held, values in rows]


def _in_turn(found: list[OpenLane], most: int, after: int) -> list[OpenLane]:
    """Return as many lanes as there is room for a send of each; where that leaves some out, those behind `after` first."""
    if len(found) <= most:
        return found
    behind = [lane for lane in found if lane.id > after]
    return [*behind, *found][:most]
