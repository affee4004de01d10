"""What another system answered over HTTP, and what that proves. An answer is hostile until read strictly."""

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import msgspec

from clarion.lib import strict_json
from clarion.lib.sending import InDoubt, Misconfigured, NotSent, Refused, SendError, Throttled

# Bytes of an answer that are read: a real one has some hundred; nobody's answer shall fill our memory.
MAX_BODY = 64 * 1024
# Bytes of an answer that are kept with an attempt: enough to see what a provider complains of.
MAX_EXCERPT = 2 * 1024

# Seconds. Whoever asks for longer than a day is asked again after a day …
LONGEST_WAIT = 24 * 3600.0
# … and who asks for longer than a year did not mean it.
ABSURD_WAIT = 366 * 24 * 3600.0

SECONDS = re.compile(r"\d{1,10}(\.\d{1,9})?", re.ASCII)


class Answer(msgspec.Struct, frozen=True, gc=False):
    """One whole HTTP answer; the body cut at 64 kB, headers found whatever their case."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Answer {self.status}, {len(self.body)} bytes>"

    @property
    def excerpt(self) -> str:
        """The body's beginning, ≤ 2 kB, secrets masked, everything unprintable escaped."""
        text = self.body.decode(errors="backslashreplace")
        for secret in filter(None, self.secrets):
            # The second form is how many JSON writers spell a slash.
            text = text.replace(secret, "********").replace(secret.replace("/", r"\/"), "********")
        text = "".join(each if each.isprintable() else _escaped(each) for each in text[:MAX_EXCERPT])
        return text.encode()[:MAX_EXCERPT].decode(errors="ignore")

    @property
    def retry_after(self) -> float | None:
        """Seconds the other side asks us to wait, at most a day; None when it names no sensible time.

        RFC 9110 §10.2.3: seconds or a date. A date is read against the answer's own `Date` if there is one:
        then a clock that is wrong over there does not matter.
        """
        value = self.headers.get("Retry-After", "").strip()
        if SECONDS.fullmatch(value):
            wait = float(value)
        elif (until := _timestamp(value)) is not None:
            wait = until - (_timestamp(self.headers.get("Date", "")) or time.time())
        else:
            return None
        return min(wait, LONGEST_WAIT) if 0 <= wait <= ABSURD_WAIT else None


def raise_for_status(answer: Answer) -> None:
    """Return for a 2xx; raise what any other status proves (RFC 9110 §15).

    What the body of a 2xx means is the caller's to say: only the adapter knows its provider's words.
    """
    status = answer.status
    if 200 <= status < 300:
        return
    retry_after = answer.retry_after if status in (429, 503) else None
    meaning = _meaning(status, retry_after)
    raise meaning(f"HTTP {status}", code=str(status), excerpt=answer.excerpt, retry_after=retry_after)


def read_json(answer: Answer) -> object:
    """Return the body as JSON, read strictly: one reading or none.

    :raises InDoubt: when it is no JSON, not UTF-8, names a member twice, has NaN, or is too deep
    """
    try:
        return strict_json.read(answer.body.decode())
    except (ValueError, RecursionError):
        raise garbled(answer, "the answer is not JSON") from None


def garbled(answer: Answer, detail: str) -> InDoubt:
    """Return (to be raised) that the answer does not say whether the message was taken."""
    return InDoubt(f"HTTP {answer.status}, but {detail}", code=str(answer.status), excerpt=answer.excerpt)


def _meaning(status: int, retry_after: float | None) -> type[SendError]:
    if status == 429 or (status == 503 and retry_after is not None):
        return Throttled
    if status == 503:
        return NotSent  # §15.6.4: "currently unable to handle the request"
    if status in (401, 403, 404, 405) or 300 <= status < 400:
        return Misconfigured
    if 400 <= status < 500 and status != 408:
        return Refused
    return InDoubt  # 408, 5xx, and numbers that no standard knows


def _timestamp(value: str) -> float | None:
    try:
        return parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
