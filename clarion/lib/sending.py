"""What comes of one attempt to send: a Receipt, or one of five errors. The same for every exit.

An exit raises nothing else; what each outcome means for a row is decided by the outbox.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Receipt:
    """The other side has taken it. Both members are the provider's words, empty where it gives none."""

    provider_id: str = ""
    code: str = ""


class SendError(Exception):
    """An attempt that ended without a receipt. Only the five kinds below are raised.

    `detail` is for people and holds no secret and no text of a message. `code` is the provider's, or the HTTP
    status, or a word for what broke. `excerpt` is the beginning of the answer, ≤ 2 kB, safe to store and to
    show. `retry_after` is in seconds.
    """

    def __init__(
        self, detail: str, *, code: str = "", excerpt: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.excerpt = excerpt
        self.retry_after = retry_after


class Refused(SendError):
    """This recipient or this payload can never work: trying again is pointless."""


class Gone(Refused):
    """Refused, and so would be whatever else went there: nothing more is wanted."""


class Misconfigured(SendError):
    """Our account, address or credentials are wrong: every message on this lane would fail alike."""


class Throttled(SendError):
    """Refused unprocessed because there is too much; `retry_after` where the other side named a time."""


class NotSent(SendError):
    """Nothing reached them, or they said they did nothing: trying again cannot make a duplicate."""


class InDoubt(SendError):
    """It may have been taken: the answer was lost, or makes no sense."""
