"""Flows that end in a send are tested through the outbox of the tests next door."""

from tests.outbox.conftest import open_outbox, outbox

__all__ = ["open_outbox", "outbox"]
