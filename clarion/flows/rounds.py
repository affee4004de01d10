"""One step of the worker on every row that is due, or turn by turn on those that take many: alone in its failure."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import TypeVar

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Model, QuerySet

from clarion.lib.logs import mistake
from clarion.models.files import Transfer
from clarion.models.transactions import again_on_deadlock

log = structlog.get_logger()

# Rows looked at by one step in one round: what is due behind them waits milliseconds.
ROUND = 100
# A row whose step failed is left alone for so long: a mistake is logged once a minute, not ten times a second.
REST = timedelta(minutes=1)

Row = TypeVar("Row", bound=Model)
# What the worker does to one row that it has locked; gives how much there was to do.
Step = Callable[[Row, datetime], int]

Work = TypeVar("Work", bound=Transfer)
Served = Callable[[Work], Work | None]

# Of this process: what failed, and until when it rests.
_resting: dict[tuple[str, int], datetime] = {}


def each(due: "QuerySet[Row]", step: Step[Row], now: datetime, *, most: int = ROUND) -> Iterator[int]:
    """Run a step on every row that is due; give what it gave. One that fails is logged and left; the others go on.

    `most`: how many rows in all.

    :raises OperationalError, InterfaceError: the database is away, so it is for all of them
    """
    tired = [
        pk for (name, pk), until in _resting.items() if name == step.__name__ and now < until <= now + REST
    ]
    for row in due.exclude(pk__in=tired)[:most] if tired else due[:most]:
        try:
            yield _if_locked(row, step, now)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            _resting[step.__name__, row.pk] = now + REST
            name = f"{row._meta.model_name}_id"
            log.error("step_failed", step=step.__name__.strip("_"), **{name: row.pk}, **mistake(error))


def in_turn(rows: Iterable[Work], serve: Served[Work], fail: Served[Work], *, most: int) -> int:
    """Do a piece of work on each row, then on each again that has some left, `most` pieces in all; return how many.

    `serve` gives the row as it is afterwards, None where another worker was faster. When it fails, the mistake is
    logged, and `fail` ends the row.

    :raises OperationalError, InterfaceError: the database is away, so it is for all of them
    """
    queue = deque(rows)
    served = 0
    while queue and served < most:
        row = queue.popleft()
        try:
            later = serve(row)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            name = row._meta.model_name
            log.error(f"{name}_failed", **{f"{name}_id": row.pk}, **mistake(error))
            later = fail(row)
        served += later is not None
        if later is not None and later.is_open:
            queue.append(later)
    return served


def _if_locked(row: Row, step: Step[Row], now: datetime) -> int:
    """Run the step on the locked row, and save it; 0 when another worker has it in hands."""

    def once() -> int:
        with transaction.atomic():
            rows = type(row)._default_manager.filter(pk=row.pk)
            locked = rows.select_for_update(skip_locked=True).first()
            if locked is None:
                return 0
            done = step(locked, now)
            if done:
                locked.save()
        return done

    return again_on_deadlock(once)
