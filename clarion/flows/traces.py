"""The whole life of one message, mailing or customer as one list of moments. The first tool of every support case."""

from dataclasses import dataclass
from datetime import datetime

from clarion.flows.doubts import SETTLED
from clarion.models import Customer, Engagement, Mailing, Message
from clarion.models.engagements import Kind
from clarion.models.outgoing import STATUS

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
    for attempt in message.attempts.order_by("ended_at", "pk"):
        late = ", too late to count" if attempt.is_late else ""
        by = "an operator" if attempt.outcome == SETTLED else f"worker {attempt.worker_id}"
        sentence = f"try {attempt.number} by {by}: {attempt.outcome} {attempt.code}".rstrip()
        moments.append(Moment(attempt.ended_at, f"{sentence}{late}. {attempt.detail}".rstrip(), 1))
    if message.sending_at is not None:
        sentence = f"try {message.tries} began, worker {message.worker_id}"
        moments.append(Moment(message.sending_at, sentence, 1))
    moments += [_engaged(each) for each in message.engagements.order_by("at", "seq")[:NAMED]]
    because = f", {message.reason}" if message.reason else ""
    moments.append(Moment(message.finished_at, f"{STATUS[message.state]} ({message.state}{because})"))
    if message.finished_at is None:
        moments.append(Moment(message.due_at, "looked at next", 1))
        moments.append(Moment(message.deadline_at, "deadline", 1))
    return sorted(moments, key=lambda moment: (moment.at is None, moment.at or message.created_at))


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
