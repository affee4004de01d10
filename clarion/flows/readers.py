"""The readers of the log: whatever follows from an event is done by one of these, each at a place of its own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from clarion.flows import forwarding, mail_events, reading, tracking
from clarion.flows.reading import Reader
from clarion.models import EventHead, ReaderPosition, Tenant

# A reader that is new here begins with the first event that is still in the log.
READERS: tuple[Reader, ...] = (
    Reader("forwarding", forwarding.apply, is_wanted=forwarding.is_wanted),
    Reader("tracking", tracking.apply, frozenset(mail_events.KINDS)),
)
# A reader with nothing to read is looked for again when something has come in; and this often anyway, because it may
# have rested after a failure, or have been sent back. With 5,000 tenants looking costs ten times the asking.
LOOK_AGAIN = timedelta(seconds=1)

# Of this process: how many events there were when a reader had nothing to read, and when that was.
_idle: dict[str, tuple[int, datetime]] = {}
# And how many there were when they were asked last.
_seen: dict[str, int] = {}


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
    events = EventHead.objects.events() if READERS else 0
    _seen["events"] = events
    slices = 0
    for reader in READERS:
        then, since = _idle.get(reader.name, (None, now))
        if events == then and since <= now < since + LOOK_AGAIN:
            continue
        if done := reading.read_on(reader, now):
            _idle.pop(reader.name, None)
        else:
            _idle[reader.name] = (events, now)
        slices += done
    return slices


def has_news() -> bool:
    """Whether something has come in since this process asked the readers last. One small question."""
    return bool(READERS) and EventHead.objects.events() != _seen.get("events")


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
