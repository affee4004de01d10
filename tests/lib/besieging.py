"""Every hostile target of tests/samples/hostile_targets.txt, tried on the HTTP client, with traps on loopback.

`python -m tests.lib.besieging [PROTECTION …]` does it in a process of its own, without these protections (see
tests/faults/without.py), and prints what came of it as JSON: for strace, and to see that the traps catch.
"""

import asyncio
import contextlib
import ipaddress
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import uvloop
import yarl

from clarion.lib.egress import Egress
from clarion.lib.http import HttpClient
from clarion.lib.sending import SendError

CORPUS = Path(__file__).parents[1] / "samples" / "hostile_targets.txt"
# Seconds for one request: whoever is refused takes none of them, whoever falls into a trap a thousandth.
SOON = 5.0
# Tried at once.
BESIDE = 16

Answers = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Target:
    """A host with what a name server would say of it, or (`is_whole`) an address as it stands, but for `{port}`."""

    text: str
    answers: tuple[str, ...] = ()
    is_whole: bool = False

    def urls(self, port: int) -> list[str]:
        if self.is_whole:
            return [self.text.replace("{port}", str(port))]
        return [f"{scheme}://{self.text}:{port}/hook" for scheme in ("http", "https")]

    @property
    def host(self) -> str:
        """The host as the client asks for it."""
        return yarl.URL(f"http://{self.text}/").raw_host or ""

    def leads_home(self) -> bool:
        """Whether it ends on this machine and nowhere else, so that it can be tried without protection."""
        if self.is_whole:
            return False
        try:
            found = self.answers or [str(each[4][0]) for each in socket.getaddrinfo(self.host, 1)]
            read = [ipaddress.ip_address(each) for each in found]
        except (OSError, ValueError):
            return False
        plain = [getattr(each, "ipv4_mapped", None) or each for each in read]
        return all(each.is_loopback or each.is_unspecified for each in plain)


@dataclass
class Siege:
    """What came of it: how many connections the traps got, and how often each outcome came, with an example."""

    trapped: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)

    def note(self, outcome: str, url: str) -> None:
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        self.examples.setdefault(outcome, url)


def targets() -> Iterator[Target]:
    for line in CORPUS.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        name, is_told, answers = line.partition(" = ")
        if "/" in line or "{port}" in line:
            yield Target(line, is_whole=True)
        else:
            yield Target(name, tuple(answers.split(", ")) if is_told else ())


def besiege(
    chosen: Sequence[Target],
    *,
    egress: Egress | None = None,
    loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop,
) -> Siege:
    """Try these, each as often as it has URLs. Without an `egress` one that lets plain HTTP pass, as the traps speak it."""

    async def run() -> Siege:
        siege, beside = Siege(), asyncio.Semaphore(BESIDE)
        tell(chosen)
        async with (
            traps(siege) as port,
            HttpClient(timeout=SOON, egress=egress or Egress(plain_http=True)) as http,
        ):

            async def attempt(url: str) -> None:
                async with beside:
                    try:
                        siege.note(f"HTTP {(await http.post_json(url, body={})).status}", url)
                    except SendError as error:
                        siege.note(error.code, url)

            await asyncio.gather(*(attempt(url) for target in chosen for url in target.urls(port)))
        return siege

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(run())


def tell(chosen: Sequence[Target]) -> None:
    """Answer for the names of these in the place of a name server; whatever else is asked the system answers."""
    running = asyncio.get_running_loop()
    honest, told = running.getaddrinfo, {each.host: each.answers for each in chosen if each.answers}

    async def getaddrinfo(host: str, port: int, **rest: Any) -> Answers:
        if host not in told:
            return list(await honest(host, port, **rest))
        return [answer(each, port) for each in told[host]]

    running.getaddrinfo = getaddrinfo  # type: ignore[method-assign, assignment]


def answer(address: str, port: int) -> tuple[Any, ...]:
    """Return an address in the form that getaddrinfo has for it."""
    if ":" in address:
        return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port)


@contextlib.asynccontextmanager
async def traps(siege: Siege) -> AsyncIterator[int]:
    """Listen on loopback, on both of its addresses where it has both, and give the port."""

    async def spring(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        siege.trapped += 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    first = await asyncio.start_server(spring, "127.0.0.1", 0)
    port = first.sockets[0].getsockname()[1]
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(first)
        with contextlib.suppress(OSError):  # a machine without IPv6
            await stack.enter_async_context(await asyncio.start_server(spring, "::1", port))
        yield port


def main(protections: Sequence[str]) -> None:
    chosen = list(targets())
    if protections:
        import django

        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clarion.settings")
        django.setup()
        from tests.faults import without

        for protection in protections:
            without.switch_off(protection)
        # Nothing goes to others' networks, whatever is switched off.
        chosen = [target for target in chosen if target.leads_home()]
    sys.stdout.write(json.dumps(asdict(besiege(chosen))))


if __name__ == "__main__":
    main(sys.argv[1:])
