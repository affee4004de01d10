"""The door's clock: the one place in this room where the time comes from."""

from datetime import UTC, datetime


def now() -> datetime:
    return datetime.now(UTC)
