"""The HTTP client when the caller gives up: whether anything had left by then is not lost."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from clarion.lib.http import UNWRITTEN, HttpClient
from clarion.sandbox import RunningSender


@pytest.fixture
def deaf() -> Iterator[str]:
    """A port that accepts nobody: its queue is full of connections that nobody picks up."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        host, port = listener.getsockname()
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex((host, port))
        yield f"http://{host}:{port}"


async def given_up(url: str) -> tuple[object, ...]:
    """Cancel a call that is under way, and return what the cancellation says."""
    async with HttpClient() as client:
        call = asyncio.create_task(
            client.post_json(url, body={"id": 1, "phone": 70000000001, "text": "hello"})
        )
        # Long enough for a loopback connection to be made, if it is made at all.
        await asyncio.sleep(0.2)
        call.cancel("deadline")
        try:
            await call
        except asyncio.CancelledError as error:
            return error.args
    raise AssertionError("the call was not cancelled")


def test_a_call_given_up_while_it_connects_says_that_nothing_left(deaf: str) -> None:
    assert asyncio.run(given_up(f"{deaf}/v1/send/1")) == ("deadline", UNWRITTEN)


def test_a_call_given_up_after_its_request_was_written_does_not(sender: RunningSender) -> None:
    sender.switch("hangs")

    assert asyncio.run(given_up(f"{sender.base_url}/v1/send/1")) == ("deadline",)
