"""What somebody waits for in front of a screen goes before everything else."""

from collections.abc import Callable

import pytest

from clarion.flows import test_sends
from clarion.models import GatewayAccount, Message, State, Tenant
from clarion.models.outgoing import FIRST_TRY, RETRY, SUSPECT, URGENT
from clarion.outbox.cycle import Outbox
from clarion.sandbox import RunningSender
from tests.conftest import Clock
from tests.outbox.rounds import due_messages

pytestmark = pytest.mark.django_db


def test_a_test_send_takes_the_only_slot_although_others_are_due_for_longer(
    tenant: Tenant,
    probe: GatewayAccount,
    sender: RunningSender,
    clock: Clock,
    open_outbox: Callable[..., Outbox],
) -> None:
    sender.switch("hangs")
    mailing = due_messages(tenant, clock, 5)
    clock.pass_by(seconds=1)
    message = test_sends.show(mailing, client_id=None, phone="", now=clock())

    moved = open_outbox(slots=1).cycle(now=clock())

    assert (moved, Message.objects.get(state=State.SENDING)) == (1, message)


def test_the_numbers_of_older_rows_mean_what_they_meant() -> None:
    assert (FIRST_TRY, RETRY, SUSPECT) == (0, 1, 2)
    assert Message.PRIORITIES == (URGENT, FIRST_TRY, RETRY)
