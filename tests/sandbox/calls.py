"""Calls to the stand-in sender, as a gateway makes them and as a test does."""

import asyncio
import http.client
import json
from typing import Any

from clarion import gateways
from clarion.gateways import MessageContent
from clarion.lib.http import HttpClient
from clarion.lib.sending import Receipt, SendError
from clarion.sandbox import RunningSender

SOON = 0.2  # seconds a caller waits here for an answer that does not come


def send(base_url: str, *ids: int, timeout: float = SOON) -> list[Receipt | SendError]:
    """Send these messages one after the other through the probe gateway."""
    probe = gateways.find("probe")

    async def run() -> list[Receipt | SendError]:
        outcomes: list[Receipt | SendError] = []
        async with HttpClient() as client:
            gateway = probe(probe.Config(base_url=base_url, token="t", timeout=timeout), client)
            for each in ids:
                try:
                    outcomes.append(await gateway.send(MessageContent(each, "70000001234", "Привет")))
                except SendError as error:
                    outcomes.append(error)
        return outcomes

    return asyncio.run(run())


def ask(
    sender: RunningSender, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, Any]:
    """Make one plain request and return status and JSON."""
    connection = http.client.HTTPConnection(sender.base_url.removeprefix("http://"))
    connection.request(method, path, body, headers)
    reply = connection.getresponse()
    read = reply.status, json.loads(reply.read())
    connection.close()
    return read
