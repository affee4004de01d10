"""The guard on the way out: no address that strangers name leads to this machine, its neighbours or the cloud's metadata."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address
from itertools import chain, repeat
from typing import Any

import pytest
import uvloop

from clarion.lib import connections
from clarion.lib.egress import CLOUDS, Egress
from clarion.lib.http import HttpClient
from clarion.lib.sending import NotSent, Refused
from tests.lib.moat import answer
from tests.sandbox.scripted import Scripted, answering, scripted
from tests.sandbox.scripted import answer as http_answer

# Seconds; on loopback a request takes thousandths.
SOON = 5.0
# Loopback, too, and not the address that traps have: it stands for the internet where something has to be reached.
GOOD = "127.0.0.2"
OPEN = Egress([GOOD], plain_http=True)

Loop = Callable[[], asyncio.AbstractEventLoop]
# The worker's is the first.
LOOPS = [uvloop.new_event_loop, asyncio.new_event_loop]
on_both_loops = pytest.mark.parametrize("loop", LOOPS, ids=["uvloop", "asyncio"])


@on_both_loops
def test_a_name_that_leads_elsewhere_a_moment_later_leads_nowhere(
    monkeypatch: pytest.MonkeyPatch, loop: Loop
) -> None:
    monkeypatch.setattr(connections, "NAME_KEPT", 0.0)

    async def run() -> None:
        asked = name_server(chain([[GOOD]], repeat(["127.0.0.1"])))
        async with good_and_trap() as (good, trap), HttpClient(timeout=SOON, egress=OPEN) as http:
            url = f"http://example.com:{good.port}/"
            assert (await http.post_json(url, body={})).status == 200
            # One look-up for judging and connecting: there is no second one to answer otherwise.
            assert (asked, good.connections) == (["example.com"], 1)

            with pytest.raises(Refused) as caught:
                await http.post_json(url, body={})

        assert caught.value.code == "egress"
        assert asked == ["example.com"] * 2
        assert trap.connections == 0

    run_on(loop, run())


@on_both_loops
def test_what_was_judged_is_what_is_connected_while_the_look_up_is_kept(loop: Loop) -> None:
    async def run() -> None:
        asked = name_server(chain([[GOOD]], repeat(["127.0.0.1"])))
        async with good_and_trap() as (good, trap), HttpClient(timeout=SOON, egress=OPEN) as http:
            url = f"http://example.com:{good.port}/"
            await asyncio.gather(*(http.post_json(url, body={}) for _ in range(8)))

            assert (good.connections, trap.connections, len(asked)) == (8, 0, 1)

    run_on(loop, run())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_into_a_trap_is_an_answer(status: int) -> None:
    async def run() -> None:
        async with good_and_trap() as (_, trap):
            moved = http_answer(status, b"", f"Location: {trap.url}/admin")
            async with (
                scripted(answering(moved), host=GOOD) as server,
                HttpClient(timeout=SOON, egress=OPEN) as http,
            ):
                reply = await http.post_json(f"http://{GOOD}:{server.port}/", body={})

        assert (reply.status, trap.connections) == (status, 0)

    asyncio.run(run())


def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with good_and_trap() as (good, trap), HttpClient(timeout=SOON, egress=OPEN) as http:
            for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
                monkeypatch.setenv(name, trap.url)
            assert (await http.post_json(f"http://{GOOD}:{good.port}/", body={})).status == 200
            with pytest.raises(NotSent):  # it speaks no TLS
                await http.post_json(f"https://{GOOD}:{good.port}/", body={})

        assert trap.connections == 0

    asyncio.run(run())


def test_the_reason_names_no_address() -> None:
    async def run() -> None:
        name_server(repeat(["127.0.0.1"]))
        async with HttpClient(timeout=SOON, egress=Egress()) as http:
            with pytest.raises(Refused) as caught:
                await http.post_json("https://secret.example.com/hook-of-mine", body={})

        assert caught.value.detail == "the address is refused: it does not lead to the public internet"

    asyncio.run(run())


def test_without_a_guard_the_operators_own_gateways_reach_every_address() -> None:
    async def run() -> None:
        async with scripted(answering(http_answer(200))) as server, HttpClient(timeout=SOON) as http:
            assert (await http.post_json(server.url, body={})).status == 200

    asyncio.run(run())


@pytest.mark.parametrize(
    ("allowed", "url"),
    [
        ([], "https://example.com/hook"),
        ([], "https://example.com.:8443/hook?a=b@c#d"),
        ([], "https://пример.example/"),
        ([], "https://my_receiver.example.com/"),
        ([], "https://1.1.1.1/"),
        ([], "https://[2606:4700:4700::1111]/"),
        ([], "https://[::ffff:1.1.1.1]/"),
        ([], "https://[64:ff9b::101:101]/"),
        (["127.0.0.0/8"], "http://127.0.0.1:8010/"),
        (["127.0.0.0/8"], "http://localhost:8010/"),
        (["localhost"], "http://localhost:8010/"),
        (["::1"], "http://[::1]:8010/"),
        (["[::1]"], "http://[::1]:8010/"),
        (["10.1.0.0/16"], "http://10.1.255.255/"),
        (["Receiver.LAN."], "http://receiver.lan/"),
        (["169.254.169.254"], "http://169.254.169.254/latest"),
    ],
)
def test_nothing_is_said_against_the_internet_and_what_the_operator_opened(
    allowed: list[str], url: str
) -> None:
    assert Egress(allowed).objection(url) is None


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://example.com/", "https://"),
        ("example.com", "no http or https address"),
        ("ftp://example.com/", "no http or https address"),
        ("https://user:hunter2@example.com/", "a user or a password"),
        ("https://example.com:25/", "port 25 is not one for HTTP"),
        ("https://2130706433/", "neither a name nor an IP address"),
        ("https://192.168.1.1/", "does not lead to the public internet"),
    ],
)
def test_an_objection_names_what_is_wrong(url: str, sentence: str) -> None:
    said = Egress().objection(url)

    assert said is not None
    assert sentence in said
    assert "hunter2" not in said


def test_a_name_that_is_opened_may_lead_to_private_addresses_and_no_other_name_may() -> None:
    egress = Egress(["receiver.lan"])

    assert egress.refusal("10.1.2.3", host="receiver.lan") is None
    assert egress.refusal("fd00::7", host="RECEIVER.lan.") is None
    assert egress.refusal("10.1.2.3", host="other.lan")
    assert egress.refusal("10.1.2.3")
    assert egress.refusal("224.0.0.1", host="receiver.lan")


@pytest.mark.parametrize("address", CLOUDS)
def test_a_clouds_metadata_is_open_only_where_its_address_is_named(address: str) -> None:
    wide = Egress(["receiver.lan", "0.0.0.0/0", "::/0"])

    assert wide.refusal(address, host="receiver.lan")
    assert Egress([address]).refusal(address) is None


@pytest.mark.parametrize(
    "entry", ["", "10.1.0.1/16", "10.1", "*.example.com", "https://example.com", "a b", "127.1"]
)
def test_what_is_no_network_and_no_name_cannot_be_opened(entry: str) -> None:
    with pytest.raises(ValueError, match="neither a network"):
        Egress([entry])


@asynccontextmanager
async def good_and_trap() -> AsyncIterator[tuple[Scripted, Scripted]]:
    """Listen on the address that stands for the internet, and at the same port on the one of traps."""
    script = answering(http_answer(200, b"", "Connection: close"))
    async with scripted(script, host=GOOD) as good, scripted(script, port=good.port) as trap:
        yield good, trap


def name_server(answers: Iterator[list[str]]) -> list[str]:
    """Answer each look-up of the running loop with the next of these; returns the names that are asked for.

    What is an address already (uvloop asks for it once more when it connects) is no name: the loop reads it itself.
    """
    asked: list[str] = []
    running = asyncio.get_running_loop()
    honest = running.getaddrinfo

    async def getaddrinfo(host: str, port: int, **rest: Any) -> list[Any]:
        with suppress(ValueError):
            return list(await honest(str(ip_address(host)), port, **rest))
        asked.append(host)
        return [answer(each, port) for each in next(answers)]

    running.getaddrinfo = getaddrinfo  # type: ignore[method-assign, assignment]
    return asked


def run_on(loop: Loop, run: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run)
