"""The readers of the log: whatever follows from an event is done by one of these, each at a place of its own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from clarion.flows import mail_events, reading, tracking
from clarion.flows.reading import Reader
from clarion.models import ReaderPosition, Tenant

# A reader that is new here begins with the first event that is still in the log.
READERS: tuple[Reader, ...] = (Reader("tracking", tracking.apply, frozenset(mail_events.KINDS)),)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a reader is in a tenant's log: `unread` events since `unread_since` (by the time they came in)."""

    reader: str
    tenant: str
    position: int
    head: int
    unread_since: datetime | None
    parked: int

    @property
    def unread(self) -> int:
        return max(self.head - self.position, 0)


class NoSuchReader(LookupError):
    """No reader goes by this name."""


def run_due(now: datetime) -> int:
    """Let every reader read on; return how many slices were read."""
    return sum(reading.read_on(reader, now) for reader in READERS)


def find(name: str) -> Reader:
    """Return the reader of this name.

    :raises NoSuchReader:
    """
    for reader in READERS:
        if reader.name == name:
            return reader
    known = ", ".join(reader.name for reader in READERS) or "none"
    raise NoSuchReader(f"There is no reader {name}. There are: {known}.")


def standings(tenants: Sequence[Tenant] | None = None) -> Iterator[Standing]:
    """Give where each reader is in each log that has begun; of these tenants only, if they are named."""
    only = None if tenants is None else [tenant.pk for tenant in tenants]
    for reader in READERS:
        for row in ReaderPosition.objects.standings(reader.name, only):
            yield Standing(reader.name, *row)
