"""Lanes: which may be taken from, and how many sends each may begin: its share of the slots, its pace, its trial."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from clarion.models import Lane, Message, State
from clarion.models.bulk import moment, read
from clarion.models.outgoing import SUSPECT, Outgoing
from clarion.outbox import pace
from clarion.outbox.pace import Pace

# This part of the slots is never held by one account alone: a newcomer finds room although another one hangs.
# With an eighth, one that was well and then hung left another 57 % of what it reaches alone; with half, 85 to 96 %.
RESERVE = 2
# With this part an account begins; each answer earns it one more. Who never answers holds up no more than that.
UNPROVEN = 4
# What a round may change of a lane.
STATE = (
    "next_slot",
    "closed_at",
    "closed_until",
    "closed_because",
    "breaks",
    "passed",
    "slow_since",
)

# The longest due row of a kind is one step into the index. EXISTS over all kinds became a join that reads every
# message: measured on PostgreSQL with 40,000 of them, 11 ms instead of 0.15.
_FIRST_DUE = """(SELECT m.due_at FROM {rows} m WHERE m.state = %s AND m.lane_id = l.id AND m.priority = %s
                 ORDER BY m.due_at LIMIT 1) <= %s AS due_{priority}"""
# Written out: the ORM takes 3 ms to build it each time, which is most of what a round costs besides its rows.
# A lane that was closed in the future was closed before the clock was set back.
_WITH_WORK = """
    SELECT * FROM (
        SELECT l.id AS id, COALESCE(p.id, l.id) AS root, COALESCE(p.closed_until, l.closed_until) AS closed_until,
               COALESCE(p.slow_since, l.slow_since) AS slow_since, l.is_ordered AS is_ordered,
               l.rate_per_second AS rate, l.next_slot AS slot, p.rate_per_second AS rate_of_root,
               p.next_slot AS slot_of_root, {first_due}
        FROM {lanes} LEFT JOIN clarion_lane p ON p.id = l.parent_id
        WHERE l.ended_at IS NULL
            AND (COALESCE(p.closed_until, l.closed_until) IS NULL
                 OR COALESCE(p.closed_until, l.closed_until) <= %s OR COALESCE(p.closed_at, l.closed_at) > %s)
        ) o WHERE {is_due} ORDER BY id"""
# Of thousands of subscriptions few have something that waits: their lanes are found by leaping through the index.
_WAITING = """
    WITH RECURSIVE waiting (lane_id) AS (
        SELECT MIN(d.lane_id) FROM {rows} d WHERE d.state = %s
        UNION ALL
        SELECT (SELECT MIN(d.lane_id) FROM {rows} d WHERE d.state = %s AND d.lane_id > w.lane_id)
        FROM waiting w WHERE w.lane_id IS NOT NULL)"""


class OpenLane(NamedTuple):
    """A lane in which something is due. `root_id` is the account's lane that it is a part of, or itself.

    On trial the account's lane was closed, and has to show that it works again.
    """

    id: int
    root_id: int
    is_on_trial: bool
    is_ordered: bool
    paces: tuple[Pace, ...]
    share: float
    # The kinds of rows of which some are due.
    due: frozenset[int]

    @property
    def gap(self) -> float:
        """How long after the one before a send may begin, s; 0 where no rate bounds the lane."""
        return max((1 / each.per_second for each in self.paces), default=0.0)

    @property
    def paced_by(self) -> int:
        """The lane whose sends keep this gap: the account's if it has a rate, so that all its lanes keep it together."""
        return self.paces[-1].lane_id if self.paces else self.id


def with_work(model: type[Outgoing], now: datetime) -> list[OpenLane]:
    """Return the open lanes in which something is due. One indexed question, asked fifty times a second when idle."""
    sql, leaps = _with_work(model)
    kinds = [value for priority in (*model.PRIORITIES, SUSPECT) for value in (State.WAITING, priority, now)]
    found = read(sql, [*([State.WAITING] * leaps), *kinds, now, now])
    # Lanes of one account share the account's pace.
    paces: dict[int, Pace] = {}
    return [_open_lane(row, model, now, paces) for row in found]


