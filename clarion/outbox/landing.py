"""What each answer means for its row, its lane and its record. Decides; `cycle` writes."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from clarion.lib.retry import MAILING, MOST_COUNTED_TRIES, honoured, next_try
from clarion.lib.sending import InDoubt, Misconfigured, NotSent, Receipt, Refused, SendError, Throttled
from clarion.models import Attempt, State
from clarion.models.moves import Move
from clarion.models.outgoing import RETRY, Held, Reason
from clarion.outbox.gate import LEAST_TIME, is_too_late

# An account that is refused is asked again this often: often enough to notice a mended key, too rarely to be banned.
REFUSED_ACCOUNT_PAUSE = timedelta(minutes=5)
# A provider that asks us to slow down without saying for how long.
THROTTLED_PAUSE = timedelta(seconds=1)
# Attempts keep a sentence, not a page; the column is as long.
LONGEST_DETAIL = 500
# What the other side said is kept as far as a person would read it (2 kB, the promise of `SendError.excerpt`).
LONGEST_EXCERPT = 2_048


class TooLate(Exception):
    """The deadline came before the first byte left."""


class Landing(NamedTuple):
    """How one send ended: a receipt, one of the five errors, or `TooLate`."""

    id: int
    owner_id: int
    customer_id: int
    try_number: int
    lane_id: int
    deadline_at: datetime
    counted_tries: int
    result: Receipt | SendError | TooLate
    started_at: datetime
    ended_at: datetime
    # Those it was sent with, as they are stored.
    sealed_settings: str


@dataclass
class Effects:
    """What a round's answers change."""

    moves: list[Move] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)


def lanes_to_close(landings: Sequence[Landing]) -> dict[int, tuple[datetime, str]]:
    """Return the lanes that refused us or asked for a pause, with the end of the pause and the reason."""
    closed: dict[int, tuple[datetime, str]] = {}
    for landing in landings:
        match landing.result:
            case Misconfigured() as error:
                until = landing.ended_at + REFUSED_ACCOUNT_PAUSE
            case Throttled() as error:
                pause = timedelta(seconds=honoured(error.retry_after))
                until = landing.ended_at + max(pause, THROTTLED_PAUSE)
            case _:
                continue
        if landing.lane_id not in closed or closed[landing.lane_id][0] < until:
            closed[landing.lane_id] = (until, _kept(error.detail, 200))
    return closed


def effects(
    landings: Sequence[Landing],
    held: Mapping[int, Held],
    *,
    worker_id: int,
    policies: Mapping[int, str],
    now: datetime,
    rng: random.Random,
) -> Effects:
    """Return what these answers change. An answer to a row that is no longer ours is noted and changes nothing."""
    result = Effects()
    for landing in landings:
        row = held.get(landing.id)
        if row is None:
            continue
        ours = row.state == State.SENDING and row.worker_id == worker_id and row.tries == landing.try_number
        if ours:
            result.moves.append(_step(row, landing, policies[landing.lane_id], now, rng))
        if isinstance(landing.result, SendError) or not ours:
            result.attempts.append(_attempt(row, landing, worker_id, is_late=not ours))
    return result


def _step(row: Held, landing: Landing, policy: str, now: datetime, rng: random.Random) -> Move:
    match landing.result:
        case Receipt() as receipt:
            columns = {
                "provider_id": _kept(receipt.provider_id, 255),
                "code": _kept(receipt.code, 64),
                "finished_at": now,
            }
            return Move(row, State.ACCEPTED, "", columns)
        case TooLate():
            return Move(row, State.EXPIRED, Reason.WINDOW_OVER, {"finished_at": now})
        case Refused() as error:
            return _final(row, State.FAILED, Reason.REFUSED, error, now)
        case Misconfigured() | Throttled() as error:
            # No try was used up: the lane is closed, and the row waits for it to open.
            if is_too_late(landing.deadline_at, now):
                return _final(row, State.EXPIRED, Reason.WINDOW_OVER, error, now)
            return _again(row, Reason.LANE_CLOSED, error, landing.counted_tries, now)
        case InDoubt() as error if policy == "hold":
            columns = {"due_at": landing.deadline_at, "code": _kept(error.code, 64)}
            return Move(row, State.UNKNOWN, Reason.IN_DOUBT, columns)
        case NotSent() | InDoubt() as error:
            return _retry(row, landing, error, now, rng)
    raise TypeError(f"no step for {landing.result!r}")


def _retry(row: Held, landing: Landing, error: SendError, now: datetime, rng: random.Random) -> Move:
    counted = landing.counted_tries + 1
    if counted >= MOST_COUNTED_TRIES:
        return _final(row, State.DEAD, Reason.TRIES_USED_UP, error, now)
    due_at = next_try(
        now=now,
        counted_tries=counted,
        policy=MAILING,
        retry_after=error.retry_after,
        deadline=landing.deadline_at,
        margin=LEAST_TIME.total_seconds(),
        rng=rng,
    )
    if due_at is None:
        reason = Reason.IN_DOUBT if isinstance(error, InDoubt) else Reason.NO_TIME_TO_RETRY
        return _final(row, State.EXPIRED, reason, error, now)
    return _again(row, Reason.RETRY, error, counted, due_at)


def _again(row: Held, reason: str, error: SendError, counted: int, due_at: datetime) -> Move:
    columns = {"due_at": due_at, "priority": RETRY, "counted_tries": counted, "code": _kept(error.code, 64)}
    return Move(row, State.WAITING, reason, columns)


def _final(row: Held, to: str, reason: str, error: SendError, now: datetime) -> Move:
    columns: dict[str, Any] = {"code": _kept(error.code, 64), "finished_at": now}
    return Move(row, to, reason, columns)


def _attempt(row: Held, landing: Landing, worker_id: int, *, is_late: bool) -> Attempt:
    error = landing.result if isinstance(landing.result, SendError) else None
    return Attempt(
        tenant_id=row.tenant_id,
        message_id=row.id,
        number=landing.try_number,
        worker_id=worker_id,
        started_at=landing.started_at,
        ended_at=landing.ended_at,
        outcome=name(landing.result),
        code=_kept(error.code, 64) if error else "",
        detail=_kept(error.detail, LONGEST_DETAIL) if error else "",
        excerpt=_kept(error.excerpt, LONGEST_EXCERPT) if error else "",
        is_late=is_late,
    )


def _kept(text: str, longest: int) -> str:
    """Return a foreign text as every database takes it: an adapter's strange words must not stop a whole round."""
    return text.replace("\x00", "").encode(errors="replace").decode()[:longest]


def name(result: object) -> str:
    """Return the word for this kind of answer in logs and attempts."""
    names = {Receipt: "accepted", InDoubt: "in_doubt", NotSent: "not_sent", TooLate: "too_late"}
    return names.get(type(result), type(result).__name__.lower())
