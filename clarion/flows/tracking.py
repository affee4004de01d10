"""What mail events and purchases make of our messages: the first reader of the log.

They are tied to the message they name, kept beside it, counted for its mailing; they say whether it arrived, whom
nothing may be sent to any more, and what it earned.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import structlog
from django.conf import settings
from django.db.models import Min

from clarion.flows import consents, outcomes
from clarion.flows.credit import credit
from clarion.flows.mail_events import MailEvent, read_all
from clarion.flows.mail_ties import Mail, tie
from clarion.models import Customer, Engagement, EngagementCount, Message, State, Tenant
from clarion.models.bulk import Values, insert_rows
from clarion.models.engagements import BY_MACHINE, REVENUE, Credit, EngagementKey, Kind
from clarion.models.events import Logged
from clarion.models.moves import Move, move
from clarion.models.outgoing import NEXT, Held, Reason

log = structlog.get_logger()

_COLUMNS = (
    *("tenant", "seq", "mailing", "message", "customer_id", "kind", "at", "is_machine"),
    *("link", "amount", "currency", "credit"),
)
# What tells whether a message arrived.
_ARRIVALS = {Kind.DELIVERED: (State.DELIVERED, ""), Kind.BOUNCED: (State.UNDELIVERED, Reason.BOUNCED)}


def apply(tenant: Tenant, events: Sequence[Logged], now: datetime) -> None:
    """Take in a slice of the tenant's log, in the caller's transaction. Taken in again, it changes nothing.

    The caller holds the reader's position, so that no two slices of a tenant are taken in at once. Queries for each
    slice, not for each event. Locks rows by id, then counters.
    """
    told = read_all(events)
    if not told:
        return
    people = Customer.objects.of(tenant).only("external_id").meant_by({each.ref for each in told})
    mails = tie(tenant, told, people)
    ledger = consents.additions(tenant, told, mails, people, now)
    _arrive(tenant, told, mails, ledger.customer_ids, now)
    known = set(
        Engagement.objects.of(tenant)
        .filter(seq__in=[each.seq for each in told])
        .values_list("seq", flat=True)
    )
    fresh = [each for each in told if each.seq not in known]
    shifts = _keep(tenant, [each for each in fresh if each.seq in mails], mails)
    shifts.update(_credit(tenant, [each for each in fresh if each.seq not in mails], people))
    EngagementCount.objects.of(tenant).shift(shifts)
    ledger.store(tenant)
    # Last: the head of the log is held from here on.
    outcomes.tell_of_mails(tenant, fresh, mails, ledger.consents, now)
    log.info(
        "mail_events_read",
        tenant=tenant.name,
        events=len(told),
        tied=len(mails),
        opt_outs=len(ledger.consents),
        suppressions=len(ledger.suppressions),
    )


def _arrive(
    tenant: Tenant, told: Iterable[MailEvent], mails: Mapping[int, Mail], silenced: set[int], now: datetime
) -> None:
    """Move the messages that arrived, or did not, as far as the state table lets them; the first word counts.

    What waits for those who may not be written to any more is locked with them: a round that takes one of these rows
    comes to its end before, or sees the ledger as it is afterwards. None begins in between, save one that is made in
    this very moment, after the look for what waits.
    """
    news: dict[int, MailEvent] = {}
    for each in told:
        if each.kind in _ARRIVALS and each.seq in mails:
            news.setdefault(mails[each.seq].id, each)
    ids = set(news)
    if silenced:
        # By the customers alone: among all that wait is the longer way.
        theirs = Message.objects.of(tenant, leads=False).filter(customer_id__in=silenced)
        ids |= {pk for pk, state in theirs.values_list("pk", "state") if state == State.WAITING}
    accepted, arrived = [], []
    for row in Message.objects.of(tenant).lock(sorted(ids)):
        if row.id not in news:
            continue
        to, reason = _ARRIVALS[news[row.id].kind]
        if row.state == State.SENDING:
            # Its answer is still on the way to us. Whoever has it in hand will note that it comes late.
            accepted.append(Move(row, State.ACCEPTED, "", {"finished_at": now}))
            row = row._replace(state=State.ACCEPTED, reason="")
        if to in NEXT[row.state]:
            arrived.append(Move(row, to, reason, _columns(row, news[row.id], now)))
    # One step after the other: no row takes two at once.
    move(Message, accepted, now)
    move(Message, arrived, now)


def _columns(row: Held, told: MailEvent, now: datetime) -> dict[str, object]:
    columns: dict[str, object] = {"code": told.code} if told.code else {}
    return columns if row.state == State.ACCEPTED else {**columns, "finished_at": now}


def _keep(tenant: Tenant, told: Sequence[MailEvent], mails: Mapping[int, Mail]) -> Counter[EngagementKey]:
    """Store what was told of messages that are named; return what it adds to the counters."""
    shifts: Counter[EngagementKey] = Counter()
    if not told:
        return shifts
    before = Engagement.objects.of(tenant, leads=False).of_messages({mails[each.seq].id for each in told})
    seen: set[tuple[int, str]] = set()
    delivered: dict[int, datetime] = {}
    grouped = before.values_list("message_id", "kind", "is_machine").annotate(first=Min("at")).order_by()
    for message_id, kind, by_machine, first in grouped:
        seen.add((message_id, BY_MACHINE[kind] if by_machine else kind))
        if kind == Kind.DELIVERED:
            delivered[message_id] = first
    rows: list[Values] = []
    bought = {each.seq: mails[each.seq].mailing_id for each in told if each.kind == Kind.PURCHASED}
    for each in _with_room(tenant, told, bought):
        mail = mails[each.seq]
        if each.kind == Kind.DELIVERED:
            delivered[mail.id] = min(each.at, delivered.get(mail.id, each.at))
        by_machine = each.kind in BY_MACHINE and (
            each.is_scanner or _is_hasty(each.at, delivered.get(mail.id) or mail.left_at)
        )
        what = BY_MACHINE[each.kind] if by_machine else each.kind
        owner = (mail.mailing_id, mail.id, mail.customer_id)
        why = Credit.NAMED if each.kind == Kind.PURCHASED else ""
        rows.append(_row(tenant, each, owner, why, by_machine=by_machine))
        if each.kind == Kind.PURCHASED:
            shifts.update(_earned(tenant, each, mail.mailing_id))
        elif (mail.id, what) not in seen:
            seen.add((mail.id, what))
            shifts[mail.mailing_id, what, "", tenant.pk] += 1
    insert_rows(Engagement, _COLUMNS, rows)
    return shifts


def _is_hasty(at: datetime, since: datetime | None) -> bool:
    """Whether it happened too soon after the message came for a person to have read it.

    As much earlier, too: two clocks differ. Long before, only a clock is wrong, and it says nothing.
    """
    return since is not None and abs((at - since).total_seconds()) < settings.CLARION.machine_seconds


def _credit(
    tenant: Tenant, told: Sequence[MailEvent], people: Mapping[str, Customer]
) -> Counter[EngagementKey]:
    """Put purchases that name no message of ours down to what led to them; return what it adds to the counters."""
    purchases = [each for each in told if each.kind == Kind.PURCHASED]
    shifts: Counter[EngagementKey] = Counter()
    rows: list[Values] = []
    if not purchases:
        return shifts
    credited = credit(tenant, purchases, people)
    bought = {seq: found.mailing_id for seq, found in credited.items()}
    for each in _with_room(tenant, purchases, bought):
        if (found := credited.get(each.seq)) is not None:
            owner = (found.mailing_id, found.message_id, found.customer_id)
            rows.append(_row(tenant, each, owner, found.credit))
            shifts.update(_earned(tenant, each, found.mailing_id))
    if rows:
        insert_rows(Engagement, _COLUMNS, rows)
    return shifts


def _with_room(tenant: Tenant, told: Sequence[MailEvent], bought: Mapping[int, int]) -> Sequence[MailEvent]:
    """Return what was told, without amounts for which the sum has no room: no sum overflows, and rows and sums agree.

    `bought`: the mailing of each purchase, by the event's number.
    """
    full = EngagementCount.objects.of(tenant).full(set(bought.values())) if bought else set()
    if not full:
        return told
    return [
        replace(each, amount=None) if (bought.get(each.seq), each.currency) in full else each for each in told
    ]


def _row(
    tenant: Tenant, told: MailEvent, owner: tuple[int, int, int], credit: str, *, by_machine: bool = False
) -> Values:
    what = (tenant.pk, told.seq, *owner, str(told.kind), told.at, by_machine)
    return (*what, told.link, told.amount, told.currency, str(credit))


def _earned(tenant: Tenant, told: MailEvent, mailing_id: int) -> dict[EngagementKey, int]:
    """Return what a purchase adds to its mailing's counters."""
    return {
        (mailing_id, str(Kind.PURCHASED), told.currency, tenant.pk): 1,
        (mailing_id, REVENUE, told.currency, tenant.pk): told.amount or 0,
    }
