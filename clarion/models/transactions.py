"""Running a transaction again when the database could not order it among others."""

from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError, connection

Result = TypeVar("Result")

# Locks are taken in one order everywhere, so a second collision is rare and a fifth is a mistake to be seen.
MOST_TRIES = 5

# PostgreSQL: deadlock_detected, serialization_failure, lock_not_available. MySQL: deadlock, lock wait timeout.
_STATES = {"40P01", "40001", "55P03"}
_NUMBERS = {1213, 1205}


def again_on_deadlock(transaction: Callable[[], Result]) -> Result:
    """Run the whole transaction, again if the database ended it to untangle a lock; at most five times."""
    if connection.in_atomic_block:
        # A deadlock ended the outer transaction with ours: only whoever opened it can begin again.
        return transaction()
    for remaining in reversed(range(MOST_TRIES)):
        try:
            return transaction()
        except OperationalError as error:
            if not remaining or not is_lock_conflict(error):
                raise
    raise AssertionError("unreachable: the last try returns or raises")


def is_lock_conflict(error: OperationalError) -> bool:
    cause = error.__cause__
    number = error.args[0] if error.args else None
    return getattr(cause, "sqlstate", None) in _STATES or number in _NUMBERS
