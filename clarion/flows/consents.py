"""The ledger of consent and suppression: what mail events add to it, and what it says about somebody."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Max, Min

from clarion.flows.events import find_customer, refs_of
from clarion.flows.mail_events import MailEvent
from clarion.flows.mail_ties import EMAIL, Mail
from clarion.models import Consent, Customer, Suppression, Tenant
from clarion.models.consents import (
    LedgerRow,
    LedgerRows,
    MessageClass,
    Said,
    Say,
    Suppressed,
    Suppressions,
    standing,
)
from clarion.models.customers import number_in
from clarion.models.engagements import Kind
from clarion.models.permissions import Asked, refusals

# Who says it, where nobody has a name: the person themselves, or the provider that the mail came back to.
RECIPIENT, PROVIDER = "recipient", "provider"
_OUT = (Kind.UNSUBSCRIBED, Kind.COMPLAINED)
_STOPS = {Kind.BOUNCED: Suppressed.HARD_BOUNCE, Kind.COMPLAINED: Suppressed.COMPLAINT}
_SOURCES = {
    Kind.UNSUBSCRIBED: "email_unsubscribe",
    Kind.COMPLAINED: "email_complaint",
    Kind.BOUNCED: "email_bounce",
}


@dataclass(frozen=True, slots=True)
class Additions:
    """Rows that events add to the ledger and that are not in it yet."""

    consents: list[Consent]
    suppressions: list[Suppression]

    @property
    def customer_ids(self) -> set[int]:
        """Whom they are about, as far as Clarion knows them."""
        rows: list[LedgerRow] = [*self.consents, *self.suppressions]
        return {row.customer_id for row in rows if row.customer_id is not None}

    def store(self, tenant: Tenant) -> None:
        Consent.objects.of(tenant).bulk_create(self.consents)
        Suppression.objects.of(tenant).bulk_create(self.suppressions)


def additions(
    tenant: Tenant,
    told: Sequence[MailEvent],
    mails: Mapping[int, Mail],
    people: Mapping[str, Customer],
    now: datetime,
) -> Additions:
    """Return what these events add. Nothing that a test key tells: the ledger is about people.

    Unsubscribing takes the person out of marketing on the message's channel, a complaint does so too and closes the
    address, a hard bounce closes the address. An unsubscribe counts whoever seems to have done it: that a program did
    cannot be known for sure, and writing on to somebody who asked not to be written to is the worse mistake.
    """
    told = [each for each in told if not each.is_test]
    out = _fresh(Consent.objects.of(tenant), [each for each in told if each.kind in _OUT])
    stops = _fresh(Suppression.objects.of(tenant), [each for each in told if each.kind in _STOPS])
    return Additions(
        [
            Consent(
                message_class=MessageClass.MARKETING,
                verdict=Say.OPT_OUT,
                **_about(tenant, each, mails.get(each.seq), people, now),
            )
            for each in out
        ],
        [
            Suppression(
                address=_address(mails.get(each.seq)),
                reason=_STOPS[each.kind],
                **_about(tenant, each, mails.get(each.seq), people, now),
            )
            for each in stops
        ],
    )


@dataclass(frozen=True, slots=True)
class Holding:
    """What holds now for a class of messages on a channel, since when, and why."""

    channel: str
    message_class: str
    may: bool
    since: datetime
    because: str


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a reference means, and what the ledger has about them: what they said, and what closes their channels."""

    tenant: Tenant
    ref: str
    customer: Customer | None
    history: LedgerRows[Consent]
    suppressions: Suppressions

    @property
    def is_known(self) -> bool:
        return self.customer is not None or self.history.exists() or self.suppressions.exists()

    def holding(self) -> list[Holding]:
        """Tell what holds now, by channel and class. Where nothing was said or found out, nothing is told.

        The answers are the gate's own, so they cannot differ from what the next message will be told.
        """
        lines = self.history.values_list("channel", "message_class", "verdict").annotate(at=Max("at"))
        said = [Said._make(line) for line in lines.order_by()]
        stops = dict(self.suppressions.values_list("channel").annotate(at=Min("at")).order_by())
        told = [
            (channel, each, since)
            for channel in sorted({*stops, *(line.channel for line in said)})
            for each in (MessageClass.MARKETING, MessageClass.TRANSACTIONAL)
            if (since := stops.get(channel) or _since(said, channel, each)) is not None
        ]
        reasons = refusals([self._asked(channel, each) for channel, each, _ in told])
        return [
            Holding(channel, each, not reason, since, reason or Say.OPT_IN)
            for (channel, each, since), reason in zip(told, reasons, strict=True)
        ]

    def _asked(self, channel: str, message_class: str) -> Asked:
        person = self.customer
        if person is None:
            return Asked(self.tenant.pk, number_in(self.ref) or 0, self.ref, "", channel, message_class)
        return Asked(self.tenant.pk, person.pk, person.external_id, person.phone, channel, message_class)


def about(tenant: Tenant, ref: str) -> Person:
    """Return what the ledger has about whoever goes by this reference."""
    customer = find_customer(tenant, ref)
    refs = refs_of(tenant, ref, customer)
    suppressions = Suppression.objects.of(tenant).in_force()
    of_person = suppressions.filter(address="").about(refs, customer)
    if customer is not None:
        # One of an address is about whoever has it now.
        of_person |= suppressions.filter(address=customer.phone)
    history = Consent.objects.of(tenant).about(refs, customer)
    return Person(tenant, ref, customer, history, of_person)


def _since(said: Sequence[Said], channel: str, message_class: str) -> datetime | None:
    classes = (message_class, MessageClass.ALL)
    last = standing(line for line in said if line.channel == channel and line.message_class in classes)
    return last.at if last is not None else None


def _fresh(rows: LedgerRows[Any], told: Sequence[MailEvent]) -> list[MailEvent]:
    """Leave out what stands in the ledger already: an event that is read again adds nothing."""
    if not told:
        return []
    known = set(rows.filter(seq__in=[each.seq for each in told]).values_list("seq", flat=True))
    return [each for each in told if each.seq not in known]


def _about(
    tenant: Tenant, told: MailEvent, mail: Mail | None, people: Mapping[str, Customer], now: datetime
) -> dict[str, Any]:
    person = people.get(told.ref)
    return {
        "tenant": tenant,
        # Of somebody not known yet the word is kept; whoever turns out to go by it is meant.
        "customer_id": number_in(told.ref) if person is None else person.pk,
        "ref": told.ref if person is None else person.external_id or "",
        "channel": mail.channel if mail else EMAIL,
        "at": told.at,
        "source": _SOURCES[told.kind],
        "actor": PROVIDER if told.kind == Kind.BOUNCED else RECIPIENT,
        "message_id": mail.id if mail else None,
        "seq": told.seq,
        "created_at": now,
    }


def _address(mail: Mail | None) -> str:
    return (mail.address or "") if mail else ""
