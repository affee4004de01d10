"""The one function that changes the state of what leaves: rows, then counters, in the caller's transaction."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from clarion.models.bulk import update_rows
from clarion.models.outgoing import Move as Move
from clarion.models.outgoing import Outgoing


class IllegalMove(RuntimeError):
    """A state was asked for that may not follow; a mistake in the program, never in the data."""


def move(model: type[Outgoing], moves: Iterable[Move], now: datetime) -> None:
    """Write the moves of rows that were locked and read in this transaction, and move their counters.

    What follows from them at once follows in it, too (`Outgoing.moved`).

    :raises IllegalMove: for a step that the state table does not know; nothing is written then
    """
    moves = sorted(moves, key=lambda step: step.held.id)
    by_columns: dict[tuple[str, ...], list[tuple[Any, ...]]] = defaultdict(list)
    shifts: Counter[tuple[int, str, str, int]] = Counter()
    for step in moves:
        held = step.held
        if step.to not in model.NEXT[held.state]:
            raise IllegalMove(f"{model.__name__} {held.id}: {held.state} cannot become {step.to}")
        row = (held.id, step.to, step.reason, *step.columns.values())
        by_columns[("state", "reason", *step.columns)].append(row)
        shifts[held.owner_id, held.state, held.reason, held.tenant_id] -= 1
        shifts[held.owner_id, step.to, step.reason, held.tenant_id] += 1
    for columns, rows in by_columns.items():
        update_rows(model, columns, rows)
    model.counts().shift(shifts)
    model.moved(moves, now)
