"""Messages that nothing looks at, because their account's lane is closed, end in time all the same."""

from datetime import timedelta

import pytest

from clarion.flows import audit
from clarion.flows.deadlines import expire_held
from clarion.models import GatewayAccount, Lane, Tenant
from clarion.models.outgoing import Reason
from tests.conftest import Clock
from tests.factories import statuses
from tests.outbox.rounds import due_messages

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("closed", "ended"), [(True, {"expired": 3}), (False, {"waiting": 3})])
def test_local_hours_that_end_for_good_behind_a_closed_lane_end_the_message(
    tenant: Tenant, probe: GatewayAccount, clock: Clock, closed: bool, ended: dict[str, int]
) -> None:
    soon = clock() + timedelta(minutes=30)
    mailing = due_messages(
        tenant,
        clock,
        3,
        local_from=(clock() - timedelta(hours=1)).time(),
        local_until=soon.time(),
        ends_at=clock() + timedelta(hours=8),
    )
    deadlines = set(mailing.message_set.values_list("deadline_at", flat=True))
    if closed:
        until = clock() + timedelta(days=1)
        Lane.objects.filter(pk=probe.lane_id).update(closed_at=clock(), closed_until=until)
    clock.pass_by(minutes=31)

    assert expire_held(clock()) == (3 if closed else 0)

    assert deadlines == {soon}
    assert statuses(mailing) == ended
    assert set(mailing.message_set.values_list("reason", flat=True)) == {
        Reason.NO_LOCAL_HOURS if closed else ""
    }
    assert audit.run(clock()) == []
