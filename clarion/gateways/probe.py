"""The outside sender that takes one SMS at a time under the id of our message.

All it promises: good is HTTP 200 with `{"code": 0, "message": "OK"}`. It may be slow, answer garbage, refuse
for a while. It is told our own id for the message, the same in every try, so in doubt we send again.
"""

import re

from pydantic import Field

from clarion.gateways import Gateway, MessageContent
from clarion.lib.fields import BaseUrl, HeaderSecret
from clarion.lib.http import HttpClient, garbled, raise_for_status, read_json
from clarion.lib.sending import Receipt, Refused

# E.164: at most 15 digits, with or without the plus sign.
PHONE = re.compile(r"\+?([0-9]{1,15})")


class Probe(Gateway):
    """`POST {base_url}/v1/send/{message id}`."""

    kind = "probe"
    channel = "sms"
    doubt = "resend"

    class Config(Gateway.Config):
        """Where the sender is and how we are known there."""

        base_url: BaseUrl = Field(description="Where the sender is; /v1/send/… is appended.")
        token: HeaderSecret = Field(description="The token (JWT) that it knows us by.")
        timeout: float = Field(
            default=10.0,  # what HttpClient waits, too: a healthy sender answers within one second
            gt=0,
            le=60,  # longer, and a handful of hanging answers would hold every slot of the lane
            description="Seconds to wait for a whole answer.",
        )

    config: Config

    def __init__(self, config: Config, http: HttpClient) -> None:
        super().__init__(config, http)
        token = config.token.get_secret_value()
        self._secrets = (token,)
        self._headers = {"Authorization": f"Bearer {token}"}
        self._url = f"{config.base_url}/v1/send/"

    async def send(self, message: MessageContent) -> Receipt:
        """Send one message; its id is the sender's id for it, too."""
        phone = PHONE.fullmatch(message.to)
        if phone is None:
            raise Refused("the address is not a phone number", code="phone")
        answer = await self.http.post_json(
            f"{self._url}{message.id}",
            body={"id": message.id, "phone": int(phone[1]), "text": message.text},
            headers=self._headers,
            timeout=self.config.timeout,
            secrets=self._secrets,
        )
        raise_for_status(answer)
        match read_json(answer) if answer.status == 200 else None:
            # `0` also matches 0.0 and False, and neither is what was promised.
            case {"code": int(code), "message": "OK"} if code == 0 and code is not False:
                return Receipt(provider_id=str(message.id), code="0")
        raise garbled(answer, "the body does not say that the message was taken")
