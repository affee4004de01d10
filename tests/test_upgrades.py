"""An installation of the version before goes on where it stood: its rows mean the same, and what waited leaves."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from clarion.flows import audit
from clarion.lib.secrets import Box
from clarion.models import Customer, Mailing, Message
from clarion.outbox.cycle import Outbox
from clarion.outbox.dispatch import Dispatch
from tests.conftest import Clock
from tests.outbox.rounds import enlist, settle

# The last migration of each version that was released, by the version.
RELEASED = {"0.1.0": "0001_first", "0.2.0": "0003_files", "0.3.0": "0006_tracking"}

# What somebody told of a client's zone, and the zone that this names.
ZONES = [("Europe/Berlin", "Europe/Berlin"), ("+03:00", "+03:00"), ("Atlantis", ""), ("", "")]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=RELEASED.values(), ids=RELEASED)
def old(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The models as that version had them; the tables are brought up to date again whatever happens."""
    yield migrate_to(request.param)
    newest()


def migrate_to(name: str) -> Any:
    executor = MigrationExecutor(connection)
    return executor.migrate([("clarion", name)]).apps


def newest() -> None:
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


def make_people(old: Any, tenant: Any, now: datetime) -> None:
    people = old.get_model("clarion", "Customer").objects
    knows_zones = any(field.name == "zone" for field in people.model._meta.fields)
    for number, (timezone, zone) in enumerate(ZONES):
        row = {"phone": f"7000000{number:04}", "operator_code": "900", "timezone": timezone}
        people.create(tenant=tenant, created_at=now, **row, **({"zone": zone} if knows_zones else {}))


@pytest.mark.slow
def test_what_waited_before_the_upgrade_leaves_after_it(old: Any, clock: Clock, settings: Any) -> None:
    now = clock()
    tenant = old.get_model("clarion", "Tenant").objects.create(name="shop", created_at=now)
    lane = old.get_model("clarion", "Lane").objects.create()
    account = old.get_model("clarion", "GatewayAccount")(
        tenant=tenant, name="log", gateway="log", lane=lane, created_at=now
    )
    account.sealed_settings = Box(settings.SECRET_KEYS).seal({}, owner=f"gateway_account:{account.uid}")
    account.save()
    make_people(old, tenant, now)
    mailing = old.get_model("clarion", "Mailing").objects.create(
        tenant=tenant,
        account=account,
        text="Hello {{ phone }}.",
        starts_at=now,
        ends_at=now + timedelta(hours=1),
        state="running",
        created_at=now,
        started_at=now,
        materialised_at=now,
    )
    messages = old.get_model("clarion", "Message").objects
    for person in old.get_model("clarion", "Customer").objects.all():
        messages.create(
            tenant=tenant,
            lane=lane,
            state="waiting",
            due_at=now,
            deadline_at=mailing.ends_at,
            created_at=now,
            mailing=mailing,
            customer_id=person.pk,
            address=person.phone,
        )
    counts = old.get_model("clarion", "MailingCount").objects
    counts.create(tenant=tenant, mailing=mailing, state="waiting", reason="", count=4)

    newest()
    dispatch = Dispatch(slots=8, clock=clock)
    settle(Outbox(worker_id=enlist(clock).pk, dispatch=dispatch), clock)
    dispatch.close()

    zones = Customer.objects.order_by("pk").values_list("zone", flat=True)
    assert list(zones) == [zone for _, zone in ZONES]
    assert set(Message.objects.values_list("state", flat=True)) == {"accepted"}
    assert Mailing.objects.get().filter is None
    assert audit.run(clock()) == []
