"""The HTTP client: what it puts on the wire, and every form of a whole answer that it reads."""

import asyncio
import functools
import gzip

import pytest

from clarion.lib.http import HttpClient
from clarion.lib.sending import Misconfigured, Refused
from tests.sandbox.scripted import against, answer, answering, scripted

# Seconds a request may take; on loopback it takes thousandths.
with_server = functools.partial(against, timeout=5)

BODY = {"id": 7, "phone": 70000001234, "text": "Здравствуйте"}


def test_a_request_arrives_as_it_was_given():
    async def use(http, server):
        reply = await http.post_json(
            f"{server.url}/v1/send/7?a=b", body=BODY, headers={"Authorization": "Bearer t"}
        )

        (request,) = server.requests
        assert (request.method, request.path) == ("POST", "/v1/send/7?a=b")
        assert request.body.decode() == '{"id":7,"phone":70000001234,"text":"Здравствуйте"}'
        assert request.headers == {
            "host": f"127.0.0.1:{server.port}",
            "user-agent": "Clarion",
            "accept": "*/*",
            "accept-encoding": "identity",
            "content-type": "application/json",
            "content-length": str(len(request.body)),
            "authorization": "Bearer t",
        }
        assert (reply.status, reply.body, reply.headers["x-request-ID"]) == (202, b"fine", "r1")

    with_server(answering(answer(202, b"fine", "X-Request-Id: r1")), use)


def test_one_connection_carries_many_requests():
    async def use(http, server):
        replies = [(await http.post_json(server.url, body={"n": n})).body for n in range(3)]

        assert replies == [b"a", b"b", b"c"]
        assert server.connections == 1

    with_server(answering(answer(200, b"a"), answer(200, b"b"), answer(200, b"c")), use)


def test_no_more_connections_are_opened_than_allowed():
    async def use(http, server):
        await asyncio.gather(*(http.post_json(server.url, body={"n": n}) for n in range(20)))

        assert server.connections == 2
        assert len(server.requests) == 20

    with_server(answering(*[answer(200)] * 20), use, connections=2)


@pytest.mark.parametrize(
    ("url", "path"),
    [("", "/"), ("?q=1", "/?q=1"), ("/a%20b", "/a%20b"), ("/a b/ü", "/a%20b/%C3%BC"), ("/a#part", "/a")],
)
def test_an_address_is_sent_in_its_wire_form(url, path):
    async def use(http, server):
        await http.post_json(server.url + url, body=BODY)

        assert server.requests[0].path == path

    with_server(answering(answer(200)), use)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "ftp://example.com/",
        "http://",
        "http:///x",
        "http://u:p@127.0.0.1:1/",
        "http://a\x00b/",
        "http://127.0.0.1:99999/",
        "http://[::1/",
        "http://127.0.0.1\r\nA: b/",
        "http://127.0.0.1:1/a\r\nA: b",
    ],
)
def test_an_address_that_is_none_is_our_mistake(url):
    async def run():
        async with HttpClient(timeout=5) as http:
            with pytest.raises(Misconfigured):
                await http.post_json(url, body=BODY)

    asyncio.run(run())


@pytest.mark.parametrize(
    "headers",
    [
        {"A": "b\r\nX-Evil: 1"},
        {"A\r\nX-Evil": "1"},
        {"A": "\x00"},
        {"A": "ü"},
        {"": "x"},
        {"Host": "example.com"},
        {"content-length": "1"},
        {"Transfer-Encoding": "chunked"},
    ],
)
def test_a_header_that_would_change_the_request_is_our_mistake(headers):
    async def use(http, server):
        with pytest.raises(Misconfigured):
            await http.post_json(server.url, body=BODY, headers=headers)

        assert server.connections == 0

    with_server(answering(answer(200)), use)


@pytest.mark.parametrize("value", ["\ud800", object(), {("a",): 1}])
def test_what_cannot_be_written_as_json_is_refused_before_anything_is_sent(value):
    async def use(http, server):
        with pytest.raises(Refused):
            await http.post_json(server.url, body={"value": value})

        assert server.connections == 0

    with_server(answering(answer(200)), use)


def test_an_endless_body_is_read_to_64_kB_and_no_further():
    async def endless(caller):
        await caller.request()
        await caller.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000000\r\n\r\n")
        while True:
            await caller.say(b"x" * 65536)

    async def use(http, server):
        for _ in range(2):
            reply = await http.post_json(server.url, body=BODY)
            assert reply.body == b"x" * 65536

        assert server.connections == 2

    with_server(endless, use)


def test_a_packed_body_is_not_unpacked():
    bomb = gzip.compress(b"0" * 10_000_000)

    async def use(http, server):
        reply = await http.post_json(server.url, body=BODY)

        assert reply.body == bomb

    with_server(answering(answer(200, bomb, "Content-Encoding: gzip")), use)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_is_not_followed(status):
    async def run():
        async with scripted(answering(answer(200))) as trap:
            moved = answer(status, b"", f"Location: {trap.url}/admin", "Set-Cookie: a=b")
            async with scripted(answering(moved, answer(200))) as server, HttpClient(timeout=5) as http:
                reply = await http.post_json(server.url, body=BODY)
                await http.post_json(server.url, body=BODY)

        assert reply.status == status
        assert trap.connections == 0
        assert "cookie" not in server.requests[1].headers

    asyncio.run(run())


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer(200, b"ok"),
        b"HTTP/1.0 200 OK\r\n\r\nok",
    ],
)
def test_every_form_of_a_whole_answer_is_read(raw):
    async def use(http, server):
        reply = await http.post_json(server.url, body=BODY)

        assert (reply.status, reply.body) == (200, b"ok")

    with_server(answering(raw), use)


def test_the_environment_sends_nothing_through_a_proxy(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    async def use(http, server):
        assert (await http.post_json(server.url, body=BODY)).status == 200

    with_server(answering(answer(200)), use)
