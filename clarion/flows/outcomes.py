"""What becomes of what we did, told in the log to whoever subscribed: what was opened, who unsubscribed, what is over.

What becomes of a message by itself is told where its state changes (`models/messages.py`).
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from clarion.flows.mail_events import MailEvent
from clarion.flows.mail_ties import Mail
from clarion.models import Consent, Engagement, Mailing, Tenant
from clarion.models.engagements import Kind
from clarion.models.outcomes import Outcome, asked, write
from clarion.models.outgoing import STATUS

_ENGAGED = {Kind.OPENED: "MESSAGE_OPENED", Kind.CLICKED: "MESSAGE_CLICKED"}


def tell_of_mails(
    tenant: Tenant,
    told: Sequence[MailEvent],
    mails: Mapping[int, Mail],
    opt_outs: Collection[Consent],
    now: datetime,
) -> None:
    """Tell what these events say of our messages, as far as it is asked for, and whom of these opted out."""
    by_seq = {each.seq: each for each in told}
    kinds = {_ENGAGED[each.kind] for each in told if each.kind in _ENGAGED and each.seq in mails}
    wanted = {kind for _, kind in asked([tenant.pk], kinds)}
    outcomes = [_unsubscribed(consent, by_seq[consent.seq]) for consent in opt_outs if consent.seq in by_seq]
    if wanted:
        rows = Engagement.objects.of(tenant).filter(seq__in=by_seq, kind__in=_ENGAGED).order_by("seq")
        for row in rows:
            kind, mail = _ENGAGED[Kind(row.kind)], mails.get(row.seq)
            if kind in wanted and mail is not None and mail.test_of is None:
                outcomes.append(_engaged(kind, row, by_seq[row.seq], mail))
    write(tenant, outcomes, now)


def tell_of_mailing(mailing: Mailing, now: datetime) -> None:
    """Tell that it is over, and how many of its messages came to which end. What only shows one is no mailing."""
    if mailing.test_of_id is not None:
        return
    counts: Counter[str] = Counter()
    for state, count in mailing.counts.values_list("state", "count"):
        counts[STATUS[state]] += count
    facts = {status.lower(): str(count) for status, count in counts.items() if count}
    outcome = Outcome(
        kind="MAILING_FINISHED",
        event_id=f"clarion-mailing-{mailing.pk}-finished",
        entity_name="MAILING",
        entity_id=str(mailing.pk),
        customer_ref=None,
        is_test=mailing.account.is_test,
        facts={"mailing_id": str(mailing.pk), "name": mailing.name, **facts},
    )
    write(mailing.tenant, [outcome], now)


def _engaged(kind: str, row: Engagement, told: MailEvent, mail: Mail) -> Outcome:
    facts = {
        "message_id": str(mail.id),
        "mailing_id": str(mail.mailing_id),
        "by_machine": "true" if row.is_machine else "false",
        **({"link": row.link} if row.link else {}),
    }
    # By the number of what told of it: read again, it tells the same.
    return Outcome(
        kind, f"clarion-engagement-{row.seq}", "MESSAGE", str(mail.id), told.ref, mail.is_test, facts
    )


def _unsubscribed(consent: Consent, told: MailEvent) -> Outcome:
    facts = {"channel": consent.channel, "class": consent.message_class, "source": consent.source}
    if consent.message_id is not None:
        facts["message_id"] = str(consent.message_id)
    event_id = f"clarion-unsubscribed-{consent.seq}"
    return Outcome("CUSTOMER_UNSUBSCRIBED", event_id, "CUSTOMER", told.ref, told.ref, told.is_test, facts)
