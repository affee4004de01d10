"""What the gate says of a due row: it goes, or why it does not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from clarion.models.outgoing import Held


class Due(Protocol):
    """A due row as it was read under its lock, with what sending it takes.

    A NamedTuple: behind `held`, columns by their names; the last one is the time `deadline_at`.
    """

    @property
    def held(self) -> Held: ...
    @property
    def lane_id(self) -> int: ...
    @property
    def counted_tries(self) -> int: ...
    @property
    def priority(self) -> int: ...
    @property
    def deadline_at(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Go:
    """Send this text; it has to be over by `until`, the deadline or the end of the customer's local hours."""

    due: Any
    text: str = field(repr=False)
    until: datetime
    # What else changes with it.
    columns: Mapping[str, datetime] = field(default_factory=dict)
    # What the exit is given, where that is more than the text and the address.
    content: Any = None


@dataclass(frozen=True, slots=True)
class Stop:
    """Do not send. The row becomes `to`; a held one is looked at again at `look_again_at`."""

    due: Any
    to: str
    reason: str
    look_again_at: datetime | None = None
    columns: Mapping[str, datetime] = field(default_factory=dict)


Verdict = Go | Stop
