"""How the stand-in sender behaves, and which profile is in force.

Knows nothing of sockets: it only says what shall become of one request.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec


class UnknownProfile(ValueError):
    """There is no profile of this name; the text names those there are."""


@dataclass(frozen=True, slots=True)
class Act:
    """What becomes of one request.

    `accepted` is the stand-in's own truth: it took the message, whatever the caller gets to hear.
    `answer` is a whole HTTP answer, or None for silence. `reset` breaks the connection instead.
    """

    accepted: bool
    answer: bytes | None
    delay: float = 0.0
    reset: bool = False


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A profile and its knobs, as they are posted.

    `seconds` and `requests` end the profile (whichever comes first); after it the sender is `fine` again.
    `accepts` overrides the profile's choice whether a message whose answer is lost was taken. `nobody` outlives the
    profile.
    """

    profile: str
    seconds: float | None = None
    requests: int | None = None
    delay: float = 0.5  # seconds; well above a healthy answer, well below the callers' time-out of 10 s
    retry_after: int = 1  # seconds; the shortest whole number, so a test need not wait longer
    accepts: bool | None = None
    # Phones that end so are nobody's: refused for good by whichever profile would have taken the message.
    nobody: str = ""
    seed: int = 0


def http_answer(status: str, body: bytes, *, kind: str = "application/json", more: str = "") -> bytes:
    """Return one whole HTTP/1.1 answer."""
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode()
        + body
    )


OK = http_answer("200 OK", b'{"code":0,"message":"OK"}')
FINE = Act(accepted=True, answer=OK)
# Two garbled answers to a message that was taken, one well-formed "no" to a message that was not.
GARBAGE = (
    Act(accepted=True, answer=http_answer("200 OK", b"<html><h1>It works!</h1></html>", kind="text/html")),
    Act(accepted=True, answer=http_answer("200 OK", b'{"code":0,"mess')),
    Act(accepted=False, answer=http_answer("200 OK", b'{"code":1,"message":"queue is full"}')),
)
REFUSED = Act(
    accepted=False, answer=http_answer("503 Service Unavailable", b'{"message":"down for a while"}')
)
NOBODYS = Act(accepted=False, answer=http_answer("400 Bad Request", b'{"message":"nobody has this number"}'))


def _tables(chosen: Settings) -> Mapping[str, tuple[tuple[int, Act], ...]]:
    """Return every profile as weighted acts.

    Two honest choices where the answer is lost: `resets` takes the message three times in four, `hangs`
    always, for a lost answer to a message that went out is the costly case. `accepts` overrides both.
    """
    kept, lost = (chosen.accepts, chosen.accepts) if chosen.accepts is not None else (True, False)
    slow = Act(accepted=True, answer=OK, delay=chosen.delay)
    reset_after = Act(accepted=kept, answer=None, reset=True)
    reset_before = Act(accepted=lost, answer=None, reset=True)
    throttled = Act(
        accepted=False,
        answer=http_answer(
            "429 Too Many Requests", b'{"message":"slower"}', more=f"Retry-After: {chosen.retry_after}\r\n"
        ),
    )
    hang = Act(accepted=kept, answer=None)
    return {
        "fine": ((1, FINE),),
        "slow": ((1, slow),),
        "garbage": tuple((1, act) for act in GARBAGE),
        "refuses": ((1, REFUSED),),
        "resets": ((3, reset_after), (1, reset_before)),
        "throttles": ((1, throttled),),
        "hangs": ((1, hang),),
        # Mostly healthy, every fault often enough to be met in a few hundred messages; hanging costs a caller
        # its whole time-out, so it is the rarest.
        "flaky": (
            (70, FINE),
            (10, REFUSED),
            (5, throttled),
            (5, slow),
            *((2, act) for act in GARBAGE),
            (2, reset_after),
            (1, reset_before),
            (1, hang),
        ),
    }


NAMES = tuple(_tables(Settings("fine")))


class Behaviour:
    """The profile in force, and what it says about each request."""

    def __init__(self, chosen: Settings, *, now: float) -> None:
        self.switch(chosen, now=now)

    def switch(self, chosen: Settings, *, now: float) -> None:
        """Put `chosen` in force from `now` (seconds of any steady clock).

        :raises UnknownProfile: naming the known ones; what was in force stays
        """
        table = _tables(chosen).get(chosen.profile)
        if table is None:
            raise UnknownProfile(f"unknown profile {chosen.profile!r}; known: {', '.join(NAMES)}")
        self.name = chosen.profile
        self._seed = chosen.seed
        self._acts = tuple(act for weight, act in table for _ in range(weight))
        self._ends_at = None if chosen.seconds is None else now + chosen.seconds
        self._left = chosen.requests
        self._nobody = chosen.nobody

    def next(self, message_id: int, nth: int, *, now: float, phone: int = 0) -> Act:
        """Return what becomes of the `nth` request for this message.

        The same seed, message, phone and `nth` give the same act, in whatever order requests arrive.
        """
        self._end_if_over(now)
        act = self._acts[0]
        if len(self._acts) > 1:
            digest = hashlib.blake2b(b"%d:%d:%d" % (self._seed, message_id, nth), digest_size=4).digest()
            act = self._acts[int.from_bytes(digest) % len(self._acts)]
        if act.accepted and self._nobody and str(phone).endswith(self._nobody):
            return NOBODYS
        return act

    def _end_if_over(self, now: float) -> None:
        is_late = self._ends_at is not None and now >= self._ends_at
        if is_late or (self._left is not None and self._left <= 0):
            self.switch(Settings("fine", nobody=self._nobody), now=now)
        elif self._left is not None:
            self._left -= 1
