"""The readers' round: who has nothing to read is left alone, and nothing that came in waits for that."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clarion import worker
from clarion.flows import readers
from clarion.flows.replays import rewind
from clarion.models import Event, Tenant
from tests.conftest import Clock
from tests.flows.recording import NAME, fill, poison, recorder, seen

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "READERS", (recorder(), recorder(name="other")))


def test_every_reader_reads_every_log(tenant: Tenant, other_tenant: Tenant, clock: Clock) -> None:
    for each in (tenant, other_tenant):
        fill(each, 3, clock())

    while readers.run_due(clock()):
        pass

    assert all(seen(each, name) == [1, 2, 3] for each in (tenant, other_tenant) for name in (NAME, "other"))


def test_an_idle_round_is_one_question_whatever_the_number_of_readers(tenant: Tenant, clock: Clock) -> None:
    fill(tenant, 3, clock())
    while readers.run_due(clock()):
        pass

    with CaptureQueriesContext(
        connection,
    ) as asked:
        done = readers.run_due(clock())

    assert (done, len(asked)) == (0, 1)


def test_what_comes_in_is_read_in_the_next_round(tenant: Tenant, clock: Clock) -> None:
    while readers.run_due(clock()):
        pass
    fill(tenant, 1, clock())

    readers.run_due(clock())

    assert seen(tenant) == [1]


@pytest.mark.parametrize("seconds", [1, -3600])
def test_a_reader_that_was_sent_back_is_seen_within_a_second_or_when_the_clock_is_set_back(
    tenant: Tenant, clock: Clock, seconds: int
) -> None:
    fill(tenant, 1, clock())
    while readers.run_due(clock()):
        pass
    rewind(recorder(), tenant, 0, clock())

    clock.pass_by(seconds=seconds)
    readers.run_due(clock())

    assert seen(tenant) == [1, 1]


def test_a_tick_reads_what_came_in_and_drops_what_has_served_its_time(tenant: Tenant, clock: Clock) -> None:
    fill(tenant, 2, clock())
    clock.pass_by(days=401)
    fill(tenant, 1, clock())

    worker.tick(clock)

    assert (seen(tenant), list(Event.objects.values_list("seq", flat=True))) == ([1, 2, 3], [3])


def test_a_parked_event_of_one_reader_is_none_of_another(
    tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "READERS", (recorder(poison(1)), recorder(name="other")))
    fill(tenant, 2, clock())
    for _ in range(5):
        readers.run_due(clock())
        clock.pass_by(seconds=5)

    assert (seen(tenant), seen(tenant, "other")) == ([2], [1, 2])
    assert [each.parked for each in readers.standings()] == [1, 0]
