"""The readers of the log: they keep up with it, and have set nothing aside."""

import shlex
from collections.abc import Iterator
from datetime import timedelta

from clarion.cli.output import now, program
from clarion.cli.remarks import Remark, ok, warning
from clarion.flows.readers import standings

# A reader that keeps up reads an event within a second; a backlog of a million is read in minutes.
LATE = timedelta(minutes=10)
# Lines for each kind of remark.
NAMED = 3


def look() -> Iterator[Remark]:
    """What was parked waits for a person, and so may a reader that is far behind."""
    moment = now()
    found = list(standings())
    parked = [each for each in found if each.parked]
    for each in parked[:NAMED]:
        seen = f"{each.reader} has set {each.parked} events of {each.tenant} aside"
        mend = shlex.join(["readers", "rerun", each.reader, "--tenant", each.tenant])
        yield warning(seen, f"{program()} readers parked; {program()} {mend}")
    late = [each for each in found if each.unread_since and each.unread_since < moment - LATE]
    for each in late[:NAMED]:
        since = f"{(moment - (each.unread_since or moment)).total_seconds() / 60:.0f} min"
        yield warning(
            f"{each.reader} has {each.unread} events of {each.tenant} to read, the oldest since {since}",
            f"{program()} run; {program()} readers",
        )
    rest = len(parked[NAMED:]) + len(late[NAMED:])
    if rest:
        yield warning(f"{rest} more like these", f"{program()} readers")
    if not parked and not late:
        unread = sum(each.unread for each in found)
        yield ok(f"{unread} events wait to be read, none for long; none is set aside")
