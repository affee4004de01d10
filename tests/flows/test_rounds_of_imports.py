"""Imports beside each other, beside other workers, and beside mistakes: each row is read once, each tenant has its turn."""

import contextlib
from typing import Any

import pytest

from clarion.flows import imports
from clarion.flows.imports import AlreadyOver
from clarion.models import Customer, Import, Tenant
from tests.conftest import Clock
from tests.factories import make_customer
from tests.flows.files import counts, in_small_batches, known, numbers, read, send, table

pytestmark = pytest.mark.django_db


@pytest.fixture
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    in_small_batches(monkeypatch)


@pytest.mark.usefixtures("_small_batches")
def test_files_of_one_tenant_are_read_one_after_the_other(tenant: Tenant, clock: Clock) -> None:
    phones = numbers(7)
    first = send(tenant, table(*phones, tag="old"), now=clock())
    second = send(tenant, table(*phones, tag="new"), now=clock())

    imports.run_due(clock())
    first.refresh_from_db()
    second.refresh_from_db()

    assert (first.state, second.state) == (Import.RUNNING, Import.WAITING)
    while imports.run_due(clock()):
        pass
    assert {each["tag"] for each in known(tenant)} == {"new"}


@pytest.mark.usefixtures("_small_batches")
def test_a_long_file_holds_up_no_other_tenant(
    tenant: Tenant, other_tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "ROUND", 4)
    long = send(tenant, table(*numbers(30)), now=clock())
    short = send(other_tenant, table(*numbers(4)), now=clock())

    assert imports.run_due(clock()) == 4

    for row in (long, short):
        row.refresh_from_db()
    assert (long.rows, short.rows, short.state) == (5, 4, Import.DONE)


def test_more_tenants_than_a_round_serves_take_turns(
    tenant: Tenant, other_tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_small_batches(monkeypatch, rows=1)
    rows = [send(owner, table(*numbers(9)), now=clock()) for owner in (tenant, other_tenant)]

    for _ in range(6):
        clock.pass_by(seconds=1)
        imports.run_due(clock())

    for row in rows:
        row.refresh_from_db()
    assert [row.rows for row in rows] == [2, 2]


@pytest.mark.usefixtures("_small_batches")
def test_a_cancelled_import_is_read_no_further(tenant: Tenant, clock: Clock) -> None:
    row = send(tenant, table(*numbers(9)), now=clock())
    imports.run_due(clock())

    cancelled = [imports.cancel(row, now=clock()).state for _ in range(2)]

    assert (cancelled, imports.run_due(clock())) == ([Import.CANCELLED] * 2, 0)
    assert Customer.objects.count() == 2


def test_what_has_ended_cannot_be_cancelled(tenant: Tenant, clock: Clock) -> None:
    row = read(tenant, table("70000000001"), now=clock())

    with pytest.raises(AlreadyOver):
        imports.cancel(row, now=clock())


@pytest.mark.usefixtures("_small_batches")
def test_a_batch_that_another_worker_has_stored_is_not_stored_again(
    tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one is as fast as can be: it comes between the reading and the storing."""
    send(tenant, table(*numbers(9)), now=clock())
    reading = imports._read

    def read_and_be_late(row: Import) -> Any:
        step = reading(row)
        monkeypatch.setattr(imports, "_read", reading)
        assert imports.run_due(clock()) == 1
        return step

    monkeypatch.setattr(imports, "_read", read_and_be_late)

    assert imports.run_due(clock()) == 0
    assert Customer.objects.count() == Import.objects.get().rows == 2


@pytest.mark.usefixtures("_small_batches")
@pytest.mark.parametrize("batch", range(4))
def test_a_batch_that_dies_half_way_is_read_again_and_nothing_is_twice(
    tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    data = table(*numbers(6)) + "8000;a;b\n"
    row = send(tenant, data, now=clock())
    for _ in range(batch):
        imports.run_due(clock())
    points = imports.crashpoint

    def die(name: str) -> None:
        if name == "import.before_batch_commit":
            raise KeyboardInterrupt

    monkeypatch.setattr(imports, "crashpoint", die)
    with contextlib.suppress(KeyboardInterrupt):
        imports.run_due(clock())
    monkeypatch.setattr(imports, "crashpoint", points)
    while imports.run_due(clock()):
        pass

    row.refresh_from_db()
    assert (row.state, counts(row), Customer.objects.count()) == (Import.DONE, (6, 0, 0, 1), 6)


def test_a_mistake_of_ours_ends_one_import_and_no_other(
    tenant: Tenant, other_tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = (send(owner, table("70000000001"), now=clock()) for owner in (tenant, other_tenant))
    storing = imports._store

    def fail(row: Import, *given: Any) -> None:
        if row.pk == bad.pk:
            raise ZeroDivisionError
        storing(row, *given)

    monkeypatch.setattr(imports, "_store", fail)
    while imports.run_due(clock()):
        pass

    bad.refresh_from_db()
    good.refresh_from_db()
    assert (bad.state, good.state) == (Import.FAILED, Import.DONE)
    assert "A mistake of ours at line 1" in bad.why


def test_an_external_id_that_is_taken_in_the_same_moment_is_found_the_second_time(
    tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = send(tenant, "phone;ref\n70000000001;a\n", now=clock())
    upsert = imports.upsert

    def be_overtaken(*given: Any, **named: Any) -> Any:
        monkeypatch.setattr(imports, "upsert", upsert)
        outcomes = upsert(*given, **named)
        other = make_customer(tenant)
        # Refused by the database, as it would be had the other one committed first.
        Customer.objects.filter(pk=other.pk).update(external_id="a")
        return outcomes

    monkeypatch.setattr(imports, "upsert", be_overtaken)
    while imports.run_due(clock()):
        pass

    row.refresh_from_db()
    assert (row.state, counts(row)) == (Import.DONE, (1, 0, 0, 0))
