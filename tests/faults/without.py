"""Clarion with one protection switched off: what the fault runs must be seen to notice."""

import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from django.db import transaction

from clarion import worker
from clarion.flows import mailings, reading
from clarion.lib import egress as lib_egress
from clarion.lib import hours as lib_hours
from clarion.lib import key_files
from clarion.lib import parent as lib_parent
from clarion.models import outgoing
from clarion.models import readers as readers_rows
from clarion.outbox import breaker as lane_breaker
from clarion.outbox import (
    claims,
    cycle,
    deliveries,
    dispatch,
    doubt,
    gate,
    landing,
    lanes,
    pace,
    pacer,
    plan,
    taking,
)
from tests.faults.without_intake import INTAKE


def switch_off(name: str) -> None:
    """Change this process, and those forked from it."""
    MUTATIONS[name]()


def rescue() -> None:
    """What a dead worker held stays as it is."""
    claims.rescue = lambda workers, **_: 0  # type: ignore[assignment]


def sending_first() -> None:
    """Sends begin before `sending` is committed, and the commit takes its time."""
    honest = cycle.Outbox._round

    def round_(self: Any, taking: Any, now: Any) -> Any:
        with transaction.atomic():
            moved, departures = honest(self, taking, now)
            self.dispatch.start(departures)
            time.sleep(0.1)  # so that kills fall into the gap, which otherwise lasts under a millisecond
        return moved, []

    cycle.Outbox._round = round_  # type: ignore[method-assign]


def hold() -> None:
    """Whoever asked to hold doubtful sends is not heard."""
    doubt.policy = lambda account: "resend"  # type: ignore[assignment]


def fence() -> None:
    """Any answer counts, whoever holds the row by now."""
    honest = landing.effects

    def effects(landings: Any, held: Any, **rest: Any) -> Any:
        trusting = {
            row.id: held[row.id]._replace(worker_id=rest["worker_id"], tries=row.try_number)
            for row in (each.departure for each in landings)
        }
        return honest(landings, trusting, **rest)

    landing.effects = effects  # type: ignore[assignment]


def may_take() -> None:
    """Whoever was declared dead goes on taking messages until it notices, which it does late."""
    honest = claims.renew

    def renew(worker: Any, *, lease_seconds: float) -> bool:
        renewed = honest(worker, lease_seconds=lease_seconds)
        time.sleep(0 if renewed else 0.3)  # two rounds; often it notices before the first
        return renewed

    claims.may_take = lambda worker_id: True  # type: ignore[assignment]
    claims.renew = renew  # type: ignore[assignment]


def poison() -> None:
    """However often a message was there when a worker died, it is tried again."""
    claims.POISON_DEATHS = 10**6


def suspects() -> None:
    """What was there at two deaths goes on flying with everything else."""
    claims.SUSPECT = outgoing.FIRST_TRY


def parent() -> None:
    """Workers do not notice that their supervisor is gone."""
    lib_parent.end_with = lambda *_: None  # type: ignore[assignment]


def one_with_position() -> None:
    """A reader's effects are committed, and then its position, which takes its time."""
    honest = reading._do

    def do(reader: Any, tenant: Any, place: Any, following: Any, now: Any) -> Any:
        with transaction.atomic():
            if reading._lock_unmoved(place) is None:
                return None
            reader.apply(tenant, following.events, now)
        time.sleep(0.05)  # so that kills fall into the gap
        return honest(replace(reader, apply=lambda *given: None), tenant, place, following, now)

    reading._do = do  # type: ignore[assignment]


def position_first() -> None:
    """A reader's position is committed, and then its effects, after a while."""
    honest = reading._do

    def do(reader: Any, tenant: Any, place: Any, following: Any, now: Any) -> Any:
        left = honest(replace(reader, apply=lambda *given: None), tenant, place, following, now)
        time.sleep(0.6)  # so that kills fall into the gap
        if left is not None and following.events:
            with transaction.atomic():
                reader.apply(tenant, following.events, now)
        return left

    reading._do = do  # type: ignore[assignment]


