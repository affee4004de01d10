"""The HTTP client: what it makes of every way in which the other side can fail; what each failure proves."""

import asyncio
import functools
import socket

import pytest

from clarion.lib.http import HttpClient
from clarion.lib.sending import InDoubt, NotSent
from tests.sandbox.scripted import Caller, against, answer, answering, hanging

SOON = 0.2  # seconds: long for loopback, short for whoever waits for the tests
with_server = functools.partial(against, timeout=SOON)

BODY = {"id": 7, "phone": 70000001234, "text": "Здравствуйте"}


def test_a_closed_port_is_not_sent():
    async def run():
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            async with HttpClient(timeout=SOON) as http:
                with pytest.raises(NotSent, match="no connection"):
                    await http.post_json(f"http://127.0.0.1:{unused.getsockname()[1]}", body=BODY)

    asyncio.run(run())


def test_a_name_that_is_none_is_not_sent():
    async def run():
        async with HttpClient(timeout=5, connect_timeout=2) as http:
            with pytest.raises(NotSent):
                await http.post_json("http://nowhere.invalid/", body=BODY)

    asyncio.run(run())


def test_a_server_that_takes_no_connections_is_not_sent():
    async def run():
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)  # the kernel takes one, perhaps two; the others' handshakes get no answer
            async with HttpClient(timeout=5, connect_timeout=SOON) as http:
                url = f"http://127.0.0.1:{full.getsockname()[1]}"
                outcomes = await asyncio.gather(
                    *(http.post_json(url, body=BODY, timeout=2 * SOON) for _ in range(4)),
                    return_exceptions=True,
                )

        assert NotSent in {type(each) for each in outcomes}
        assert {each.code for each in outcomes} == {"timeout"}

    asyncio.run(run())


def test_waiting_for_a_connection_in_vain_is_not_sent():
    async def use(http, server):
        first = asyncio.create_task(http.post_json(server.url, body=BODY))
        await asyncio.sleep(0)

        with pytest.raises(NotSent, match="in time"):
            await http.post_json(server.url, body=BODY, timeout=0.05)

        with pytest.raises(InDoubt):
            await first

    with_server(hanging, use, connections=1)


def test_a_client_that_is_not_open_sends_nothing():
    with pytest.raises(NotSent, match="not open"):
        asyncio.run(HttpClient().post_json("http://127.0.0.1:1/", body=BODY))


async def closing(caller: Caller) -> None:
    await caller.request()


async def resetting(caller: Caller) -> None:
    await caller.request()
    caller.reset()


async def resetting_after_the_headers(caller: Caller) -> None:
    await caller.request()
    await caller.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    caller.reset()


async def dripping(caller: Caller) -> None:
    await caller.request()
    await caller.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        await caller.say(b".")
        await asyncio.sleep(0.01)


async def endless_headers(caller: Caller) -> None:
    await caller.request()
    await caller.say(b"HTTP/1.1 200 OK\r\n")
    while True:
        await caller.say(b"X-More: " + b"x" * 1000 + b"\r\n")


async def endless_interim(caller: Caller) -> None:
    await caller.request()
    while True:
        await caller.say(b"HTTP/1.1 100 Continue\r\n\r\n")


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (hanging, "timeout"),
        (dripping, "timeout"),
        (closing, "reset"),
        (resetting, "reset"),
        (resetting_after_the_headers, "garbled"),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), "garbled"),
        (answering(b"SSH-2.0-OpenSSH\r\n"), "garbled"),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 4\r\n\r\nokok"), "garbled"),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nok"), "garbled"),
        (answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n"), "garbled"),
        (endless_headers, "garbled"),
        (endless_interim, "garbled"),
    ],
)
def test_an_answer_that_never_comes_whole_leaves_us_in_doubt(script, code):
    async def use(http, server):
        with pytest.raises(InDoubt) as caught:
            await http.post_json(server.url, body=BODY)

        assert caught.value.code == code
        assert len(server.requests) == 1, "a request in doubt is never repeated down here"

    with_server(script, use)


def test_a_cancelled_request_does_not_give_its_answer_to_the_next():
    async def echoing_from_the_second_on(caller):
        while True:
            request = await caller.request()
            if len(caller.seen.requests) > 1:
                await caller.say(answer(200, request.body))

    async def use(http, server):
        first = asyncio.create_task(http.post_json(server.url, body={"n": 1}))
        while not server.requests:
            await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first

        reply = await http.post_json(server.url, body={"n": 2})

        assert (reply.body, server.connections) == (b'{"n":2}', 2)

    with_server(echoing_from_the_second_on, use)


def test_an_answer_nobody_asked_for_is_not_taken_for_ours():
    idle = asyncio.Event()

    async def chatty(caller):
        await caller.request()
        await caller.say(answer(200, b"asked for"))
        await idle.wait()
        await caller.say(answer(200, b"unasked"))
        await caller.request()
        await caller.say(answer(200, b"asked for, too"))

    async def use(http, server):
        await http.post_json(server.url, body=BODY)
        idle.set()
        await asyncio.sleep(0.05)  # for the unasked bytes to come in; too short, and the test proves less

        reply = await http.post_json(server.url, body=BODY)

        assert (reply.body, server.connections) == (b"asked for", 2)

    with_server(chatty, use)


def test_a_connection_closed_while_idle_costs_nothing():
    async def use(http, server):
        for _ in range(3):
            reply = await http.post_json(server.url, body=BODY)
            assert reply.status == 200
            await asyncio.sleep(0.02)  # the end of the connection reaches us

        assert (server.connections, len(server.requests)) == (3, 3)

    with_server(answering(answer(200)), use)
