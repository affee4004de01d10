"""Clarion with one protection switched off: what the fault runs must be seen to notice."""

import time
from collections.abc import Callable
from typing import Any

from django.db import transaction

from clarion.lib import parent as lib_parent
from clarion.models import outgoing
from clarion.outbox import claims, cycle, doubt, landing


def switch_off(name: str) -> None:
    """Change this process, and those forked from it."""
    MUTATIONS[name]()


def rescue() -> None:
    """What a dead worker held stays as it is."""
    claims.rescue = lambda workers, **_: 0  # type: ignore[assignment]


def sending_first() -> None:
    """Sends begin before `sending` is committed, and the commit takes its time."""
    honest = cycle.Outbox._round

    def round_(self: Any, slots: int, now: Any) -> Any:
        with transaction.atomic():
            moved, departures = honest(self, slots, now)
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
            each.id: held[each.id]._replace(worker_id=rest["worker_id"], tries=each.try_number)
            for each in landings
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


MUTATIONS: dict[str, Callable[[], None]] = {
    mutation.__name__: mutation
    for mutation in (rescue, sending_first, hold, fence, may_take, poison, suspects, parent)
}
