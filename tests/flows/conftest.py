"""Flows that end in a send are tested through the outbox of the tests next door."""

import pytest

from clarion.models import Message, Tenant
from tests.conftest import Clock
from tests.flows.mails import LATER, sent_to
from tests.outbox.conftest import open_outbox, outbox
from tests.outbox.rounds import due_messages

__all__ = ["message", "open_outbox", "outbox"]


@pytest.fixture
def message(tenant: Tenant, clock: Clock) -> Message:
    """One that left a moment ago."""
    (message,) = sent_to(due_messages(tenant, clock), clock)
    clock.now += LATER
    return message
