"""A mailing shown to one person before, or while, it goes to all the others.

The message takes the ordinary way out, so what arrives is what the audience will get. It belongs to a mailing of its
own, which is in no list and no total: the accounts of the one that is shown say nothing of it.
"""

from datetime import datetime, timedelta

import structlog
from django.db import transaction

from clarion.lib.texts import BadText, CannotRender, compile_text
from clarion.models import Customer, Mailing, Message, State
from clarion.models.customers import TEXT_NAMES
from clarion.models.outgoing import URGENT
from clarion.models.transactions import again_on_deadlock

log = structlog.get_logger()

# Whoever asked waits in front of a screen; what has not arrived by then is not waited for any more.
SHOWN_WITHIN = timedelta(minutes=10)


class NoSuchClient(ValueError):
    """The tenant has no client of this id."""


class EmptyAudience(Exception):
    """No client was named, and the mailing is for nobody."""


class CannotShow(ValueError):
    """The text has no result for this client. The message says where and why."""


def show(mailing: Mailing, *, client_id: int | None, phone: str, now: datetime) -> Message:
    """Render the mailing for a client and send it to `phone`, at once, whatever the mailing's window and state.

    Without a client it is the first one of the audience, without a phone the client's own.

    :raises NoSuchClient, EmptyAudience, CannotShow: nothing is sent then
    """
    customer = _customer(mailing, client_id)
    text = _rendered(mailing.text, customer)
    message = again_on_deadlock(lambda: _store(mailing, customer, phone or customer.phone, text, now))
    log.info(
        "mailing_test_sent",
        mailing_id=mailing.pk,
        message_id=message.pk,
        client_id=customer.pk,
        tenant=mailing.tenant.name,
    )
    return message


def _customer(mailing: Mailing, client_id: int | None) -> Customer:
    customers = Customer.objects.of(mailing.tenant)
    if client_id is not None:
        named = customers.filter(pk=client_id).first()
        if named is None:
            raise NoSuchClient(f"There is no client {client_id}.")
        return named
    first = mailing.audience(customers).order_by("pk").first()
    if first is None:
        raise EmptyAudience("The mailing is for nobody; name the client to show it for.")
    return first


def _rendered(text: str, customer: Customer) -> str:
    try:
        return compile_text(text).render({name: getattr(customer, name) for name in TEXT_NAMES})
    except (BadText, CannotRender) as error:
        raise CannotShow(f"The text cannot be made for client {customer.pk}: {error}") from error


def _store(mailing: Mailing, customer: Customer, phone: str, text: str, now: datetime) -> Message:
    """Write what the worker finds where it finds everything: a running mailing of one message that is due."""
    with transaction.atomic():
        shown = Mailing.objects.create(
            tenant=mailing.tenant,
            account=mailing.account,
            name=f"test of mailing {mailing.pk}",
            text=mailing.text,
            test_of=mailing,
            state=Mailing.RUNNING,
            starts_at=now,
            ends_at=now + SHOWN_WITHIN,
            created_at=now,
            started_at=now,
            materialised_at=now,
            cursor=customer.pk,
            last_customer_id=customer.pk,
        )
        message = Message.objects.create(
            tenant=mailing.tenant,
            mailing=shown,
            lane=mailing.account.lane,
            customer_id=customer.pk,
            address=phone,
            text=text,
            state=State.WAITING,
            priority=URGENT,
            due_at=now,
            deadline_at=shown.ends_at,
            created_at=now,
        )
        Message.counts().shift({(shown.pk, message.state, message.reason, shown.tenant_id): 1})
    return message
