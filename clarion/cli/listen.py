"""`clarion listen`: a hub's events, as they come, at a URL of this machine: for whoever writes a receiver.

Each event is posted once, in the order of the log, as the hub gives it; what the receiver answers changes nothing.
"""

import time
from collections.abc import Iterator
from typing import Annotated

import msgspec
import typer
from django.conf import settings

from clarion.cli import calls
from clarion.cli.output import FAILED, now, out, stop
from clarion.cli.run import address_of
from clarion.lib.signatures import key_of, new_secret, signed

# Seconds between two looks at the log when nothing new is there: at once for a person, nothing for a hub.
PAUSE = 0.5
# Seconds until a hub that does not answer is asked again: it starts within a few.
AWAY_PAUSE = 1.0
# Events on a page: the most that the hub gives.
PAGE = 100
# Characters of a stranger's id in a line of the terminal.
SHOWN = 60


class Entry(msgspec.Struct):
    """An event in the log, as the hub gives it."""

    seq: int
    event: msgspec.Raw


class Named(msgspec.Struct):
    """What of an event a line shows."""

    event_type: str = ""
    id: str | int | None = None


class Page(msgspec.Struct):
    data: list[Entry]


def listen(
    forward_to: Annotated[
        str, typer.Option(help="Where each event is posted to, as http://localhost:3000/hook.")
    ],
    tenant: Annotated[str, calls.TENANT] = "",
    url: Annotated[str, calls.HUB_URL] = address_of(settings.CLARION.host, settings.CLARION.port),
    key: Annotated[str, calls.KEY] = "",
    since: Annotated[
        int | None,
        typer.Option(
            min=0, help="Begin behind this number of the log; without it, with what comes from now on."
        ),
    ] = None,
) -> None:
    """Post a hub's events to a URL of this machine, signed like webhooks, until Ctrl-C."""
    calls.checked(forward_to)
    hub = calls.hub_of(url, tenant, key)
    seq = _end_of_log(hub) if since is None else since
    secret = new_secret()
    signs = key_of(secret)
    out.print(f"Signed with {secret} (of this run only).", markup=False)
    out.print(f"Events behind number {seq} go to {forward_to}. Ctrl-C ends it.", markup=False)
    count = 0
    try:
        for entry in _events(hub, seq):
            _forward(entry, forward_to, signs)
            count += 1
    except KeyboardInterrupt:
        out.print(f"{count} events were forwarded.")


def _end_of_log(hub: calls.Hub) -> int:
    try:
        reply = hub.get("/api/v1/events?limit=1")
    except calls.Away as away:
        stop(FAILED, f"No hub answers at {hub.url}: {away}. make run starts one; --url names another.")
    calls.refused(reply)
    entries = _page(reply)
    return entries[0].seq if entries else 0


def _events(hub: calls.Hub, seq: int) -> Iterator[Entry]:
    """Give the log behind this number, and what comes after it, without an end."""
    is_away = False
    while True:
        try:
            reply = hub.get(f"/api/v1/events?after_seq={seq}&limit={PAGE}")
        except calls.Away:
            reply = None
        if reply is None or reply.status == 503:
            if not is_away:
                out.print(f"{_time()}  the hub does not answer; it is asked again", markup=False)
            is_away = True
            time.sleep(AWAY_PAUSE)
            continue
        is_away = False
        if reply.status == 410:
            seq = int(reply.headers["Clarion-First-Seq"]) - 1
            out.print(f"{_time()}  the log begins with number {seq + 1}", markup=False)
            continue
        calls.refused(reply)
        entries = _page(reply)
        for entry in entries:
            yield entry
            seq = entry.seq
        if not entries:
            time.sleep(PAUSE)


def _forward(entry: Entry, url: str, signs: bytes) -> None:
    body = bytes(entry.event)
    # The number and not the event's id, which may hold a dot.
    headers = signed([signs], message_id=f"seq_{entry.seq}", moment=int(now().timestamp()), body=body)
    headers |= {"Content-Type": "application/json", "Clarion-Seq": str(entry.seq), "User-Agent": "Clarion"}
    began = time.monotonic()
    try:
        came = f"{calls.ask('POST', url, body, headers).status} in {(time.monotonic() - began) * 1000:.0f} ms"
    except calls.Away as away:
        came = f"no answer: {away}"
    named = msgspec.json.decode(body, type=Named)
    kind, event_id = (_printable(str(each)) for each in (named.event_type, named.id))
    out.print(f"{_time()}  {entry.seq}  {kind}  {event_id}  → {came}", markup=False)


def _page(reply: calls.Reply) -> list[Entry]:
    try:
        return msgspec.json.decode(reply.body, type=Page).data
    except msgspec.DecodeError:
        stop(FAILED, "What answers there is no hub of ours.")


def _printable(text: str) -> str:
    """Return what a stranger wrote without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:SHOWN])


def _time() -> str:
    return now().astimezone().strftime("%H:%M:%S")
