"""What a stored mail event says, in our own words: of which message, by whom, what, and how much."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from clarion.lib.machines import is_machine
from clarion.models.customers import number_in
from clarion.models.engagements import MONEY_PARTS, Kind
from clarion.models.events import Logged

_KINDS = {
    "email_sent": Kind.SENT,
    "email_delivered": Kind.DELIVERED,
    "email_open": Kind.OPENED,
    "email_click": Kind.CLICKED,
    "email_unsubscribe": Kind.UNSUBSCRIBED,
    "email_bounce": Kind.BOUNCED,
    "email_complaint": Kind.COMPLAINED,
    "purchase": Kind.PURCHASED,
}
# What readers of the log that follow mails ask for.
KINDS = tuple(_KINDS)
# No purchase costs more: in the currencies with the smallest units a large order has ten digits. A mistyped one must
# not fill up the sum of its mailing.
LARGEST_PRICE = 10**11
# How providers call a bounce that may pass. SES: Transient, Undetermined. Postmark: SoftBounce, Transient. Mailgun:
# temporary. SendGrid: blocked, deferred. A bounce that says nothing of its kind is a hard one: those who tell them
# apart do say so, and writing on to an address that is gone costs the sender its name.
_SOFT = {"soft", "softbounce", "soft_bounce", "transient", "temporary", "undetermined", "deferred", "blocked"}
_SOFT |= {"delayed", "block"}
_HARD = {"hard", "hardbounce", "hard_bounce", "permanent", "bounce"}
_TYPES = ("bounce_type", "type", "severity")
# A reply of SMTP (RFC 5321) or its enhanced code (RFC 3463): 4 may pass, 5 will not.
_CODES = ("code", "smtp_code", "status", "diagnostic_code")
_REPLY = re.compile(r"(?:smtp;\s*)?([45])(?:\d\d|\.\d{1,3}\.\d{1,3})\b")
_AGENTS, _ADDRESSES = ("user_agent", "useragent"), ("ip", "ip_address")


@dataclass(frozen=True, slots=True)
class MailEvent:
    """One mail event. `email_id` is the mail it names, "" none; `is_scanner`: a known machine did it."""

    seq: int
    kind: Kind
    ref: str
    email_id: str
    at: datetime
    is_test: bool
    is_scanner: bool = False
    link: str = ""
    code: str = ""
    amount: int | None = None
    currency: str = ""

    @property
    def message_number(self) -> int | None:
        """The message's id, if it is one of ours that is named."""
        return number_in(self.email_id)


def read_all(events: Sequence[Logged]) -> list[MailEvent]:
    """Return what these events say, in their order; those that are no mail events are left out."""
    return [_read(event) for event in events if event.kind in _KINDS and event.customer_ref]


def _read(event: Logged) -> MailEvent:
    members: dict[str, Any] = msgspec.json.decode(event.body)
    kind = _KINDS[event.kind]
    if kind == Kind.BOUNCED and _is_soft(members):
        kind = Kind.DEFERRED
    email_id = members.get("email_id")
    return MailEvent(
        seq=event.seq,
        kind=kind,
        ref=event.customer_ref or "",
        email_id="" if email_id is None else str(email_id),
        # Nothing is told before it happens: a clock that runs ahead must not have the last word for years.
        at=min(event.happened_at, event.received_at),
        is_test=event.is_test,
        is_scanner=kind in (Kind.OPENED, Kind.CLICKED)
        and is_machine(_first(members, _AGENTS), _first(members, _ADDRESSES)),
        link=members["clicked_link"] if kind == Kind.CLICKED else "",
        code=_code(members)[:64] if kind in (Kind.BOUNCED, Kind.DEFERRED) else "",
        amount=_amount(members.get("amount")) if kind == Kind.PURCHASED else None,
        currency=str(members.get("currency") or "").upper() if kind == Kind.PURCHASED else "",
    )


def _is_soft(members: Mapping[str, Any]) -> bool:
    """Whether a bounce may pass: what it is called counts first, then its code; without both it will not."""
    for name in _TYPES:
        word = members.get(name)
        if isinstance(word, str) and word.strip().lower() in _SOFT | _HARD:
            return word.strip().lower() in _SOFT
    reply = _REPLY.match(_code(members))
    return reply is not None and reply[1] == "4"


def _code(members: Mapping[str, Any]) -> str:
    for name in _CODES:
        value = members.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and _REPLY.match(str(value)):
            return str(value)
    return ""


def _first(members: Mapping[str, Any], names: Sequence[str]) -> object:
    return next((members[name] for name in names if members.get(name)), None)


def _amount(value: Any) -> int | None:
    amount = Decimal(str(value))
    return None if amount > LARGEST_PRICE else int((amount * MONEY_PARTS).to_integral_value())
