"""A tenant with subscriptions: two to a receiver that answers, one to a receiver that never does in time."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from clarion.destinations import find
from clarion.flows import tenants
from clarion.models import Delivery, Lane, State, Subscription
from clarion.models.outgoing import OPEN_STATES
from tests.faults.receiver import Receiver
from tests.faults.rig import Rig
from tests.flows.recording import fill

HEALTHY = ("first", "second")
# The one that hangs answers after twice as long as is waited for an answer: 30 s where that is the usual 15.
HANGS = 2
# How far the log is ahead of the receiver: so little that every kill finds the reader at work beside the sends. As events,
# and at most as a part of all of them; a tenth of that comes in at once.
AHEAD, AHEAD_PART = 1_000, 0.1


class Subscribers:
    """Who is told of what comes in. Everything started has ended when the rig's block is left."""

    def __init__(self, rig: Rig, folder: Path) -> None:
        self._rig = rig
        self._folder = folder
        self._appended = 0
        # Not the rig's: this one's log is read from its beginning.
        self.tenant = tenants.find_or_create("subscribers", now=_now())
        self.receiver = self.start_receiver("healthy", delay=rig.plan.delay)
        self.healthy = [self.subscribe(name, self.receiver) for name in HEALTHY]

    def start_receiver(self, name: str, *, delay: float) -> Receiver:
        receiver = Receiver(self._folder / f"ledger of {name}", log=self._rig.log, delay=delay)
        self._rig.keep(receiver.process)
        return receiver

    def start_silent(self, name: str) -> tuple[Receiver, Subscription]:
        """Start a receiver that hangs on every call, and subscribe it."""
        receiver = self.start_receiver(name, delay=HANGS * self._rig.plan.timeout)
        return receiver, self.subscribe(name, receiver, timeout=self._rig.plan.timeout)

    def subscribe(self, name: str, receiver: Receiver, **more: float) -> Subscription:
        """Let this receiver hear, at a path of this name, of whatever comes in from now on."""
        now = _now()
        subscription = Subscription(
            tenant=self.tenant,
            ref=name,
            destination="webhook",
            block="webhook",
            entity_type="PRODUCT",
            entity="product",
            creates=True,
            changes=True,
            deletes=True,
            is_active=True,
            lane=Lane.objects.create(),
            created_at=now,
            changed_at=now,
        )
        settings = {"url": f"{receiver.base_url}/{name}", **more}
        subscription.seal(find("webhook").completed(settings, None, now))
        subscription.save()
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """End it, and wait until nothing of it is on its way."""
        subscription.end(_now())
        subscription.save()
        rows = Delivery.objects.of(self.tenant).filter(subscription=subscription, state__in=OPEN_STATES)
        self._rig.wait(
            lambda: not rows.exists(), "deliveries of a subscription that ended were never cancelled"
        )

    def feed_until(self, done: Callable[[], bool]) -> None:
        """Let events come in, up to the plan's, until it is so.

        :raises Stuck: when nothing arrived for the plan's patience
        """

        def step() -> bool:
            self._feed()
            return done()

        self._rig.wait_while_moving(step, self.receiver.taken)

    def have_all(self) -> bool:
        """Whether the healthy ones have the plan's events, and that is written down."""
        events = self._rig.plan.events
        if self.receiver.taken() < events * len(self.healthy):
            return False
        rows = Delivery.objects.of(self.tenant).filter(subscription__in=self.healthy)
        return rows.filter(state=State.ACCEPTED).count() == events * len(self.healthy)

    def _feed(self) -> None:
        events = self._rig.plan.events
        ahead = min(AHEAD, int(AHEAD_PART * events))
        until = min(events, self.receiver.taken() // len(self.healthy) + ahead)
        while self._appended < until:
            count = min(max(ahead // 10, 1), until - self._appended)
            fill(self.tenant, count, _now())
            self._appended += count


def _now() -> datetime:
    return datetime.now(UTC)
