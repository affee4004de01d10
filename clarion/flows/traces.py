"""The whole life of one message, delivery, mailing or customer, as one list of moments: the first tool of a support case."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from clarion.flows.doubts import SETTLED
from clarion.models import Customer, Delivery, DeliveryAttempt, Engagement, Event, Mailing, Message
from clarion.models.attempts import Try
from clarion.models.engagements import Kind
from clarion.models.outgoing import STATUS, Outgoing

# A trace names so many of what there may be thousands of: a customer's messages, what became of a message.
NAMED = 20


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened. `depth` says what it belongs to: 0 the thing itself, 1 one step below."""

    at: datetime | None
    what: str
    depth: int = 0


class NothingFound(LookupError):
    """There is no such row."""


def of_message(message_id: int) -> list[Moment]:
    """Return everything that is known of a message, oldest first.

    :raises NothingFound:
    """
    message = Message.objects.filter(pk=message_id).select_related("mailing", "lane").first()
    if message is None:
        raise NothingFound(f"There is no message {message_id}.")
    mailing = message.mailing
    moments = [
        Moment(mailing.created_at, f"mailing {mailing.pk} created ({mailing.name or 'no name'})"),
        Moment(message.created_at, f"message {message.pk} made for customer {message.customer_id}"),
    ]
    moments += [_tried(each) for each in message.attempts.order_by("ended_at", "pk")]
    moments += [_engaged(each) for each in message.engagements.order_by("at", "seq")[:NAMED]]
    return _in_order(message, [*moments, *_stands(message)])


def of_delivery(delivery_id: int) -> list[Moment]:
    """Return everything that is known of a delivery, oldest first.

    :raises NothingFound:
    """
    delivery = Delivery.objects.filter(pk=delivery_id).select_related("subscription", "tenant").first()
    if delivery is None:
        raise NothingFound(f"There is no delivery {delivery_id}.")
    event = Event.objects.of(delivery.tenant).filter(seq=delivery.seq or 0).first()
    what = "an example" if delivery.seq is None else f"event {delivery.seq}"
    again = f", for redelivery {delivery.redelivery_id}" if delivery.redelivery_id else ""
    to = f"{delivery.subscription} of {delivery.tenant}"
    moments = [Moment(delivery.created_at, f"delivery {delivery.pk} of {what} made for {to}{again}")]
    if event is not None:
        moments.append(
            Moment(event.received_at, f"event {event.seq} received: {event.kind} {event.event_id}")
        )
    tries = DeliveryAttempt.objects.of(delivery.tenant).filter(delivery=delivery)
    moments += [_tried(each) for each in tries.order_by("ended_at", "pk")]
    return _in_order(delivery, [*moments, *_stands(delivery)])


def _tried(attempt: Try) -> Moment:
    late = ", too late to count" if attempt.is_late else ""
    by = "an operator" if attempt.outcome == SETTLED else f"worker {attempt.worker_id}"
    sentence = f"try {attempt.number} by {by}: {attempt.outcome} {attempt.code}".rstrip()
    return Moment(attempt.ended_at, f"{sentence}{late}. {attempt.detail}".rstrip(), 1)


def _stands(row: Outgoing) -> Iterator[Moment]:
    """Give how far it has come, and what happens to it next."""
    if row.sending_at is not None:
        yield Moment(row.sending_at, f"try {row.tries} began, worker {row.worker_id}", 1)
    because = f", {row.reason}" if row.reason else ""
    yield Moment(row.finished_at, f"{STATUS[row.state]} ({row.state}{because})")
    if row.finished_at is None:
        yield Moment(row.due_at, "looked at next", 1)
        yield Moment(row.deadline_at, "deadline", 1)


def _in_order(row: Outgoing, moments: list[Moment]) -> list[Moment]:
    return sorted(moments, key=lambda moment: (moment.at is None, moment.at or row.created_at))


def _engaged(row: Engagement) -> Moment:
    by = " by a machine" if row.is_machine else ""
    what = f" {row.link}" if row.link else ""
    if row.kind == Kind.PURCHASED:
        what = f" for {row.money or 'an unknown sum'} {row.currency}".rstrip() + f", {row.credit}"
    return Moment(row.at, f"{row.kind}{by}{what} (event {row.seq})", 1)


def of_mailing(mailing_id: int) -> list[Moment]:
    """Return a mailing's steps and its accounts.

    :raises NothingFound:
    """
    mailing = Mailing.objects.filter(pk=mailing_id).first()
    if mailing is None:
        raise NothingFound(f"There is no mailing {mailing_id}.")
    steps = {
        "created": mailing.created_at,
        "window opens": mailing.starts_at,
        "started": mailing.started_at,
        f"audience complete up to customer {mailing.cursor}": mailing.materialised_at,
        "paused": mailing.paused_at,
        "window closes": mailing.ends_at,
        "deleted": mailing.deleted_at,
        "finished": mailing.finished_at,
        f"its {mailing.pruned} messages had served their time and were dropped": mailing.pruned_at,
    }
    moments = [Moment(at, what) for what, at in steps.items() if at is not None]
    moments.sort(key=lambda moment: moment.at or mailing.created_at)
    for count in mailing.counts.exclude(count=0).order_by("state", "reason"):
        because = f" ({count.reason})" if count.reason else ""
        moments.append(Moment(None, f"{count.count} {STATUS[count.state]}{because}", 1))
    return moments


def of_customer(customer_id: int) -> list[Moment]:
    """Return what a customer was sent, or was to be sent. A deleted customer's messages are still found.

    :raises NothingFound:
    """
    customer = Customer.objects.filter(pk=customer_id).first()
    messages = list(Message.objects.filter(customer_id=customer_id).order_by("-id")[:NAMED])
    if customer is None and not messages:
        raise NothingFound(f"There is no customer {customer_id}.")
    first = [Moment(customer.created_at, f"customer {customer.pk} made")] if customer else []
    return first + [
        Moment(
            row.finished_at or row.created_at,
            f"message {row.pk} of mailing {row.mailing_id}: {row.status}",
            1,
        )
        for row in reversed(messages)
    ]
