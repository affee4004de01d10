"""Compares what the sender took, by its own ledger, with what Clarion says; neither is asked to judge itself."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from clarion.flows import audit
from clarion.models import Attempt, Mailing, Message, State
from clarion.models.outgoing import OPEN_STATES, Reason
from tests.faults.plans import Figures

# Rows named per breach; the count says how many there are.
NAMED = 5


class Row(NamedTuple):
    """What Clarion says of one message."""

    id: int
    state: str
    reason: str
    tries: int

    @property
    def is_doubtful(self) -> bool:
        """Whether the record says that it may have arrived."""
        return self.state == State.UNKNOWN or (self.state == State.EXPIRED and self.reason == Reason.IN_DOUBT)

    @property
    def is_dead(self) -> bool:
        return self.state == State.DEAD


def judge(mailing: Mailing, ledger: Counter[int], figures: Figures, *, too_late: str = "") -> None:
    """Fill in what became of the mailing, and every promise that was broken."""
    found = Message.objects.filter(mailing=mailing).values_list("id", "state", "reason", "tries")
    rows = {row[0]: Row(*row) for row in found.iterator(chunk_size=10_000)}
    taken = {pk: times for pk, times in ledger.items() if pk in rows}
    missing = [
        row for row in rows.values() if row.id not in taken and not row.is_doubtful and not row.is_dead
    ]
    figures.lost = sum(1 for row in missing if (row.state, row.reason) != (State.EXPIRED, too_late))
    figures.duplicates = sum(times - 1 for times in taken.values())
    figures.doubtful = sum(row.is_doubtful for row in rows.values())
    figures.dead = sum(row.is_dead for row in rows.values())
    figures.breaches += [
        *_accounts(rows, taken, figures),
        *_tries(mailing, rows, taken, figures),
        *(f"audit: {finding.sentence}" for finding in audit.run(datetime.now(UTC))),
    ]


def _accounts(rows: dict[int, Row], taken: dict[int, int], figures: Figures) -> Iterator[str]:
    if len(rows) != figures.messages:
        yield f"{len(rows)} messages were made of {figures.messages} customers"
    if figures.lost:
        yield f"{figures.lost} messages are lost"
    if figures.duplicates > figures.bound:
        yield f"{figures.duplicates} duplicates, at most {figures.bound} were allowed"
    held = figures.doubt == "hold"
    if held and figures.duplicates:
        yield f"{figures.duplicates} duplicates although doubtful sends are held"
    yield from _named("still open", (row.id for row in rows.values() if row.state in OPEN_STATES))
    wrongly = (row.id for row in rows.values() if row.state == State.ACCEPTED and row.id not in taken)
    yield from _named("on record as sent, never taken by the sender", wrongly)
    excused = (State.ACCEPTED, State.DEAD)
    unsaid = (pk for pk in taken if rows[pk].state not in excused and not rows[pk].is_doubtful)
    yield from _named("taken by the sender, and not on record as sent or doubtful", unsaid)


def _tries(mailing: Mailing, rows: dict[int, Row], taken: dict[int, int], figures: Figures) -> Iterator[str]:
    """Every try ended exactly once: by the answer that the row shows, or by an attempt that says how."""
    ended: dict[int, list[int]] = defaultdict(list)
    late: dict[int, list[int]] = defaultdict(list)
    attempts = Attempt.objects.filter(message__mailing=mailing)
    for pk, number, is_late in attempts.values_list("message_id", "number", "is_late"):
        (late if is_late else ended)[pk].append(number)
    figures.late = sum(map(len, late.values()))
    yield from _named(
        "taken oftener than tried", (pk for pk, times in taken.items() if times > rows[pk].tries)
    )
    unended = (row.id for row in rows.values() if sorted(ended[row.id]) != _numbers(row))
    yield from _named("with tries that ended never or twice", unended)
    # An answer is late because somebody else ended the try before.
    refused = (pk for pk, numbers in late.items() if not set(numbers) <= set(ended[pk]))
    yield from _named("whose own answer was refused", refused)


def _numbers(row: Row) -> list[int]:
    """The tries that attempts must tell of. The one that went right is told by the row itself."""
    return list(range(1, row.tries + (row.state != State.ACCEPTED)))


def _named(sentence: str, ids: Iterable[int]) -> Iterator[str]:
    found = sorted(ids)
    if found:
        yield f"{len(found)} messages {sentence}: {', '.join(map(str, found[:NAMED]))}"
