"""New keys for what is sealed at rest: a new first key, everything sealed anew with it, old keys taken away.

Web and workers run on meanwhile: a key is in the file before anything is sealed with it, and they read the file again
when it changed (`lib/key_files.py`). Whatever breaks off is finished by running it again.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import structlog
from django.conf import settings
from django.db import transaction

from clarion.lib import key_files
from clarion.lib.secrets import Box, read_keys
from clarion.models import GatewayAccount, Subscription
from clarion.models.sealed import Sealed
from clarion.models.transactions import again_on_deadlock

log = structlog.get_logger()

# Every model that is Sealed.
SEALED: tuple[type[Sealed], ...] = (GatewayAccount, Subscription)
# Rows sealed anew in one transaction: some 10 ms of it, so that nobody waits for long.
BATCH = 100
# A key is taken away no sooner after the file changed: by then whoever sealed with the key that was the first before has
# committed. The longest a transaction of ours may do nothing is 15 s.
REST = timedelta(seconds=60)

Row = tuple[int, str]


class TooSoon(Exception):
    """The key file changed a moment ago: somebody may still be storing what the old key sealed."""


class StillNeeded(Exception):
    """Rows are sealed with older keys: `rotate` seals them anew."""


class Outcome(NamedTuple):
    """What a rotation did: whether a key was made, how many rows were sealed anew, how many open with no key."""

    made_key: bool
    resealed: int
    lost: int


def rotate(path: Path, *, key_only: bool = False) -> Outcome:
    """Put a new first key into the file, and seal everything anew with it; `key_only` leaves the latter for later.

    Where a rotation broke off, or did the key only, it makes no other key and finishes.

    :raises BadKeyFile: the file cannot be read or written; nothing is changed then
    """
    with key_files.held(path):
        made_key = not _needing_older(path)
        if made_key:
            key_files.put_first(path)
    outcome = Outcome(made_key, *((0, 0) if key_only else reseal()))
    log.info("keys_rotated", made_key=made_key, resealed=outcome.resealed, lost=outcome.lost)
    return outcome


def reseal() -> tuple[int, int]:
    """Seal with the first key whatever another one opens; return how many rows were, and how many no key opens."""
    done = lost = 0
    for model in SEALED:
        for batch in _batches(model):
            moved, shut = again_on_deadlock(_resealing(model, batch))
            done, lost = done + moved, lost + shut
    return done, lost


def drop_old(path: Path, *, now: datetime) -> int:
    """Take every key but the first out of the file, and return how many these were.

    :raises StillNeeded: a row opens with one of them
    :raises TooSoon: the file changed within the last minute
    :raises BadKeyFile: the file cannot be read or written
    """
    with key_files.held(path):
        old = len(read_keys(path)) - 1
        if not old:
            return 0
        if needing := _needing_older(path):
            raise StillNeeded(f"{needing} sealed settings still need an older key")
        if now.timestamp() - path.stat().st_mtime < REST.total_seconds():
            raise TooSoon(f"the keys changed less than {REST.total_seconds():.0f} s ago")
        key_files.keep_first(path)
    log.info("keys_dropped", dropped=old)
    return old


def _needing_older(path: Path) -> int:
    """Count the rows that another key than the first opens."""
    box = Box(read_keys(path))
    texts = (text for model in SEALED for batch in _batches(model) for _, text in batch)
    return sum(bool(box.opener(text)) for text in texts)


def _batches(model: type[Sealed]) -> Iterator[Sequence[Row]]:
    last = 0
    rows = model._default_manager.order_by("pk").values_list("pk", "sealed_settings")
    while batch := list(rows.filter(pk__gt=last)[:BATCH]):
        yield batch
        last = batch[-1][0]


def _resealing(model: type[Sealed], batch: Sequence[Row]) -> Callable[[], tuple[int, int]]:
    def transact() -> tuple[int, int]:
        moved = lost = 0
        # As the file has them now: another rotation may have begun.
        box = Box(settings.SECRET_KEYS)
        with transaction.atomic():
            for pk, text in batch:
                if (opener := box.opener(text)) == 0:
                    continue
                if opener is None:
                    lost += 1
                    continue
                # Whoever gave it other settings meanwhile sealed them with the first key.
                untouched = model._default_manager.filter(pk=pk, sealed_settings=text)
                moved += untouched.update(sealed_settings=box.resealed(text))
        return moved, lost

    return transact
