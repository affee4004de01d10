"""The HTTP client's connections: when one is kept, when it is not, and that none is ever lost to a caller who gave up."""

import asyncio
import functools
import socket

import pytest

from clarion.lib import connections
from clarion.lib.http import HttpClient
from clarion.lib.sending import InDoubt, NotSent
from tests.sandbox.scripted import Caller, against, answer, answering, hanging, scripted

# Seconds a request may take; on loopback it takes thousandths.
with_server = functools.partial(against, timeout=5)


@pytest.mark.parametrize(
    "first",
    [
        answer(200, b"a") + answer(200, b"unasked"),
        answer(200, b"a", "Connection: close"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na",
        answer(200, b"a") + b"rubbish",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
    ],
)
def test_a_connection_with_anything_odd_about_its_answer_is_not_used_again(first):
    async def use(http, server):
        await http.post_json(server.url, body={})
        reply = await http.post_json(server.url, body={})

        assert server.connections == 2
        assert reply.body in (b"a", b"")

    with_server(answering(first, answer(200, b"of the first connection")), use)


def test_an_idle_connection_is_closed_before_servers_close_theirs(monkeypatch):
    monkeypatch.setattr(connections, "KEEP_ALIVE", 0.02)
    hung_up = asyncio.Event()

    async def watching(caller: Caller):
        await caller.request()
        await caller.say(answer(200))
        await caller.silence()
        hung_up.set()

    async def use(http, server):
        await http.post_json(server.url, body={})
        await asyncio.wait_for(hung_up.wait(), 5)

        await http.post_json(server.url, body={})
        assert server.connections == 2

    with_server(watching, use)


async def one_line_without_end(caller: Caller) -> None:
    await caller.request()
    await caller.say(b"HTTP/1.1 200 OK\r\nX-More: ")
    while True:
        await caller.say(b"x" * 1000)


BOTH_LENGTHS = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
)
CODED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok"


@pytest.mark.parametrize("script", [one_line_without_end, answering(BOTH_LENGTHS), answering(CODED)])
def test_an_answer_that_could_be_read_in_two_ways_leaves_us_in_doubt(script):
    async def use(http, server):
        with pytest.raises(InDoubt) as caught:
            await http.post_json(server.url, body={})

        assert caught.value.code == "garbled"

    with_server(script, use)


def test_whoever_gives_up_while_waiting_takes_no_connection_with_them():
    async def slowly(caller: Caller):
        while True:
            await caller.request()
            await asyncio.sleep(0.05)
            await caller.say(answer(200))

    async def use(http, server):
        calls = [asyncio.create_task(http.post_json(server.url, body={"n": n})) for n in range(6)]
        while not server.requests:
            await asyncio.sleep(0)
        for call in calls[1:4]:
            call.cancel()
        done = await asyncio.gather(*calls, return_exceptions=True)

        assert [getattr(each, "status", None) for each in done] == [200, None, None, None, 200, 200]
        assert (await http.post_json(server.url, body={})).status == 200
        assert (server.connections, len(server.requests)) == (1, 4)

    with_server(slowly, use, connections=1)


def test_a_turn_that_comes_just_as_its_caller_gives_up_is_passed_on():
    async def use(http, server):
        async def first_then_no_second():
            with pytest.raises(InDoubt):
                await http.post_json(server.url, body={"n": 1}, timeout=0.05)
            # In the same step of the loop in which the second call was given its turn.
            second.cancel()

        first = asyncio.create_task(first_then_no_second())
        await asyncio.sleep(0)
        second = asyncio.create_task(http.post_json(server.url, body={"n": 2}))
        third = asyncio.create_task(http.post_json(server.url, body={"n": 3}, timeout=0.2))
        outcomes = await asyncio.gather(first, second, third, return_exceptions=True)

        assert isinstance(outcomes[1], asyncio.CancelledError)
        # Its request was written, so it had the connection: else it would be NotSent.
        assert isinstance(outcomes[2], InDoubt)
        assert [request.body for request in server.requests] == [b'{"n":1}', b'{"n":3}']

    with_server(hanging, use, connections=1)


def test_a_burst_of_new_connections_asks_for_the_name_once(monkeypatch):
    asked = []

    def getaddrinfo(host, port, *rest, **more):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async def run():
        async with scripted(answering(answer(200))) as server, HttpClient(timeout=5) as http:
            monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
            url = f"http://example.com:{server.port}/"
            await asyncio.gather(*(http.post_json(url, body={"n": n}) for n in range(4)))

            assert server.connections == 4

    asyncio.run(run())  # the loop that asks `socket`
    assert asked == ["example.com"]


def test_a_name_that_leads_nowhere_is_not_asked_for_again_at_once():
    async def run():
        async with HttpClient(timeout=5) as http:
            asked = answer_names_with(fails)
            for _ in range(3):
                with pytest.raises(NotSent):
                    await http.post_json("http://example.com/", body={})
            assert asked == ["example.com"]

    async def fails(host, port):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    asyncio.run(run())


def test_addresses_serve_while_the_name_is_looked_up_again_and_not_much_longer():
    passed = [0.0]

    async def look_up(host, port):
        if passed[0]:
            await asyncio.Event().wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async def run():
        loop = asyncio.get_running_loop()
        honest = loop.time
        loop.time = lambda: honest() + passed[0]
        script = answering(answer(200, b"", "Connection: close"))
        async with scripted(script) as server, HttpClient(timeout=0.2) as http:
            asked = answer_names_with(look_up)
            url = f"http://example.com:{server.port}/"
            for passed[0] in (0.0, connections.NAME_KEPT + 1):
                await http.post_json(url, body={})
            passed[0] += connections.STALE * connections.NAME_KEPT

            with pytest.raises(NotSent):
                await http.post_json(url, body={})

            assert (len(asked), server.connections) == (2, 2)

    asyncio.run(run())


def answer_names_with(look_up):
    """Look names up in the running loop by this; return those that are asked for."""
    asked = []

    async def getaddrinfo(host, port, **rest):
        asked.append(host)
        return await look_up(host, port)

    asyncio.get_running_loop().getaddrinfo = getaddrinfo
    return asked


def test_closing_the_client_leaves_what_is_under_way_in_doubt():
    async def use(http, server):
        call = asyncio.create_task(http.post_json(server.url, body={}))
        while not server.requests:
            await asyncio.sleep(0)
        await http.close()

        with pytest.raises(InDoubt):
            await call
        with pytest.raises(NotSent):
            await http.post_json(server.url, body={})

    with_server(hanging, use)
