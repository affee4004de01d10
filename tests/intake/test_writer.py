"""The thread that stores events: what waits is one batch, too much is refused, and one bad parcel breaks no other."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC
from typing import Any

import pytest
from django.db import connection, transaction

from clarion.flows.event_forms import entity_event
from clarion.flows.events import STORED, Arrival
from clarion.intake import writer
from clarion.intake.writer import Full, Parcel, Result, Unavailable, Writer
from clarion.models import Event, EventHead, Tenant
from tests.hub import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


class Told(list[Any]):
    """What the writer told, in its order."""

    def parcel(self, tenant: Tenant, *ids: object) -> Parcel:
        drafts = [entity_event({"event_type": "PRODUCT", "id": each}, UTC) for each in ids]
        return Parcel([Arrival(tenant, draft) for draft in drafts], 100 * len(ids), whom=None)

    def tell(self, results: Sequence[tuple[Parcel, Result]]) -> None:
        self.extend(result for _, result in results)

    def wait_for(self, count: int) -> None:
        assert wait_until(lambda: len(self) >= count), f"told {len(self)} times only"


def put(thread: Writer, parcel: Parcel) -> None:
    thread.accept(parcel)
    thread.put([parcel])


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def thread(told: Told) -> Iterator[Writer]:
    running = Writer(told.tell)
    yield running
    running.close()


def test_what_waits_while_one_is_stored_is_the_next_batch(thread: Writer, told: Told, tenant: Tenant) -> None:
    with transaction.atomic():
        held(tenant)
        for n in range(30):
            put(thread, told.parcel(tenant, n))
        assert told == []
    told.wait_for(30)

    assert [outcome.kind for (outcome,) in told] == [STORED] * 30
    assert sorted(Event.objects.values_list("seq", flat=True)) == list(range(1, 31))
    assert Event.objects.values("received_at").distinct().count() <= 5


def held(tenant: Tenant) -> None:
    """Take the lock that a writer must wait for, until the transaction ends."""
    EventHead.objects.get_or_create(tenant=tenant)
    list(EventHead.objects.of(tenant).select_for_update())


def test_more_than_may_wait_is_refused_and_room_comes_back(
    thread: Writer, told: Told, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MOST_WAITING", 3)
    with transaction.atomic():
        held(tenant)
        put(thread, told.parcel(tenant, 1, 2))
        put(thread, told.parcel(tenant, 3))
        with pytest.raises(Full):
            put(thread, told.parcel(tenant, 4))
    told.wait_for(2)

    assert wait_until(lambda: thread._events == 0)
    put(thread, told.parcel(tenant, *range(10, 20)))
    told.wait_for(3)
    assert Event.objects.count() == 13


def test_a_parcel_that_breaks_the_batch_is_told_so_alone(thread: Writer, told: Told, tenant: Tenant) -> None:
    gone = Tenant(pk=tenant.pk + 1000, name="gone")
    with transaction.atomic():
        held(tenant)
        for each in (told.parcel(tenant, 1), told.parcel(gone, 1), told.parcel(tenant, 2)):
            put(thread, each)
    told.wait_for(3)

    assert sorted(isinstance(each, Exception) for each in told) == [False, False, True]
    assert list(Event.objects.order_by("seq").values_list("tenant", "seq")) == [
        (tenant.pk, 1),
        (tenant.pk, 2),
    ]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="a lost server is tried over HTTP")
def test_a_database_that_fails_is_told_at_once_and_asked_again_later(
    thread: Writer, told: Told, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "FIRST_REST", 60.0)
    monkeypatch.setattr(writer, "LONGEST_REST", 60.0)
    with without_table():
        put(thread, told.parcel(tenant, 1))
        told.wait_for(1)
        assert isinstance(told[0], Unavailable)
        with pytest.raises(Unavailable):
            put(thread, told.parcel(tenant, 1))

    thread._rests_until = 0.0
    put(thread, told.parcel(tenant, 1))
    told.wait_for(2)
    assert told[1][0].kind == STORED


@contextmanager
def without_table() -> Iterator[None]:
    """SQLite says the same of a missing table as of a full or broken disk."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE clarion_event RENAME TO clarion_elsewhere")
        try:
            yield
        finally:
            cursor.execute("ALTER TABLE clarion_elsewhere RENAME TO clarion_event")


def test_what_waits_is_stored_before_it_ends(told: Told, tenant: Tenant) -> None:
    running = Writer(told.tell)
    for n in range(20):
        put(running, told.parcel(tenant, n))

    running.close()

    assert len(told) == Event.objects.count() == 20