def constant_id() -> None:
    """What goes again goes under a new id, as something new."""
    honest = deliveries.parcel_id

    def parcel_id(subscription: Any, delivery_id: int) -> str:
        return f"{honest(subscription, delivery_id)}_{secrets.token_hex(4)}"

    deliveries.parcel_id = parcel_id


def unmoved() -> None:
    """Whoever has read a slice does it, whether or not the position is still where it was; others read beside it."""
    honest = reading._next_slice

    def next_slice(*given: Any) -> Any:
        found = honest(*given)
        time.sleep(0.02)  # so that both workers have read the same one
        return found

    reading._next_slice = next_slice
    readers_rows.ReaderPosition.is_where = lambda self, other: True  # type: ignore[method-assign]


def breaker() -> None:
    """However many sends fail, their lane stays open."""
    lane_breaker.Breaker.note = lambda self, landing: False  # type: ignore[method-assign]


def slow_start() -> None:
    """A sender that is back gets everything that waited."""
    pace.share = lambda slow_since, now: 1.0  # type: ignore[assignment]


def rate() -> None:
    """Moments are given out for as many sends as there are slots, and nothing leaves later than at once."""
    pace.slots = lambda paces, now, most: [now] * most  # type: ignore[assignment]
    pacer.GRAIN = 1e6


def reserve() -> None:
    """One account may hold every slot, whether it answers or not."""
    lanes.most_of_one = lambda slots: slots  # type: ignore[assignment]
    lanes.UNPROVEN = 1


def hours() -> None:
    """Whoever plans or asks is told that it is always open."""
    lib_hours.Hours.opening = lambda self, at, zone: at  # type: ignore[method-assign]
    lib_hours.Hours.closing = lambda self, at, zone: at + timedelta(days=1)  # type: ignore[method-assign]


def summer() -> None:
    """Zones are a distance from UTC, the one that they had in the morning of the run."""
    today = datetime.now(UTC)
    honest = gate.find_zone

    def find_zone(text: str) -> Any:
        zone = honest(text)
        return zone and timezone(today.astimezone(zone).utcoffset() or timedelta())

    gate.find_zone = plan.find_zone = find_zone  # type: ignore[assignment]


def steady_leases() -> None:
    """Leases are measured by the wall clock."""
    claims.lease_clock = time.time


def window() -> None:
    """Nobody asks whether the deadline has passed, and nobody sweeps up when a mailing is over."""
    worker.FLOWS = tuple(flow for flow in worker.FLOWS if flow is not mailings.close_due)
    gate.is_too_late = lambda deadline_at, now: False  # type: ignore[assignment]
    dispatch.LEAST_TIME = -timedelta(days=10)
    dispatch.Dispatch._ring_at_deadline = (  # type: ignore[method-assign]
        lambda self, time_left: self._loop.call_later(3600, print)
    )


def beginning() -> None:
    """Nobody asks whether a message is due; what waits goes."""
    honest = taking.Taking.__init__

    def __init__(self: Any, *args: Any, **named: Any) -> None:
        honest(self, *args, **{**named, "now": named["now"] + timedelta(days=1)})

    taking.Taking.__init__ = __init__  # type: ignore[method-assign]


def objections() -> None:
    """Whatever is written as an address is looked up."""
    lib_egress.Egress.objection = lambda self, url: None  # type: ignore[method-assign]


def egress() -> None:
    """Wherever a name leads, there it is connected."""
    lib_egress.Egress.admit = lambda self, host, addresses: None  # type: ignore[method-assign]


def fresh_keys() -> None:
    """Whoever has read the key file never looks at it again."""
    honest = key_files.KeyFile._keys
    key_files.KeyFile._keys = (  # type: ignore[method-assign]
        lambda self: self._known[1] or honest(self)
    )


MUTATIONS: dict[str, Callable[[], None]] = {
    mutation.__name__: mutation
    for mutation in (
        *(rescue, sending_first, hold, fence, may_take, poison, suspects, parent),
        *(one_with_position, unmoved, position_first, constant_id),
        *(breaker, slow_start, rate, reserve),
        *(hours, summer, steady_leases, window, beginning),
        *(objections, egress, fresh_keys),
        *INTAKE,
    )
}
