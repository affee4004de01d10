"""What the database says of itself and of the work, broken in one way each."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from clarion.flows import readers
from clarion.flows.reading import read_on
from clarion.models import Event, GatewayAccount, Lane, Mailing, Tenant, Worker
from clarion.outbox import claims
from tests.conftest import Clock
from tests.doctor.conftest import Doctor, only
from tests.factories import make_customer, make_mailing
from tests.flows.recording import fill, poison, recorder
from tests.outbox.rounds import due_messages, enlist, in_flight


def test_a_database_that_is_older_names_what_is_missing(doctor: Doctor) -> None:
    MigrationRecorder(connection).record_unapplied("clarion", "0002_lanes_hours_filters")

    said = doctor()

    state, seen, mend = only(said["migrations"])
    assert (state, mend.endswith(" migrate")) == ("wrong", True)
    assert "clarion.0002_lanes_hours_filters" in seen
    # Its tables are not ours to ask.
    assert "workers" not in said


def test_a_database_that_is_newer_names_what_it_has(doctor: Doctor) -> None:
    MigrationRecorder(connection).record_applied("clarion", "9999_of_tomorrow")

    state, seen, mend = only(doctor()["migrations"])

    assert (state, "9999_of_tomorrow" in seen, "git pull" in mend) == ("wrong", True, True)


def test_no_worker_is_worth_a_warning_and_wrong_while_a_mailing_waits_for_one(
    doctor: Doctor, tenant: Tenant, clock: Clock
) -> None:
    before = only(doctor()["workers"])
    make_mailing(tenant, now=clock())
    after = only(doctor()["workers"])

    assert (before[0], after[0]) == ("warning", "wrong")
    assert before[2] == after[2]
    assert after[2].endswith(" run")


@pytest.mark.parametrize(
    ("left", "state"), [(55.0, "ok"), (15.0, "warning"), (-1.0, "warning"), (3600.0, "warning")]
)
def test_a_worker_is_as_well_as_its_last_sign_of_life(
    doctor: Doctor, clock: Clock, left: float, state: str
) -> None:
    Worker.objects.filter(pk=enlist(clock).pk).update(lease_until=claims.lease_clock() + left)

    assert only(doctor()["workers"])[0] == state


def test_a_closed_lane_says_why_and_how_it_opens(doctor: Doctor, tenant: Tenant, clock: Clock) -> None:
    account = GatewayAccount.objects.of(tenant).get(name="log")
    until = clock() + timedelta(minutes=5)
    Lane.objects.filter(pk=account.lane_id).update(closed_until=until, closed_because="HTTP 401")

    state, seen, mend = only(doctor()["lanes"])

    assert (state, "shop/log" in seen, "HTTP 401" in seen) == ("warning", True, True)
    assert mend.endswith("accounts change shop log")


def test_a_gateway_that_is_not_installed_is_wrong(doctor: Doctor, tenant: Tenant) -> None:
    GatewayAccount.objects.of(tenant).filter(name="log").update(gateway="heron")

    state, seen, _ = only(doctor()["accounts"])

    assert (state, "shop/log sends through heron" in seen) == ("wrong", True)


def test_what_is_held_in_doubt_waits_for_a_person(doctor: Doctor, tenant: Tenant, clock: Clock) -> None:
    GatewayAccount.objects.update(doubt="hold")
    mailing, worker = due_messages(tenant, clock, 2), enlist(clock)
    rows = in_flight(mailing, worker, clock)
    claims.rescue(Worker.objects.filter(pk=worker.pk), now=clock())

    state, seen, mend = only(doctor()["mailings"])

    assert (state, seen.startswith("2 messages are held in doubt")) == ("warning", True)
    assert f"messages settle {min(row.pk for row in rows)} " in mend


def test_a_mailing_that_should_long_have_finished_is_wrong(
    doctor: Doctor, tenant: Tenant, clock: Clock
) -> None:
    mailing = due_messages(tenant, clock)
    Mailing.objects.of(tenant).update(ends_at=clock() - timedelta(hours=2))

    state, _, mend = only(doctor()["mailings"])

    assert (state, mend.endswith(f"trace mailing:{mailing.pk}")) == ("wrong", True)


def test_a_clock_before_the_last_row_is_wrong(doctor: Doctor, tenant: Tenant, clock: Clock) -> None:
    customer = make_customer(tenant)
    type(customer).objects.of(tenant).update(created_at=clock() + timedelta(days=1))

    state, seen, mend = only(doctor()["clock"])

    assert (state, "something was stored at" in seen, "timedatectl" in mend) == ("wrong", True, True)


@pytest.mark.django_db(transaction=True)
def test_a_database_that_may_forget_what_it_acknowledged_is_wrong(doctor: Doctor) -> None:
    weaken = {
        "sqlite": "PRAGMA synchronous = OFF",
        "postgresql": "SET synchronous_commit = off",
        "mysql": "SET SESSION sql_mode = ''",
    }
    with connection.cursor() as cursor:
        cursor.execute(weaken[connection.vendor])
    try:
        state, _, mend = only(doctor()["durability"])
    finally:
        connection.close()

    assert (state, bool(mend)) == ("wrong", True)


def test_a_reader_that_is_late_or_has_parked_events_is_named_with_what_to_do(
    doctor: Doctor, tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "READERS", (recorder(),))
    fill(tenant, 3, clock())
    well = only(doctor()["readers"])
    Event.objects.of(tenant).update(received_at=clock() - timedelta(minutes=11))
    late = only(doctor()["readers"])
    while read_on(recorder(poison(2)), clock()):
        clock.pass_by(seconds=5)
    parked = only(doctor()["readers"])

    assert (well[0], well[1].startswith("3 events wait to be read")) == ("ok", True)
    assert (late[0], "has 3 events of shop to read, the oldest since 11 min" in late[1]) == ("warning", True)
    assert (parked[0], "has set 1 events of shop aside" in parked[1]) == ("warning", True)
    assert parked[2].endswith("readers rerun recorder --tenant shop")
