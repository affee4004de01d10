"""How rows look on the wire. Where an older system printed an answer, its members stand here and no others."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from typing import Any

from clarion.lib.times import wire_time
from clarion.models import Customer, Engagement, Mailing, Message, State
from clarion.models.engagements import CLICKED_BY_MACHINE, OPENED_BY_MACHINE, REVENUE, Kind, money
from clarion.models.outgoing import STATUS, STATUSES, Reason


def client(row: Customer) -> dict[str, Any]:
    """Present a customer as `/api/v1/clients` does; what is ours alone is shown where they have it."""
    shown: dict[str, Any] = {
        "id": row.pk,
        "phone": row.phone,
        "operator_code": row.operator_code,
        "tag": row.tag,
        "timezone": row.timezone,
    }
    if row.external_id is not None:
        shown["external_id"] = row.external_id
    return shown | ({"attributes": row.attributes} if row.attributes else {})


def short_client(row: Customer) -> dict[str, Any]:
    """Present a customer as `/api/client` does."""
    return {
        "id": row.pk,
        "phone_number": row.phone,
        "operator": _number_or_text(row.operator_code),
        "tag": row.tag,
        "timezone": row.timezone,
    }


def mailing(row: Mailing, *, account_was_named: bool = False) -> dict[str, Any]:
    """Present a mailing as `/api/v1/mailings` does; what is ours alone is shown where it was used."""
    shown: dict[str, Any] = {
        "id": row.pk,
        "start_time": wire_time(row.starts_at),
        "text": row.text,
        "client_operator_code_filter": row.operator_code_filter,
        "client_tag_filter": row.tag_filter,
        "end_time": wire_time(row.ends_at),
    }
    ours = _ours(row)
    shown |= {name: value for name, value in ours.items() if value}
    if account_was_named:
        shown["gateway_account"] = row.account.name
    return shown


def mailing_in_full(row: Mailing) -> dict[str, Any]:
    """Present a mailing with all that it is and its state: put back, it stays what it was."""
    status = row.state
    if row.state == Mailing.RUNNING:
        status = "finished" if row.finished_at else "paused" if row.paused_at else "running"
    elif row.paused_at:
        status = "paused"
    return {
        **mailing(row, account_was_named=True),
        **_ours(row),
        "status": status.upper(),
        "started": row.started_at and wire_time(row.started_at),
        "finished": row.finished_at and wire_time(row.finished_at),
    }


def _ours(row: Mailing) -> dict[str, Any]:
    """What the older systems did not know of a mailing."""
    return {
        "name": row.name,
        "filter": row.filter,
        "local_from": row.local_from and row.local_from.isoformat("auto").removesuffix(":00"),
        "local_until": row.local_until and row.local_until.isoformat("auto").removesuffix(":00"),
        "rate_per_second": row.rate_per_second,
    }


def short_mailing(row: Mailing) -> dict[str, Any]:
    """Present a mailing as `/api/mailing` does."""
    audience: dict[str, Any] = {}
    if row.tag_filter is not None:
        audience["tag"] = row.tag_filter
    if row.operator_code_filter is not None:
        audience["operator"] = _number_or_text(row.operator_code_filter)
    return {
        "id": row.pk,
        "clients": audience,
        "start_time": wire_time(row.starts_at),
        "end_time": wire_time(row.ends_at),
        "text": row.text,
    }


def by_status(counts: Iterable[tuple[str, int]]) -> list[dict[str, Any]]:
    """Return how many messages have each status, from counts by state; statuses nobody has are left out."""
    totals: Counter[str] = Counter()
    for state, count in counts:
        totals[STATUS[state]] += count
    return [{"status": status, "count": totals[status]} for status in STATUSES if totals[status]]


def by_status_and_reason(counts: Collection[tuple[str, str, int]]) -> list[dict[str, Any]]:
    """Return how many messages have each status, and why, from counts by state and reason."""
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    for state, reason, count in counts:
        if reason:
            reasons[STATUS[state]][reason] += count
    statuses = by_status((state, count) for state, _, count in counts)
    for line in statuses:
        named = reasons[line["status"]]
        line["reasons"] = [{"reason": reason, "count": named[reason]} for reason in sorted(named)]
    return statuses


def mailing_report(row: Mailing) -> dict[str, Any]:
    """Return the accounts of a mailing, with reasons. `rate_per_second` is that of messages with an outcome.

    `dropped` is how many of its messages have served their time; the counts hold them still.
    """
    counts = list(row.counts.exclude(count=0).values_list("state", "reason", "count"))
    materialised = sum(count for _, _, count in counts)
    sent = sum(count for state, _, count in counts if state in (State.ACCEPTED, State.DELIVERED))
    seconds = (row.finished_at - row.started_at).total_seconds() if row.finished_at and row.started_at else 0
    return {
        "audience": materialised if row.materialised_at else None,
        "materialised": materialised,
        "statuses": by_status_and_reason(counts),
        "in_doubt": sum(count for _, reason, count in counts if reason == Reason.IN_DOUBT),
        "rate_per_second": round(sent / seconds, 1) if seconds else None,
        "started": row.started_at and wire_time(row.started_at),
        "finished": row.finished_at and wire_time(row.finished_at),
        "dropped": row.pruned,
        **_engagement_counts(row),
    }


# As the report lists them: messages, each counted once. What only machines opened or clicked stands apart.
_COUNTED: dict[str, str] = {
    "opened": Kind.OPENED,
    "opened_by_machines": OPENED_BY_MACHINE,
    "clicked": Kind.CLICKED,
    "clicked_by_machines": CLICKED_BY_MACHINE,
    "unsubscribed": Kind.UNSUBSCRIBED,
    "bounced": Kind.BOUNCED,
    "complained": Kind.COMPLAINED,
    "purchases": Kind.PURCHASED,
}


def _engagement_counts(row: Mailing) -> dict[str, Any]:
    """Return how many messages were opened and so on, how many purchases they led to, and the sum in each currency."""
    counts = list(row.engagement_counts.exclude(count=0).values_list("what", "currency", "count"))
    totals: Counter[str] = Counter()
    for what, _, count in counts:
        totals[what] += count
    sums = sorted((currency, count) for what, currency, count in counts if what == REVENUE)
    revenue = [{"currency": currency or None, "amount": str(money(count))} for currency, count in sums]
    return {name: totals[what] for name, what in _COUNTED.items()} | {"revenue": revenue}


def engagement(row: Engagement) -> dict[str, Any]:
    """Present what became of a message: what happened, when, and what it was worth."""
    shown: dict[str, Any] = {"what": row.kind, "at": wire_time(row.at), "machine": row.is_machine}
    if row.link:
        shown["link"] = row.link
    if row.kind == Kind.PURCHASED:
        paid = None if row.money is None else str(row.money)
        shown |= {"amount": paid, "currency": row.currency or None, "credit": row.credit}
    return shown


def message(row: Message) -> dict[str, Any]:
    """Present a message. `client` names who it was for, also when that client was deleted since."""
    return {
        "id": row.pk,
        "mailing": row.mailing_id,
        "client": row.customer_id,
        "status": row.status,
        "reason": row.reason or None,
        "address": row.address,
        "text": row.text or None,
        "tries": row.tries,
        "code": row.code or None,
        "created": wire_time(row.created_at),
        "due": wire_time(row.due_at) if row.finished_at is None else None,
        "deadline": wire_time(row.deadline_at),
        "last_try": row.sending_at and wire_time(row.sending_at),
        "finished": row.finished_at and wire_time(row.finished_at),
    }


def message_of_test(row: Message) -> dict[str, Any]:
    """Present the message of a test send: `mailing` is the one that it shows."""
    return {**message(row), "mailing": row.mailing.test_of_id, "test": True}


def short_message(row: Message) -> dict[str, Any]:
    """Present a message as `/api/message` does: `sending_status` says whether it was sent."""
    return {
        "id": row.pk,
        "sending_status": row.state in (State.ACCEPTED, State.DELIVERED),
        "start_date": wire_time(row.sending_at or row.created_at),
        "client": row.customer_id,
        "mailing": row.mailing_id,
    }


def _number_or_text(code: str) -> int | str:
    """An operator code that is a plain number is given as one; any other stays the text it is."""
    is_number = code.isascii() and code.isdigit() and (code == "0" or not code.startswith("0"))
    # The same bound as on the way in: what was got can be put.
    return int(code) if is_number and len(code) < len(str(10**9)) else code
