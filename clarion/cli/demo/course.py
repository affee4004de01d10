"""How the stand-in sender behaves while the demo watches: well, then badly in two ways, then well again."""

from typing import NamedTuple, cast

from clarion.sandbox import RunningSender

# It turns bad when this share of the messages has reached it.
HALF = 0.5
# Phones that end so are nobody's: one in a hundred.
NOBODYS = "77"


class Mood(NamedTuple):
    """A profile of the stand-in, what that looks like, and for how long; None: to the end."""

    profile: str
    says: str
    seconds: float | None


MOODS = (
    Mood("fine", "answers as it should", None),
    # Both together are shorter than the shortest break of the breaker, so that its first trial finds the sender well.
    Mood("flaky", "slow, garbage, 503, 429, resets, silence", 4.0),
    Mood("refuses", "down: 503 to everything", 3.0),
    Mood("fine", "answers as it should again", None),
)


class Course:
    """Puts the moods in force, one after the other."""

    def __init__(self, sender: RunningSender, *, bad_from: int) -> None:
        """`bad_from`: the request with which the first mood ends."""
        self._sender = sender
        self._bad_from = bad_from
        self._moods = iter(MOODS)
        self._ends_at: float | None = None
        self.mood = next(self._moods)
        self._put()

    def follow(self, at: float) -> None:
        """Put in force what is due `at` this moment, in seconds of a steady clock."""
        is_over = self._ends_at is not None and at >= self._ends_at
        reached = cast("int", self._sender.counts()["requests"])
        if is_over or (self.mood is MOODS[0] and reached >= self._bad_from):
            self.mood = next(self._moods)
            self._ends_at = None if self.mood.seconds is None else at + self.mood.seconds
            self._put()

    def _put(self) -> None:
        self._sender.switch(self.mood.profile, nobody=NOBODYS)
