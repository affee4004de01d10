"""What a tenant keeps, and for how long: dropped in small batches, never before its readers, and the accounts stay."""

from datetime import timedelta

import pytest

from clarion.flows import (
    events,
    readers,
    replays,
    retention,
)
from clarion.flows.retention import keep
from clarion.models import (
    Event,
    ParkedEvent,
    ReaderPosition,
    Tenant,
)
from tests.conftest import Clock
from tests.flows.recording import fill, poison, recorder, seen

pytestmark = pytest.mark.django_db

INSTANT = timedelta(microseconds=1)


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "batch", lambda: 4)
    # Those that there really are read nothing here, and would hold every log.
    monkeypatch.setattr(readers, "READERS", ())


@pytest.fixture
def _reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "READERS", (recorder(),))


def prune_events(clock: Clock) -> list[int]:
    """Drop what may be dropped of the logs; return how many events each step dropped."""
    steps = []
    while step := retention.prune_events(clock()):
        steps.append(step)
    return steps


def numbers(tenant: Tenant) -> list[int]:
    return list(Event.objects.of(tenant).order_by("seq").values_list("seq", flat=True))


def test_events_are_kept_for_their_days_and_dropped_in_batches_from_the_beginning(
    tenant: Tenant, clock: Clock
) -> None:
    keep(tenant, {"keep_events_days": 30})
    fill(tenant, 10, clock())
    clock.pass_by(days=1)
    fill(tenant, 2, clock())

    clock.pass_by(days=29)
    too_early = prune_events(clock)
    clock.now += INSTANT

    assert (too_early, prune_events(clock), numbers(tenant)) == ([], [4, 4, 2], [11, 12])


def test_without_a_wish_of_its_own_a_tenant_keeps_what_the_installation_keeps(
    tenant: Tenant, other_tenant: Tenant, clock: Clock
) -> None:
    keep(other_tenant, {"keep_events_days": 0})
    for each in (tenant, other_tenant):
        fill(each, 1, clock())

    clock.pass_by(days=401)
    prune_events(clock)
    clock.pass_by(days=100_000)
    prune_events(clock)

    # 0 is for ever.
    assert (numbers(tenant), numbers(other_tenant)) == ([], [1])


@pytest.mark.usefixtures("_reader")
def test_the_log_is_never_cut_beyond_the_slowest_reader(
    tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = recorder(name="slow")
    monkeypatch.setattr(readers, "READERS", (recorder(), slow))
    fill(tenant, 10, clock())
    readers.run_due(clock())
    ReaderPosition.objects.filter(reader="slow").update(seq=7)
    clock.pass_by(days=401)

    dropped = prune_events(clock)
    left = numbers(tenant)
    readers.run_due(clock())

    assert (dropped, left, prune_events(clock), numbers(tenant)) == ([4, 3], [8, 9, 10], [3], [])


@pytest.mark.usefixtures("_reader")
def test_a_reader_that_has_not_begun_holds_the_whole_log(tenant: Tenant, clock: Clock) -> None:
    fill(tenant, 3, clock())
    clock.pass_by(days=401)

    assert prune_events(clock) == []

    readers.run_due(clock())
    assert (prune_events(clock), seen(tenant)) == ([3], [1, 2, 3])


def test_a_reader_that_there_is_no_more_holds_nothing(tenant: Tenant, clock: Clock) -> None:
    fill(tenant, 3, clock())
    ReaderPosition.objects.create(tenant=tenant, reader="gone", seq=1)
    ParkedEvent.objects.create(
        tenant=tenant, reader="gone", seq=1, tries=3, error="ValueError", parked_at=clock(), tried_at=clock()
    )
    clock.pass_by(days=401)

    assert (prune_events(clock), ParkedEvent.objects.count()) == ([3], 0)


def test_a_parked_event_stays_until_it_was_run_again_or_given_up(
    tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "READERS", (recorder(poison(3, 5)),))
    fill(tenant, 6, clock())
    for _ in range(10):
        readers.run_due(clock())
        clock.pass_by(seconds=5)
    clock.pass_by(days=401)

    before = prune_events(clock)
    replays.rerun(recorder(), ParkedEvent.objects.filter(seq=3), clock())
    between = prune_events(clock)
    replays.forget(recorder(), ParkedEvent.objects.filter(seq=5))

    assert (before, between, prune_events(clock)) == ([2], [2], [2])


@pytest.mark.usefixtures("_reader")
def test_a_tenant_whose_log_cannot_be_cut_keeps_no_other_from_being_cut(
    tenant: Tenant, other_tenant: Tenant, clock: Clock
) -> None:
    for each in (tenant, other_tenant):
        fill(each, 2, clock())
        clock.pass_by(seconds=1)
    readers.run_due(clock())
    ReaderPosition.objects.of(tenant).update(seq=0)
    clock.pass_by(days=401)

    assert (prune_events(clock), numbers(tenant), numbers(other_tenant)) == ([2], [1, 2], [])


def test_long_events_are_dropped_few_at_a_time(
    tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "MOST_CHARACTERS", 2_500)
    for size in (1_000, 1_000, 1_000, 9_000):
        fill(tenant, 1, clock(), note="x" * size)
    clock.pass_by(days=401)

    assert prune_events(clock) == [2, 1, 1]


def test_a_log_that_was_cut_says_where_it_begins_also_when_nothing_is_left(
    tenant: Tenant, clock: Clock
) -> None:
    fill(tenant, 6, clock())
    clock.pass_by(days=401)
    begins = []

    for _ in range(2):
        retention.prune_events(clock())
        with pytest.raises(events.Pruned) as gone:
            events.read_log(tenant, 0)
        begins.append(gone.value.first_seq)
    assert list(events.read_log(tenant, 6)) == []
    fill(tenant, 1, clock())

    assert (begins, numbers(tenant)) == ([5, 7], [7])
    with pytest.raises(events.Pruned):
        events.read_log(tenant, 5)
