"""A receiver of webhooks on loopback, and subscriptions that lead to it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from clarion import destinations
from clarion.flows import events, readers
from clarion.flows.event_forms import Draft, entity_event
from clarion.flows.events import Arrival
from clarion.flows.reading import read_on
from clarion.models import Delivery, Event, Lane, Subscription, Tenant
from tests.conftest import Clock


class Arrived(NamedTuple):
    """One request that came in."""

    path: str
    headers: dict[str, str]
    body: str


class Receiver:
    """Answers 200 unless `answer` says otherwise; remembers what came, in order."""

    def __init__(self) -> None:
        self.arrived: list[Arrived] = []
        self.answer: Callable[[Arrived], int] = lambda arrived: 200
        self.url = ""

    def bodies(self, path: str = "/") -> list[str]:
        return [each.body for each in self.arrived if each.path == path]


@contextmanager
def running_receiver() -> Iterator[Receiver]:
    """Run a receiver for as long as the block lasts."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            headers = {name.lower(): value for name, value in self.headers.items()}
            arrived = Arrived(self.path, headers, self.rfile.read(length).decode())
            receiver.arrived.append(arrived)
            self.send_response(receiver.answer(arrived))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Say nothing: the tests look at what came."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        # Connections that come at once: with five, the usual, the others wait for seconds.
        request_queue_size = 128

    server = Server(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def subscribe(
    tenant: Tenant,
    url: str,
    now: datetime,
    *,
    entity: str = "ORDER",
    is_ordered: bool = False,
    destination: str = "webhook",
    settings: dict[str, Any] | None = None,
    **columns: Any,
) -> Subscription:
    """Return an active subscription to everything that becomes of an entity; `columns` change what it is."""
    kind = destinations.find(destination)
    usual: dict[str, Any] = {
        "ref": f"subscription {Subscription.objects.count()}",
        "creates": True,
        "changes": True,
        "deletes": True,
        "is_active": True,
    }
    subscription = Subscription(
        tenant=tenant,
        destination=destination,
        block=destination,
        entity_type=entity,
        entity=entity.lower(),
        lane=Lane.objects.create(is_ordered=is_ordered),
        created_at=now,
        changed_at=now,
        **{**usual, **columns},
    )
    subscription.seal(kind.completed(settings if settings is not None else {"url": url}, None, now))
    subscription.save()
    return subscription


def happen(tenant: Tenant, now: datetime, *told: dict[str, Any], is_test: bool = False) -> list[Event]:
    """Let these entity events come in; return them. What is not said of one is usual."""
    drafts: list[Draft] = [entity_event({**_usual(), **members}, tenant.zone) for members in told]
    outcomes = events.append([Arrival(tenant, draft, is_test) for draft in drafts], now)
    numbers = [outcome.seq for outcome in outcomes]
    return list(Event.objects.of(tenant).filter(seq__in=numbers).order_by("seq"))


def order(number: int | str = 1, operation: str = "UPDATE", **members: Any) -> dict[str, Any]:
    """Return an event about this order."""
    payload = {"operation": operation, **members.pop("payload", {})}
    return {"event_type": "ORDER", "entity_id": f"order-{number}", "event_payload": payload, **members}


def forward(clock: Clock) -> None:
    """Let every reader read to the end of every log."""
    while sum(read_on(reader, clock()) for reader in readers.READERS):
        pass


def standing(subscription: Subscription) -> list[tuple[str, str]]:
    """Return state and reason of each delivery, in the order in which they were made."""
    rows = Delivery.objects.of(subscription.tenant).filter(subscription=subscription).order_by("pk")
    return list(rows.values_list("state", "reason"))


def counted(subscription: Subscription) -> dict[tuple[str, str], int]:
    """Return what the counters of a subscription say."""
    rows = subscription.counts.exclude(count=0).values_list("state", "reason", "count")
    return {(state, reason): count for state, reason, count in rows}


def _usual() -> dict[str, Any]:
    return {"event_type": "ORDER", "event_source": "APPLICATION"}
