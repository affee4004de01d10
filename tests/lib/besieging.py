"""Every hostile target of tests/samples/hostile_targets.txt, tried on the HTTP client, with traps on loopback and a moat.

`python -m tests.lib.besieging [PROTECTION …]` does it in a process of its own, without these protections (see
tests/faults/without.py), and prints what came of it as JSON: for strace, and to see that the traps catch.
"""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import uvloop
import yarl

from clarion.lib.egress import Egress
from clarion.lib.http import HttpClient
from clarion.lib.sending import SendError
from tests.lib.moat import dig

CORPUS = Path(__file__).parents[1] / "samples" / "hostile_targets.txt"
# Seconds for one request: whoever is refused takes none of them, whoever falls into a trap a thousandth.
SOON = 5.0
# Tried at once.
BESIDE = 16
# What the operator opened, so that names of the corpus have something good beside the bad: addresses for documents
# (RFC 5737, RFC 3849), which nobody has.
HARMLESS = ("192.0.2.80", "2001:db8::80")


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


@dataclass
class Siege:
    """What came of it: how many connections the traps got, which addresses the moat kept others from, and how often
    each outcome came, with an example."""

    trapped: int = 0
    strayed: list[str] = field(default_factory=list)
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
    chosen: Sequence[Target], *, loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
) -> Siege:
    """Try these, each as often as it has URLs."""

    async def run() -> Siege:
        siege, beside = Siege(), asyncio.Semaphore(BESIDE)
        # Plain HTTP passes, as the traps speak it.
        egress = Egress(HARMLESS, plain_http=True)
        async with traps(siege) as port, HttpClient(timeout=SOON, egress=egress) as http:
            dig({each.host: each.answers for each in chosen if each.answers}, port, siege.strayed)

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
    if protections:
        import django

        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clarion.settings")
        django.setup()
        from tests.faults import without

        for protection in protections:
            without.switch_off(protection)
    sys.stdout.write(json.dumps(asdict(besiege(list(targets())))))


if __name__ == "__main__":
    main(sys.argv[1:])
