"""Lanes: which may be taken from, how many of the slots each may hold, when one closes and when it opens again."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from django.db.models import Exists, OuterRef, Q

from clarion.models import Lane, Message, State
from clarion.models.outgoing import PRIORITIES, SUSPECT

# This part of the slots is never held by one lane alone: a newcomer finds room although another one hangs.
RESERVE = 8


class OpenLane(NamedTuple):
    """A lane in which something is due. On trial it was closed, and has to show that it works again."""

    id: int
    is_on_trial: bool

    def room(self, *, slots: int, lanes: int, under_way: int) -> int:
        """Return how many more sends it may begin as its fair share of `slots` among `lanes`."""
        # Half-open: one send asks whether the account works; all the others would only be refused with it.
        fair = 1 if self.is_on_trial else min(-(-slots // lanes), most_of_one(slots))
        return max(0, fair - under_way)


def most_of_one(slots: int) -> int:
    """Return how many of the slots one lane may hold while nobody else wants them."""
    return slots - slots // RESERVE


def with_work(now: datetime) -> list[OpenLane]:
    """Return the open lanes in which something is due. One indexed question, asked fifty times a second when idle."""
    due = Message.objects.filter(
        lane_id=OuterRef("pk"), state=State.WAITING, priority__in=(*PRIORITIES, SUSPECT), due_at__lte=now
    )
    is_open = Q(closed_until=None) | Q(closed_until__lte=now)
    rows = Lane.objects.filter(is_open, Exists(due)).order_by("id")
    return [OpenLane(pk, until is not None) for pk, until in rows.values_list("id", "closed_until")]


def close(closed: Mapping[int, tuple[datetime, str]]) -> None:
    """Close these lanes until a moment, because of something."""
    for lane_id, (until, because) in sorted(closed.items()):
        # An answer that was long under way must not open what another one closed for longer.
        shorter = Q(closed_until=None) | Q(closed_until__lt=until)
        Lane.objects.filter(shorter, pk=lane_id).update(closed_until=until, closed_because=because)


def pass_trial(lane_ids: Iterable[int], now: datetime) -> None:
    """Open lanes for good that have taken something after their pause."""
    over = Lane.objects.filter(pk__in=sorted(lane_ids), closed_until__lte=now)
    over.update(closed_until=None, closed_because="")
