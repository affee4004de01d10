"""What a fault run is told (`Plan`) and what it finds (`Figures`). Plain values: both cross a process border as JSON."""

from datetime import UTC, datetime

import msgspec

from tests.servers import Server

# The manners of each scene that has several.
OUTAGES = ("refused", "busy", "hangs")
HANGING = ("hangs first", "hangs second", "hangs later")
LEAPS = ("inside its window", "over its end")
# Nights in which clocks change, and the noon or so before; Kathmandu, 5:45 ahead, never has one.
NIGHTS = {
    "Berlin forth": datetime(2026, 3, 28, 12, tzinfo=UTC),
    "Berlin back": datetime(2026, 10, 24, 12, tzinfo=UTC),
    "New York forth": datetime(2026, 3, 7, 12, tzinfo=UTC),
    "New York back": datetime(2026, 10, 31, 12, tzinfo=UTC),
    "Lord Howe forth": datetime(2026, 10, 3, 1, tzinfo=UTC),
    "Lord Howe back": datetime(2026, 4, 4, 1, tzinfo=UTC),
}
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One run. The same seed draws the same victims at the same marks; the machine decides the rest."""

    scene: str
    doubt: str = "resend"
    messages: int = 2_000
    kills: int = 3
    seed: int = 0
    workers: int = 2
    in_flight: int = 32
    # Seconds the sender takes to answer what it has taken: long enough that every kill finds sends under way.
    delay: float = 0.02
    # Seconds; the least that a lease may be is one.
    lease: float = 60.0
    # Workers are forked from a process that has everything loaded: 0.02 s to start instead of 0.8 s.
    forked: bool = False
    # The protection that is switched off (see without.py).
    without: str = ""
    # Seconds without any progress after which a run counts as stuck.
    patience: float = 60.0
    # Sends a second that the account allows; 0: as many as there are.
    rate: float = 0.0
    # Seconds an answer is waited for.
    timeout: float = 10.0
    # In which of several ways the scene goes wrong, and for how long (s).
    manner: str = ""
    outage: float = 0.0
    # What Clarion waits for because of a breaker, and between two looks for dead workers, divided by this.
    haste: float = 1.0
    # The wall clock is the scene's to set.
    clock: bool = False
    # Where the customers live, in turn.
    zones: tuple[str, ...] = ("UTC",)
    # Nothing else keeps this machine busy: what is too slow, or comes in clusters, is Clarion's doing.
    alone: bool = True
    # Events that are posted, by so many clients at once, to so many web processes, of so many tenants.
    events: int = 0
    clients: int = 8
    webs: int = 1
    tenants: int = 1
    # Every fourth event is posted by two clients; and somebody reads the log while it grows.
    overlapping: bool = False
    watched: bool = False
    # Power cuts that are tried on what the disk was told.
    cuts: int = 0
    # MiB of the data folder, which is then a file system of its own; 0: as much as there is.
    room: int = 0
    # How often it is looked how fast events arrive beside a receiver that hangs, and without; events a second, and how
    # many seconds each time.
    pairs: int = 0
    arrivals: float = 100.0
    seconds: float = 20.0
    # The private server that the scene may stop and start.
    server: Server | None = None


class Figures(msgspec.Struct, kw_only=True):
    """What a run came to. No breach: every promise was kept."""

    scene: str
    doubt: str
    manner: str = ""
    messages: int = 0
    kills: int = 0
    # Kills that found sends under way.
    hits: int = 0
    in_flight: int = 0
    # Neither taken by the sender nor on record as doubtful.
    lost: int = 0
    # Σ (times taken - 1) over all messages, by the sender's own count.
    duplicates: int = 0
    # The most duplicates that so many kills may cost.
    bound: int = 0
    # On record as "may have arrived".
    doubtful: int = 0
    dead: int = 0
    # Answers that came when the row was no longer the worker's.
    late: int = 0
    # Requests that left for a sender that was away after the breaker had opened, or for a receiver that hangs.
    knocks: int = 0
    # Deliveries to one that hangs that are still on their way.
    open: int = 0
    # The most requests in any second, and what came on average after the slow start, both as a part of the rate.
    peak: float = 0.0
    average: float = 0.0
    # How fast a lane goes beside one that hangs, as a part of what it reaches alone.
    kept: float = 0.0
    # From an event's arrival to its delivery, ms: half of them, and all but one in a hundred; without a receiver that
    # hangs, and beside one (medians over the pairs). By how much the latter is more in a pair, the median of these.
    p50: float = 0.0
    p99: float = 0.0
    p50_beside: float = 0.0
    p99_beside: float = 0.0
    rise: float = 0.0
    # Events and requests with them that were acknowledged; those sent again, and of these the ones known by then.
    events: int = 0
    posts: int = 0
    again: int = 0
    known: int = 0
    # Requests that were told to come again.
    later: int = 0
    # The longest that an answer took, and the longest from the end of a fault to the next acknowledgement, s.
    slowest: float = 0.0
    back: float = 0.0
    # Events that a reader of the growing log has seen, and those that had their effect in a worker.
    seen: int = 0
    effects: int = 0
    # Power cuts tried; those after which acknowledged events were missing, and those that left damage.
    cuts: int = 0
    cuts_lost: int = 0
    cuts_damaged: int = 0
    seconds: float = 0.0
    breaches: list[str] = msgspec.field(default_factory=list)