@cache
def _with_work(model: type[Outgoing]) -> tuple[str, int]:
    """Return the question, and how often its beginning asks for what waits."""
    rows = model._meta.db_table
    priorities = (*model.PRIORITIES, SUSPECT)
    asked = {
        "first_due": ", ".join(_FIRST_DUE.format(rows=rows, priority=priority) for priority in priorities),
        "is_due": " OR ".join(f"due_{priority}" for priority in priorities),
    }
    if model is Message:
        return _WITH_WORK.format(lanes="clarion_lane l", **asked), 0
    lanes = "waiting w JOIN clarion_lane l ON l.id = w.lane_id"
    return _WAITING.format(rows=rows) + _WITH_WORK.format(lanes=lanes, **asked), 2


def lock(ids: Iterable[int]) -> dict[int, Lane]:
    """Lock these lanes, in id order like everybody, before any message; return them by id."""
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    return {lane.pk: lane for lane in Lane.objects.select_for_update().filter(pk__in=wanted).order_by("pk")}


def states(lanes: Iterable[Lane]) -> dict[int, tuple[Any, ...]]:
    """Return what a round may change of these lanes, by lane."""
    return {lane.pk: tuple(getattr(lane, name) for name in STATE) for lane in lanes}


def save(lanes: Mapping[int, Lane], before: Mapping[int, tuple[Any, ...]]) -> None:
    """Write what a round made of the lanes it has locked, where that is something else than `before`."""
    for pk, state in states(lanes.values()).items():
        if state != before[pk]:
            lanes[pk].save(update_fields=STATE)


def most_of_one(slots: int) -> int:
    """Return how many of the slots one account may hold while nobody else wants them."""
    return slots - slots // RESERVE


class Room:
    """How many sends each lane may begin in one round, beside those under way (counted by root and lane).

    `answered` says how many answers each account has given since it was idle, or away.
    """

    def __init__(
        self,
        lanes: Sequence[OpenLane],
        *,
        slots: int,
        under_way: Mapping[tuple[int, int], int],
        answered: Mapping[int, int],
    ) -> None:
        self._slots = slots
        self._answered = answered
        self._lanes_of = Counter(lane.root_id for lane in lanes)
        self._by_root: Counter[int] = Counter()
        self._by_lane: Counter[int] = Counter()
        for (root_id, lane_id), count in under_way.items():
            self._add(root_id, lane_id, count)

    def fair(self, lane: OpenLane) -> int:
        """Return what is left of the lane's share when each account has the same, and each lane of an account."""
        of_root = min(-(-self._slots // len(self._lanes_of)), self._most(lane))
        of_lane = -(-of_root // self._lanes_of[lane.root_id])
        return max(0, min(of_lane - self._by_lane[lane.id], of_root - self._by_root[lane.root_id]))

    def all_of(self, lane: OpenLane) -> int:
        """Return what is left of the most that the lane's account may hold while nobody else wants it."""
        return max(0, self._most(lane) - self._by_root[lane.root_id])

    def take(self, lane: OpenLane, count: int) -> None:
        """Count these as begun."""
        self._add(lane.root_id, lane.id, count)

    def _add(self, root_id: int, lane_id: int, count: int) -> None:
        self._by_root[root_id] += count
        self._by_lane[lane_id] += count

    def _most(self, lane: OpenLane) -> int:
        # Half-open: one send asks whether the account works; all the others would only be refused with it.
        if lane.is_on_trial:
            return 1
        earned = -(-self._slots // UNPROVEN) + self._answered.get(lane.root_id, 0)
        return max(1, min(earned, int(most_of_one(self._slots) * lane.share)))


def _open_lane(
    row: tuple[Any, ...], model: type[Outgoing], now: datetime, known: dict[int, Pace]
) -> OpenLane:
    lane_id, root_id, until, since, is_ordered, *rest = row
    rates, is_due = rest[:4], rest[4:]
    due = frozenset(each for each, found in zip((*model.PRIORITIES, SUSPECT), is_due, strict=True) if found)
    share = pace.share(None if since is None else moment(since), now)
    own, of_root = (lane_id, *rates[:2]), (root_id, *rates[2:])
    paces = [
        known.setdefault(pk, Pace(pk, rate * share, next_slot))
        for pk, rate, next_slot in (own, of_root)
        if rate
    ]
    return OpenLane(lane_id, root_id, until is not None, bool(is_ordered), tuple(paces), share, due)
