"""What each answer means for its row, its lane and its record. Decides; `cycle` writes."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from clarion.lib.retry import Policy, next_try
from clarion.lib.sending import InDoubt, Misconfigured, NotSent, Receipt, Refused, SendError, Throttled
from clarion.models import GatewayAccount, Message, State, Subscription
from clarion.models.attempts import Try, try_of
from clarion.models.moves import Move
from clarion.models.outgoing import BULK, RETRY, URGENT, Held, Outgoing, Reason
from clarion.outbox.gate import LEAST_TIME, is_too_late

# Attempts keep a sentence, not a page; the column is as long.
LONGEST_DETAIL = 500
# What the other side said is kept as far as a person would read it (2 kB, the promise of `SendError.excerpt`).
LONGEST_EXCERPT = 2_048


class TooLate(Exception):
    """The deadline came before the first byte left."""


class Recalled(Exception):
    """The lane closed while it waited for its moment: not a byte left."""


class Departure(NamedTuple):
    """One send that may begin: it is committed as `sending`."""

    id: int
    owner_id: int
    # The customer whom the message is for, or the number of the event that is delivered.
    about_id: int | None
    try_number: int
    counted_tries: int
    priority: int
    account: GatewayAccount | Subscription
    lane_id: int
    # What the exit is given.
    content: Any
    deadline_at: datetime
    # When it has to be over: the deadline, or the end of the local hours if that is sooner.
    until: datetime
    # It tries for all others whether its lane works again.
    is_trial: bool
    # Others of the same entity wait for its end.
    is_ordered: bool
    # When it may begin, on the clock of `time.monotonic`, and how long after the one before it in its lane, s.
    starts_at: float
    gap: float
    # The lane whose pace that is: its own, or its account's where that is the slower one.
    paced_by: int


class Landing(NamedTuple):
    """How one send ended: a receipt, one of the five errors, `TooLate` or `Recalled`."""

    departure: Departure
    result: Receipt | SendError | TooLate | Recalled
    started_at: datetime
    ended_at: datetime


@dataclass
class Effects:
    """What a round's answers change."""

    moves: list[Move] = field(default_factory=list)
    attempts: list[Try] = field(default_factory=list)


def effects(
    landings: Sequence[Landing],
    held: Mapping[int, Held],
    *,
    worker_id: int,
    policies: Mapping[int, str],
    now: datetime,
    rng: random.Random,
    model: type[Outgoing] = Message,
) -> Effects:
    """Return what these answers change. An answer to a row that is no longer ours is noted and changes nothing."""
    result = Effects()
    for landing in landings:
        departure = landing.departure
        row = held.get(departure.id)
        if row is None:
            continue
        ours = row.state == State.SENDING and row.worker_id == worker_id and row.tries == departure.try_number
        if ours:
            policy = policies[departure.account.lane_id]
            result.moves.append(_step(row, landing, policy, now, rng, model.RETRIES))
        if isinstance(landing.result, SendError | TooLate) or not ours:
            result.attempts.append(_attempt(model, row, landing, worker_id, is_late=not ours))
    return result


def _step(
    row: Held, landing: Landing, policy: str, now: datetime, rng: random.Random, retries: Policy
) -> Move:
    departure = landing.departure
    match landing.result:
        case Receipt() as receipt:
            columns = {
                "provider_id": kept(receipt.provider_id, 255),
                "code": kept(receipt.code, 64),
                "finished_at": now,
            }
            return Move(row, State.ACCEPTED, "", columns)
        case Recalled():
            # Its number is free again: nothing of this try can come in later.
            return Move(row, State.WAITING, Reason.LANE_CLOSED, {"due_at": now, "tries": row.tries - 1})
        case TooLate() if departure.until < departure.deadline_at:
            # Its local hours end; the gate knows when they begin again.
            return Move(row, State.WAITING, Reason.LOCAL_HOURS, {"due_at": now})
        case TooLate():
            return Move(row, State.EXPIRED, Reason.WINDOW_OVER, {"finished_at": now})
        case Refused() as error:
            return _final(row, State.FAILED, Reason.REFUSED, error, now)
        case Misconfigured() | Throttled() as error:
            # No try was used up: the lane is closed, and the row waits for it to open.
            if is_too_late(departure.deadline_at, now):
                return _final(row, State.EXPIRED, Reason.WINDOW_OVER, error, now)
            return _again(row, departure, Reason.LANE_CLOSED, error, departure.counted_tries, now)
        case InDoubt() as error if policy == "hold":
            columns = {"due_at": departure.deadline_at, "code": kept(error.code, 64)}
            return Move(row, State.UNKNOWN, Reason.IN_DOUBT, columns)
        case NotSent() | InDoubt() as error:
            return _retry(row, departure, error, now, rng, retries)
    raise TypeError(f"no step for {landing.result!r}")


def _retry(
    row: Held, departure: Departure, error: SendError, now: datetime, rng: random.Random, retries: Policy
) -> Move:
    # On trial it failed for the lane: that need not be a try of its own.
    counted = departure.counted_tries + (retries.counts_trials or not departure.is_trial)
    if counted >= retries.most_tries:
        return _final(row, State.DEAD, Reason.TRIES_USED_UP, error, now)
    due_at = next_try(
        now=now,
        counted_tries=counted,
        policy=retries,
        retry_after=error.retry_after,
        deadline=departure.deadline_at,
        margin=LEAST_TIME.total_seconds(),
        rng=rng,
    )
    if due_at is None:
        reason = Reason.IN_DOUBT if isinstance(error, InDoubt) else Reason.NO_TIME_TO_RETRY
        return _final(row, State.EXPIRED, reason, error, now)
    return _again(row, departure, Reason.RETRY, error, counted, due_at)


def _again(
    row: Held, departure: Departure, reason: str, error: SendError, counted: int, due_at: datetime
) -> Move:
    # Somebody waits for what is urgent: it does not line up behind a whole mailing. Nobody does for what goes in bulk.
    priority = departure.priority if departure.priority in (URGENT, BULK) else RETRY
    columns = {"due_at": due_at, "priority": priority, "counted_tries": counted, "code": kept(error.code, 64)}
    return Move(row, State.WAITING, reason, columns)


def _final(row: Held, to: str, reason: str, error: SendError, now: datetime) -> Move:
    columns: dict[str, Any] = {"code": kept(error.code, 64), "finished_at": now}
    return Move(row, to, reason, columns)


def _attempt(model: type[Outgoing], row: Held, landing: Landing, worker_id: int, *, is_late: bool) -> Try:
    error = landing.result if isinstance(landing.result, SendError) else None
    return try_of(
        model,
        row,
        number=landing.departure.try_number,
        worker_id=worker_id,
        started_at=landing.started_at,
        ended_at=landing.ended_at,
        outcome=name(landing.result),
        code=kept(error.code, 64) if error else "",
        detail=kept(error.detail, LONGEST_DETAIL) if error else "",
        excerpt=kept(error.excerpt, LONGEST_EXCERPT) if error else "",
        is_late=is_late,
    )


def kept(text: object, longest: int) -> str:
    """Return a foreign text as every database takes it: an adapter's strange words must not stop a whole round."""
    return str(text or "").replace("\x00", "").encode(errors="replace").decode()[:longest]


def name(result: object) -> str:
    """Return the word for this kind of answer in logs and attempts."""
    names = {Receipt: "accepted", InDoubt: "in_doubt", NotSent: "not_sent", TooLate: "too_late"}
    return names.get(type(result), type(result).__name__.lower())
