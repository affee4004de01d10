"""What a fault run is told (`Plan`) and what it finds (`Figures`). Plain values: both cross a process border as JSON."""

import msgspec


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


class Figures(msgspec.Struct, kw_only=True):
    """What a run came to. No breach: every promise was kept."""

    scene: str
    doubt: str
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
    seconds: float = 0.0
    breaches: list[str] = msgspec.field(default_factory=list)
