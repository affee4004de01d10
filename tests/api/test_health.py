"""What monitoring reads of the backlog: how long the oldest due message has been due, whatever its lane."""

from datetime import timedelta

import pytest

from clarion.api.health import oldest_due
from clarion.flows import accounts
from clarion.models import Tenant
from clarion.models.outgoing import FIRST_TRY, RETRY, SUSPECT
from tests.conftest import Clock
from tests.outbox.rounds import due_messages

pytestmark = pytest.mark.django_db


def test_where_nothing_waits_nothing_is_late(db: None, clock: Clock) -> None:
    assert oldest_due(clock()) == clock()


@pytest.mark.parametrize("priority", [FIRST_TRY, RETRY, SUSPECT])
def test_the_oldest_due_message_is_found_in_any_lane_and_priority(
    tenant: Tenant, clock: Clock, priority: int
) -> None:
    due_messages(tenant, clock, 2)
    accounts.add(tenant, name="another", gateway="log", settings={}, now=clock())
    late = due_messages(tenant, clock, account="another").message_set.get()
    since = clock() - timedelta(hours=3)
    type(late).objects.filter(pk=late.pk).update(due_at=since, priority=priority)

    assert oldest_due(clock()) == since
