"""Sends nothing to nobody: one line in our own log for each message. The default of a fresh install."""

import structlog

from clarion.gateways import Gateway, MessageContent
from clarion.lib.http import HttpClient
from clarion.lib.sending import Receipt


class Log(Gateway):
    """Takes everything. Neither the text nor the address reaches the log: both are personal data."""

    kind = "log"
    channel = "sms"
    doubt = "resend"

    def __init__(self, config: Gateway.Config, http: HttpClient) -> None:
        super().__init__(config, http)
        self._log = structlog.get_logger("clarion.gateways.log")

    async def send(self, message: MessageContent) -> Receipt:
        """Write the line."""
        self._log.info(
            "message_logged", message_id=message.id, to=masked(message.to), length=len(message.text)
        )
        return Receipt()


def masked(address: str) -> str:
    """Return the address with all but its last two characters (of an e-mail address: but its domain) hidden.

    An address so short that this would give it away is hidden whole.
    """
    if "@" in address:
        return f"***@{address.rpartition('@')[2]}"
    return f"***{address[-2:]}" if len(address) >= 6 else "***"
