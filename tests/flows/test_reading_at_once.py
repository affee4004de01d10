"""Several workers read the same log, lose their connections, and meet the operator: each event has its effect once."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection

from clarion.flows import readers, reading, replays, retention
from clarion.flows.reading import Reader, read_on, read_slice
from clarion.models import Customer, Event, ParkedEvent, ReaderPosition, Tenant
from tests.conftest import Clock
from tests.flows.recording import fill, poison, recorder, seen

pytestmark = pytest.mark.django_db(transaction=True)

WORKERS = 3


def at_once(*work: Callable[[], None]) -> None:
    """Run these in threads that begin together, each with a connection of its own."""
    begin = threading.Barrier(len(work))
    failed: list[BaseException] = []

    def run(do: Callable[[], None]) -> None:
        begin.wait()
        try:
            do()
        except BaseException as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(do,)) for do in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


@pytest.mark.slow
def test_workers_that_read_at_once_read_each_event_once(
    tenant: Tenant, other_tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "FIRST_SLICE", 10)
    monkeypatch.setattr(reading, "MOST_EVENTS", 10)
    for each in (tenant, other_tenant):
        fill(each, 300, clock())

    def work() -> None:
        while ReaderPosition.objects.filter(seq=300).count() < 2:
            read_on(recorder(), clock())

    at_once(*[work] * WORKERS)

    assert seen(tenant) == seen(other_tenant) == list(range(1, 301))


@pytest.mark.parametrize("looks", [True, False], ids=["protected", "without the look at the position"])
def test_a_worker_that_was_overtaken_after_it_had_read_its_slice_does_nothing(
    tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch, looks: bool
) -> None:
    fill(tenant, 3, clock())
    honest = reading._next_slice

    def be_overtaken(*given: Any) -> Any:
        found = honest(*given)
        monkeypatch.setattr(reading, "_next_slice", honest)
        read_slice(recorder(), tenant, clock())
        return found

    monkeypatch.setattr(reading, "_next_slice", be_overtaken)
    if not looks:
        monkeypatch.setattr(ReaderPosition, "is_where", lambda self, other: True)

    left = read_slice(recorder(), tenant, clock())

    # Where nobody looks, what was read twice is there twice.
    assert (left, seen(tenant)) == ((None, [1, 2, 3]) if looks else (0, [1, 1, 2, 2, 3, 3]))


@pytest.mark.skipif(connection.vendor == "mysql", reason="it checks foreign keys at once")
def test_what_the_database_refuses_only_at_the_commit_is_a_failure_of_the_slice(
    tenant: Tenant, clock: Clock
) -> None:
    fill(tenant, 8, clock())

    def break_a_key(event: Event) -> None:
        if event.seq == 5:
            ReaderPosition.objects.create(tenant_id=10**9, reader="of nobody")

    for _ in range(10):
        read_on(recorder(break_a_key), clock())
        clock.pass_by(seconds=5)

    parked = ParkedEvent.objects.get()
    assert (parked.seq, parked.error, seen(tenant)) == (5, "IntegrityError", [1, 2, 3, 4, 6, 7, 8])


@pytest.mark.skipif(connection.vendor == "sqlite", reason="a file has no connection to lose")
def test_a_connection_that_the_server_ends_in_the_middle_of_a_slice_costs_nothing(
    tenant: Tenant, clock: Clock
) -> None:
    fill(tenant, 5, clock())
    lost = []

    def lose(event: Event) -> None:
        if event.seq == 3 and len(lost) < reading.MOST_TRIES + 1:
            lost.append(event.seq)
            end_this_connection()
            Customer.objects.count()

    for _ in range(reading.MOST_TRIES + 1):
        with pytest.raises((OperationalError, InterfaceError)):
            read_on(recorder(lose), clock())
        connection.close()
    while read_on(recorder(lose), clock()):
        pass

    assert (len(lost), seen(tenant), ParkedEvent.objects.count()) == (4, [1, 2, 3, 4, 5], 0)


def end_this_connection() -> None:
    """Have the server end the connection of this thread, as an operator would, over another one."""
    with connection.cursor() as cursor:
        is_postgres = connection.vendor == "postgresql"
        cursor.execute("SELECT pg_backend_pid()" if is_postgres else "SELECT connection_id()")
        (number,) = cursor.fetchone()

    def end() -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT pg_terminate_backend({number})" if is_postgres else f"KILL {number}")

    at_once(end)


def test_a_reader_that_is_sent_back_while_the_log_is_cut_finds_all_that_it_was_promised(
    tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "READERS", (recorder(),))
    monkeypatch.setattr(retention, "batch", lambda: 3)
    fill(tenant, 60, clock())
    while read_on(recorder(), clock()):
        pass
    clock.pass_by(days=401)
    promised: list[int] = []

    def send_back() -> None:
        for to in range(0, 60, 5):
            try:
                replays.rewind(recorder(), tenant, to, clock())
            except replays.BadPlace:
                continue
            promised.append(to)
            return

    def cut() -> None:
        for _ in range(20):
            retention.prune_events(clock())

    at_once(send_back, cut)

    assert Event.objects.of(tenant).order_by("seq")[0].seq <= promised[0] + 1


def test_a_parked_event_is_run_again_by_one_of_two_who_ask_for_it_at_once(
    tenant: Tenant, clock: Clock
) -> None:
    fill(tenant, 1, clock())
    ReaderPosition.objects.create(tenant=tenant, reader="recorder", seq=1)
    ParkedEvent.objects.create(
        tenant=tenant,
        reader="recorder",
        seq=1,
        tries=3,
        error="ValueError",
        parked_at=clock(),
        tried_at=clock(),
    )
    outcomes: list[tuple[int, int]] = []

    def rerun() -> None:
        outcomes.append(replays.rerun(recorder(), ParkedEvent.objects.all(), clock()))

    at_once(rerun, rerun)

    assert (sorted(outcomes), seen(tenant)) == ([(0, 0), (1, 0)], [1])


def test_a_lock_that_is_not_had_in_time_is_no_try_and_the_other_tenants_go_on(
    tenant: Tenant, other_tenant: Tenant, clock: Clock
) -> None:
    for each in (tenant, other_tenant):
        fill(each, 1, clock())
    numbers = {"postgresql": "55P03", "mysql": 1205, "sqlite": 1205}

    def apply(of: Tenant, events: Any, now: Any) -> None:
        if of.pk == tenant.pk:
            raise lock_conflict(numbers[connection.vendor])
        recorder().apply(of, events, now)

    read_on(Reader("recorder", apply), clock())

    assert (seen(tenant), seen(other_tenant)) == ([], [1])
    assert ReaderPosition.objects.of(tenant).get().tries == 0


def lock_conflict(number: object) -> OperationalError:
    """What each database's adapter raises when a lock was waited for in vain."""
    error = OperationalError(number, "lock wait timeout")
    cause = Exception()
    cause.sqlstate = number  # type: ignore[attr-defined]
    error.__cause__ = cause
    return error


def test_a_worker_that_found_the_reader_before_it_failed_elsewhere_lets_it_rest(
    tenant: Tenant, clock: Clock
) -> None:
    fill(tenant, 1, clock())
    reader = recorder(poison(1))

    tries = []
    for seconds in (0, 0, 0.999, 0.001, 0, 4.999, 0.001):
        clock.pass_by(seconds=seconds)
        # Another worker was told that there is something to read, and asks for it now.
        left = read_slice(reader, tenant, clock())
        tries.append((left is not None, ReaderPosition.objects.get().tries))

    assert tries == [(True, 1), (False, 1), (False, 1), (True, 2), (False, 2), (False, 2), (True, 0)]
    assert ParkedEvent.objects.count() == 1
