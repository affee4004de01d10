"""Readers of the log: effects and position are one, a poison event is found and set aside, and nobody waits for it."""

from datetime import timedelta

import pytest
from django.db import InterfaceError, OperationalError

from clarion.flows import reading
from clarion.flows.reading import Reader, read_on, read_slice
from clarion.models import Event, EventHead, ParkedEvent, ReaderPosition, Tenant
from tests.conftest import Clock
from tests.flows.recording import NAME, fill, poison, recorder, seen

pytestmark = pytest.mark.django_db


@pytest.fixture
def _steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a slice takes, the next one is no shorter."""
    monkeypatch.setattr(reading, "LONGEST", {})
    monkeypatch.setattr(reading, "LONGEST_ON_SERVER", 60.0)


def read_all(reader: Reader, clock: Clock) -> int:
    """Read until nothing is left, however long the reader rests in between; return how many slices it took."""
    slices = idle = 0
    while idle < 2:
        done = read_on(reader, clock())
        slices += done
        idle = 0 if done else idle + 1
        if not done:
            clock.pass_by(seconds=5)
    return slices


def place(tenant: Tenant, name: str = NAME) -> int:
    return ReaderPosition.objects.of(tenant).get(reader=name).seq


def test_a_new_reader_begins_with_the_first_event_and_reads_each_once(tenant: Tenant, clock: Clock) -> None:
    fill(tenant, 450, clock())

    read_all(recorder(), clock)

    assert seen(tenant) == list(range(1, 451))
    assert place(tenant) == 450


def test_one_that_has_read_everything_does_nothing_until_there_is_more(tenant: Tenant, clock: Clock) -> None:
    fill(tenant, 3, clock())
    read_all(recorder(), clock)

    idle = read_on(recorder(), clock())
    fill(tenant, 2, clock())

    assert idle == 0
    assert read_on(recorder(), clock()) > 0
    assert seen(tenant) == [1, 2, 3, 4, 5]


def test_effects_and_position_are_rolled_back_together(tenant: Tenant, clock: Clock) -> None:
    fill(tenant, 10, clock())

    def fail(event: Event) -> None:
        raise OperationalError("the connection is lost")

    with pytest.raises(OperationalError):
        read_on(recorder(fail), clock())

    assert (seen(tenant), place(tenant)) == ([], 0)


@pytest.mark.slow
@pytest.mark.usefixtures("_steady")
@pytest.mark.parametrize("poisoned", [1, 2, 137, 640, 999, 1_000])
def test_one_event_among_a_thousand_is_found_and_parked_and_the_others_are_read_once(
    tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch, poisoned: int
) -> None:
    monkeypatch.setattr(reading, "FIRST_SLICE", 1_000)
    fill(tenant, 1_000, clock())

    slices = read_all(recorder(poison(poisoned)), clock)

    parked = ParkedEvent.objects.of(tenant).get()
    assert (parked.seq, parked.tries, parked.error, parked.code) == (poisoned, 3, "ValueError", "")
    assert seen(tenant) == [seq for seq in range(1, 1_001) if seq != poisoned]
    assert place(tenant) == 1_000
    # Ten halvings of a thousand, each with at most one slice that is read well, and three tries.
    assert slices <= 24


def test_many_poison_events_are_parked_each_alone(tenant: Tenant, clock: Clock) -> None:
    fill(tenant, 60, clock())

    read_all(recorder(poison(7, 8, 31, 60)), clock)

    assert list(ParkedEvent.objects.order_by("seq").values_list("seq", flat=True)) == [7, 8, 31, 60]
    assert seen(tenant) == [seq for seq in range(1, 61) if seq not in (7, 8, 31, 60)]


def test_an_event_that_fails_twice_and_then_goes_is_not_parked(tenant: Tenant, clock: Clock) -> None:
    fill(tenant, 1, clock())
    failures = [1, 2]

    def fail(event: Event) -> None:
        if failures:
            failures.pop()
            raise ValueError

    read_all(recorder(fail), clock)

    assert (seen(tenant), ParkedEvent.objects.count(), place(tenant)) == ([1], 0, 1)


def test_tries_are_counted_in_the_row_and_the_reader_rests_between_them(tenant: Tenant, clock: Clock) -> None:
    fill(tenant, 1, clock())
    reader = recorder(poison(1))

    first = read_on(reader, clock())
    at_once = read_on(reader, clock())
    clock.pass_by(seconds=1)
    second = read_on(reader, clock())

    row = ReaderPosition.objects.of(tenant).get()
    assert (first, at_once, second) == (1, 0, 1)
    assert (row.tries, row.retry_at) == (2, clock() + timedelta(seconds=5))


def test_a_rest_that_ends_far_ahead_is_a_clock_that_was_set_and_is_none(tenant: Tenant, clock: Clock) -> None:
    fill(tenant, 1, clock())
    for ahead, left in ((5.0, None), (5.001, 0)):
        until = clock() + timedelta(seconds=ahead)
        ReaderPosition.objects.update_or_create(tenant=tenant, reader=NAME, defaults={"retry_at": until})

        assert read_slice(recorder(), tenant, clock()) == left


def test_a_clock_that_is_set_back_lets_nobody_rest_for_long(tenant: Tenant, clock: Clock) -> None:
    fill(tenant, 1, clock())
    read_on(recorder(poison(1)), clock())

    clock.pass_by(days=-3)

    assert read_on(recorder(), clock()) == 1


@pytest.mark.parametrize("lost", [OperationalError, InterfaceError])
def test_a_lost_connection_is_no_try(tenant: Tenant, clock: Clock, lost: type[Exception]) -> None:
    fill(tenant, 2, clock())

    def lose(event: Event) -> None:
        raise lost("server closed the connection")

    for _ in range(5):
        with pytest.raises(lost):
            read_on(recorder(lose), clock())
    read_all(recorder(), clock)

    assert (ParkedEvent.objects.count(), seen(tenant)) == (0, [1, 2])


@pytest.mark.usefixtures("_steady")
def test_a_poison_event_holds_up_no_other_tenant(tenant: Tenant, other_tenant: Tenant, clock: Clock) -> None:
    fill(tenant, 50, clock())
    fill(other_tenant, 50, clock())

    def fail(event: Event) -> None:
        if event.tenant_id == tenant.pk:
            raise ValueError

    # One round, without any rest.
    read_on(recorder(fail), clock())

    assert (len(seen(tenant)), len(seen(other_tenant))) == (0, 50)


@pytest.mark.usefixtures("_steady")
def test_a_backlog_of_one_tenant_holds_up_no_other(
    tenant: Tenant, other_tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "FIRST_SLICE", 5)
    monkeypatch.setattr(reading, "MOST_EVENTS", 5)
    fill(tenant, 400, clock())
    fill(other_tenant, 5, clock())

    slices = read_on(recorder(), clock())

    assert (slices, len(seen(tenant)), len(seen(other_tenant))) == (reading.ROUND, 75, 5)


@pytest.mark.usefixtures("_steady")
def test_the_next_round_goes_on_behind_the_tenants_of_the_last(
    tenant: Tenant, other_tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "FIRST_SLICE", 1)
    monkeypatch.setattr(reading, "MOST_EVENTS", 1)
    monkeypatch.setattr(reading, "ROUND", 1)
    for each in (tenant, other_tenant):
        fill(each, 3, clock())

    read_on(recorder(), clock())
    read_on(recorder(), clock())

    assert (seen(tenant), seen(other_tenant)) == ([1], [1])


@pytest.mark.usefixtures("_steady")
def test_a_reader_is_given_only_the_kinds_it_wants_and_passes_the_others_by(
    tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "SPAN", 4)
    for kind in ("PRODUCT", "ORDER", "STORE", "ORDER"):
        fill(tenant, 3, clock(), event_type=kind)

    read_all(recorder(kinds={"ORDER"}), clock)

    assert (seen(tenant), place(tenant)) == ([4, 5, 6, 10, 11, 12], 12)


def test_a_poison_event_among_others_that_are_not_wanted_is_parked_by_its_own_number(
    tenant: Tenant, clock: Clock
) -> None:
    for kind in ("PRODUCT", "ORDER", "STORE"):
        fill(tenant, 3, clock(), event_type=kind)

    read_all(recorder(poison(5), kinds={"ORDER"}), clock)

    assert (ParkedEvent.objects.get().seq, seen(tenant), place(tenant)) == (5, [4, 6], 9)


@pytest.mark.usefixtures("_steady")
def test_a_slice_holds_no_more_than_so_many_characters_but_one_event_always(
    tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_CHARACTERS", 2_500)
    for size in (1_000, 1_000, 1_000, 9_000, 10):
        fill(tenant, 1, clock(), note="x" * size)
    found: list[list[int]] = []

    def apply(tenant: Tenant, events: object, now: object) -> None:
        found.append([event.seq for event in events])  # type: ignore[attr-defined]

    read_all(Reader("sizes", apply), clock)

    assert found == [[1, 2], [3], [4], [5]]


@pytest.mark.usefixtures("_steady")
def test_a_reader_that_comes_late_begins_where_the_log_begins(
    tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "SPAN", 4)
    fill(tenant, 60, clock())
    Event.objects.of(tenant).filter(seq__lt=50).delete()

    slices = [read_all(recorder(name=name, kinds=kinds), clock) for name, kinds in KINDS_OR_ALL]

    assert seen(tenant, "all") == seen(tenant, "some") == list(range(50, 61))
    assert slices == [1, 3]


KINDS_OR_ALL = (("all", None), ("some", {"PRODUCT"}))


def test_a_log_that_was_emptied_is_passed_by(tenant: Tenant, clock: Clock) -> None:
    fill(tenant, 5, clock())
    Event.objects.of(tenant).delete()

    read_all(recorder(), clock)

    assert (seen(tenant), place(tenant)) == ([], EventHead.objects.of(tenant).get().seq)


def test_slices_grow_while_they_are_quick_and_shrink_when_they_take_too_long(
    tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader("pace", lambda tenant, events, now: None)
    monkeypatch.setattr(reading, "FIRST_SLICE", 200)
    for limit in ("LONGEST_ON_SERVER", "LONGEST"):
        monkeypatch.setattr(reading, limit, {} if limit == "LONGEST" else 60.0)
    fill(tenant, 1_000, clock())

    left = [read_slice(reader, tenant, clock()) for _ in range(2)]
    monkeypatch.setattr(reading, "LONGEST_ON_SERVER", 0.0)
    left.append(read_slice(reader, tenant, clock()))

    # 200, 400, and the last 400, which took too long.
    assert (left, reading._paces) == ([800, 400, 0], {"pace": 200})
