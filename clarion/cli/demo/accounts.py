"""The end of the demo: everything counted, from the rows of the file to what the sender took, and that it adds up."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import QuerySet

from clarion.cli.output import err, now, out, table
from clarion.flows import audit
from clarion.flows.previews import Preview
from clarion.models import Import, Mailing, Message, State
from clarion.models.outgoing import STATUS, Reason
from clarion.sandbox import RunningSender, people

# What a preview knows for certain: these need no sender.
FORETOLD = ((State.SKIPPED, Reason.SAME_ADDRESS), (State.EXPIRED, Reason.NO_LOCAL_HOURS))


@dataclass(frozen=True, slots=True)
class Books:
    """What everybody says who had a part: the file's writer, the import, the preview, the mailing, the sender."""

    fates: Counter[str]
    done: Import
    told: Preview
    mailing: Mailing
    sender: RunningSender

    def show(self) -> bool:
        """Print the accounts; say whether they add up."""
        done, counts = self.done, self._counts()
        total = sum(counts.values())
        file = [("created", done.created), ("updated", done.updated), ("unchanged", done.unchanged)]
        file += [("refused", done.refused), ("rows in the file", done.rows)]
        table("\nThe file", ("what became of it", "rows"), file, as_json=False)
        rows = [(STATUS[state], reason, count) for (state, reason), count in counts.items()]
        rows.append(("total", "", total))
        table("\nThe mailing", ("status", "reason", "messages"), rows, as_json=False)
        self._tell()
        wrong = list(self._wrong(counts))
        for sentence in wrong:
            err.print(sentence, markup=False)
        if wrong:
            err.print("It does not add up.")
        else:
            out.print(
                f"It adds up: {done.rows} rows, {done.created} clients, {total} messages, "
                "nothing unaccounted for; the audit finds nothing."
            )
        return not wrong

    def _counts(self) -> dict[tuple[str, str], int]:
        rows = self.mailing.counts.exclude(count=0).values_list("state", "reason", "count")
        return {(state, reason): count for state, reason, count in rows.order_by("-count")}

    def _tell(self) -> None:
        again = self._sent().filter(tries__gt=1).count()
        heard = self.sender.counts()
        out.print(f"\nSent at the first try {self._sent().count() - again}, after others {again}.")
        out.print(
            f"By its own count the sender took {heard['accepted']} sends of {heard['distinct']} messages: "
            f"{heard['duplicates']} twice, because its answer was lost."
        )

    def _sent(self) -> QuerySet[Message]:
        return Message.objects.of(self.mailing.tenant).filter(mailing=self.mailing, state=State.ACCEPTED)

    def _wrong(self, counts: dict[tuple[str, str], int]) -> Iterator[str]:
        """Give a sentence for whatever two of them say differently."""
        done = self.done
        again = done.updated + done.unchanged
        for fate, rows in ((people.NEW, done.created), (people.AGAIN, again), (people.REFUSED, done.refused)):
            if rows != self.fates[fate]:
                yield f"{self.fates[fate]} rows of the file are {fate}, and {rows} were taken as that."
        total = sum(counts.values())
        if not total == self.told.overview.count == done.created:
            yield f"There are {done.created} clients, {total} messages, and a preview of {self.told.overview.count}."
        for key in FORETOLD:
            if counts.get(key, 0) != self.told.counts.get(key, 0):
                yield f"{self.told.counts.get(key, 0)} were foretold as {key[1]}, and {counts.get(key, 0)} are."
        if self.mailing.finished_at is None:
            yield "The mailing has not finished."
        unheard = set(self._sent().values_list("id", flat=True)) - self.sender.accepted().keys()
        if unheard:
            yield f"{len(unheard)} messages count as sent, and the sender never took them."
        yield from (finding.sentence for finding in audit.run(now()))
