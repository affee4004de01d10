"""Which of our messages a mail event is about: only one that went to whom the event is about."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from clarion.flows.mail_events import MailEvent
from clarion.gateways import channel_of
from clarion.models import Customer, Message, Tenant
from clarion.models.customers import number_in

# The channel of a mail that is none of ours.
EMAIL = "email"


class Mail(NamedTuple):
    """A message as far as events about it need it. `left_at`: when the other side took it, as far as is known."""

    id: int
    customer_id: int
    provider_id: str
    address: str | None
    mailing_id: int
    gateway: str
    is_test: bool
    test_of: int | None
    sending_at: datetime | None
    finished_at: datetime | None

    @property
    def channel(self) -> str:
        return channel_of(self.gateway) or EMAIL

    @property
    def left_at(self) -> datetime | None:
        return self.finished_at or self.sending_at


_COLUMNS = (
    *("pk", "customer_id", "provider_id", "address", "mailing_id", "mailing__account__gateway"),
    *("mailing__account__is_test", "mailing__test_of_id", "sending_at", "finished_at"),
)


def tie(tenant: Tenant, told: Sequence[MailEvent], people: Mapping[str, Customer]) -> dict[int, Mail]:
    """Return the message that each event names, by the event's number; those that name none of ours are left out.

    A mail is named by our id for it, or by the provider's. What a test key tells is never about a live message, and
    the other way round. A deleted customer's messages are still theirs, by Clarion's id.
    """
    whose = {each.seq: number for each in told if (number := person_id(each.ref, people)) is not None}
    named = [each for each in told if each.email_id and each.seq in whose]
    by_number = {mail.id: mail for mail in _by_number(tenant, named)}
    found: dict[int, Mail] = {}
    others = []
    for each in named:
        mail = by_number.get(each.message_number or 0)
        if mail is not None and mail.customer_id == whose[each.seq]:
            found[each.seq] = mail
        else:
            others.append(each)
    by_name = _by_name(tenant, others, {whose[each.seq] for each in others})
    for each in others:
        if (mail := by_name.get((whose[each.seq], each.email_id))) is not None:
            found[each.seq] = mail
    is_test = {each.seq: each.is_test for each in told}
    return {seq: mail for seq, mail in found.items() if mail.is_test == is_test[seq]}


def person_id(ref: str, people: Mapping[str, Customer]) -> int | None:
    """Return the id of whom a reference means, or meant before they were deleted."""
    return people[ref].pk if ref in people else number_in(ref)


def _by_number(tenant: Tenant, named: Iterable[MailEvent]) -> list[Mail]:
    numbers = {each.message_number for each in named if each.message_number is not None}
    rows = Message.objects.of(tenant).filter(pk__in=numbers)
    return [Mail._make(row) for row in rows.values_list(*_COLUMNS)]


def _by_name(
    tenant: Tenant, named: Sequence[MailEvent], customer_ids: set[int]
) -> dict[tuple[int, str], Mail]:
    """Return messages by customer and the provider's id; looked for among the customers', which has an index."""
    if not named:
        return {}
    rows = Message.objects.of(tenant, leads=False).filter(
        customer_id__in=customer_ids, provider_id__in={each.email_id for each in named}
    )
    mails = [Mail._make(row) for row in rows.order_by("pk").values_list(*_COLUMNS)]
    return {(mail.customer_id, mail.provider_id): mail for mail in mails}
