"""Pages of large events: an answer stays short, and whoever walks through all pages is given every event once."""

from collections.abc import Iterator, Sequence
from datetime import UTC, timedelta
from typing import Any

import pytest
from django.test import Client

from clarion import worker
from clarion.api import event_pages
from clarion.flows import events
from clarion.flows.event_forms import LARGEST_EVENT, mail_event
from clarion.flows.events import Arrival
from clarion.models import Event, Tenant
from clarion.models.events import Events
from tests.api.calls import made, open_window
from tests.conftest import Clock
from tests.factories import make_customer

pytestmark = pytest.mark.django_db

PATHS = ["/api/v1/events?after_seq=0", "/api/v1/events?", "/get_events/7?", "/api/v1/customers/7/timeline?"]
every_list = pytest.mark.parametrize("path", PATHS)
# A page holds eight of the largest.
COUNT = 20


def tell(tenant: Tenant, clock: Clock, sizes: list[int]) -> None:
    """Events of about so many bytes, about customer 7, an hour apart; the text has three bytes a sign."""
    drafts = [
        mail_event(
            {
                "id": number,
                "customer_id": 7,
                "event_type": "email_open",
                "timestamp": (clock() - timedelta(hours=number)).isoformat(),
                "email_id": 1,
                "text": "€" * (size // 3),
            },
            UTC,
        )
        for number, size in enumerate(sizes)
    ]
    events.append([Arrival(tenant, draft) for draft in drafts], clock())


def pages(api: Client, path: str, **query: Any) -> Iterator[tuple[int, list[Any]]]:
    """Walk through a list: how long each answer is, and what it lists."""
    following: str | None = f"{path}&limit={query.get('limit', 100)}"
    while following:
        response = api.get(following)
        document = response.json()
        if isinstance(document, list):
            link = response.headers.get("Link", "")
            following = link.partition(">")[0].removeprefix("<")
        else:
            cursor, document = document["next"], document["data"]
            following = cursor and f"{path}&limit={query.get('limit', 100)}&cursor={cursor}"
        yield len(response.content), document


def ids(page: list[Any]) -> list[int]:
    return [line.get("event", line)["id"] for line in page if line.get("event", line) is not None]


@every_list
def test_every_large_event_is_given_once_on_short_pages(
    api: Client, tenant: Tenant, clock: Clock, path: str
) -> None:
    tell(tenant, clock, [LARGEST_EVENT - 1_000] * COUNT)

    found = list(pages(api, path))

    given = [number for _, page in found for number in ids(page)]
    assert sorted(given) == list(range(COUNT))
    assert given in (sorted(given), sorted(given, reverse=True))
    assert [len(page) for _, page in found] == [8, 8, 4]
    assert max(size for size, _ in found) < event_pages.MOST_BYTES + 10_000


@every_list
def test_small_events_between_large_ones_are_given_in_their_place(
    api: Client, tenant: Tenant, clock: Clock, path: str
) -> None:
    tell(tenant, clock, [10, LARGEST_EVENT - 1_000] * COUNT)

    given = [number for _, page in pages(api, path, limit=30) for number in ids(page)]

    assert given in ([*range(2 * COUNT)], [*reversed(range(2 * COUNT))])


def test_an_event_that_is_larger_than_a_page_has_one_of_its_own(
    api: Client, tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_pages, "MOST_BYTES", 1_000)
    tell(tenant, clock, [5_000, 10, 10, 5_000])

    assert [ids(page) for _, page in pages(api, PATHS[0])] == [[0], [1, 2], [3]]
    assert api.get("/api/v1/events/0").json()["text"] == "€" * (5_000 // 3)


def test_messages_keep_their_place_among_events_on_pages_that_are_cut(
    api: Client, tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_customer(tenant, external_id="7")
    for _ in range(3):
        made(api, "/api/v1/mailings", {**open_window(), "text": "hello"})
    worker.tick(clock)
    clock.pass_by(hours=5)
    tell(tenant, clock, [2_000] * 10)
    whole = api.get("/api/v1/customers/7/timeline?limit=100").json()["data"]
    monkeypatch.setattr(event_pages, "MOST_BYTES", 5_000)

    found = [page for _, page in pages(api, PATHS[3], limit=4)]

    assert len(whole) == 13
    assert [line for page in found for line in page] == whole


def test_what_is_dropped_while_a_page_is_read_ends_nothing(
    api: Client, tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_pages, "MOST_BYTES", 1_000)
    tell(tenant, clock, [5_000] * 4)
    honest, calls = event_pages._with_bodies, list[int]()

    def be_cut(rows: Events, given: Sequence[event_pages.EventRow]) -> list[event_pages.EventRow]:
        calls.append(len(given))
        if len(calls) == 1:
            Event.objects.of(tenant).filter(seq__lt=3).delete()
        return honest(rows, given)

    monkeypatch.setattr(event_pages, "_with_bodies", be_cut)

    assert api.get("/api/v1/events?after_seq=0").status_code == 410
    assert [ids(page) for _, page in pages(api, "/api/v1/events?after_seq=2")] == [[2], [3]]


def test_usual_events_take_one_look(tenant: Tenant, clock: Clock, django_assert_num_queries: Any) -> None:
    tell(tenant, clock, [1_000] * COUNT)

    with django_assert_num_queries(1):
        assert len(event_pages.page(Event.objects.of(tenant).order_by("seq"), 100).rows) == COUNT
