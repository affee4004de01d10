"""Clients that post events over connections they keep, and write every answer down. They outlive whom they call.

A request whose connection broke, or that was told to come again, is sent again with the same ids until it is answered.
What an event says follows from its number, so whoever reads the log can tell whether it was kept as it was sent.
"""

import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgspec

PATH = "/api/v1/events"
# One request in so many is a batch, of so many events.
BATCH_EVERY, BATCH = 50, 20
# Neighbours in the log belong to one tenant, so that a batch has one.
BLOCK = 1_000
# Every so many events one is posted by two clients.
SHARED = 4
# Before the same is sent again, s: the outage is to be watched, not waited out.
REST = 0.05
# Who gets no answer for so long has been forgotten, s. The hub itself gives a database 20.
PATIENCE = 30.0
GOOD = (200, 201)
AGAIN = 503
# What the ledger writes in place of a status.
BROKEN, HANGS = 0, -1
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_SEQ = re.compile(rb"\r\nclarion-seq: *([0-9]+)", re.IGNORECASE)


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be posted, and where. `keys`: a credential for each tenant."""

    events: int
    clients: int
    ports: tuple[int, ...]
    keys: tuple[str, ...]
    overlapping: bool = False
    seed: int = 0
    # Somebody asks for pages meanwhile.
    visited: bool = False


class Answer(NamedTuple):
    """A line of the ledger: when it came (time.monotonic), after how long, and to what. No numbers: a visitor's."""

    at: float
    seconds: float
    status: int
    seq: int
    flaw: str
    numbers: list[int]

    @property
    def is_good(self) -> bool:
        return self.status in GOOD and bool(self.numbers)


def event(number: int) -> dict[str, Any]:
    """The event of this number, as it is posted and has to be kept."""
    keys = {"customer_id": f"c-{number % 1_000}", "price": number % 9_999, "note": "Ab" * (number % 40)}
    return {
        "id": f"e-{number}",
        "event_type": "PRODUCT",
        "entity_name": "product",
        "entity_id": f"p-{number % 5_000}",
        "event_source": "APPLICATION",
        "event_payload": {"operation": "UPDATE", "entity_id": number, "key_attributes": keys},
    }


def tenant_of(number: int, tenants: int) -> int:
    """Which tenant the event of this number is of."""
    return number // BLOCK % tenants


def read_ledger(path: Path) -> Iterator[Answer]:
    """Return what was answered, in its order. A last line that is not whole yet is left out."""
    if not path.exists():
        return
    with path.open() as ledger:
        for line in ledger:
            if line.endswith("\n"):
                at, seconds, status, seq, flaw, numbers = line[:-1].split("\t")
                listed = [int(number) for number in numbers.split(",") if number]
                yield Answer(float(at), float(seconds), int(status), int(seq), flaw, listed)


def post_all(orders: Orders, ledger: Path) -> None:
    """Post everything and return when all of it is acknowledged, or was answered with what may not be."""
    file = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    over = threading.Event()
    threads = [threading.Thread(target=Poster(orders, n, file).post) for n in range(orders.clients)]
    visitor = threading.Thread(target=Poster(orders, 0, file).visit, args=(over,))
    for thread in threads:
        thread.start()
    if orders.visited:
        visitor.start()
    for thread in threads:
        thread.join()
    over.set()
    if orders.visited:
        visitor.join()


class Poster:
    """One client, with one connection at a time."""

    def __init__(self, orders: Orders, number: int, ledger: int) -> None:
        self._orders = orders
        self._number = number
        self._ledger = ledger
        self._turn = number
        self._socket: socket.socket | None = None
        self._rng = Random(f"{orders.seed} {number}")

    def post(self) -> None:
        """Post this client's share."""
        for numbers in self._requests():
            request = self._request(numbers)
            while not self._is_settled(request, numbers):
                time.sleep(REST)

    def visit(self, over: threading.Event) -> None:
        """Ask for the last event, ten times a second, until everything is posted."""
        request = self._head("GET", f"{PATH}?limit=1", self._orders.keys[0])
        while not over.wait(0.1):
            self._is_settled(request, [])

    def _requests(self) -> Iterator[list[int]]:
        """This client's numbers, one for each request, or a batch of one tenant's."""
        orders, kept, size = self._orders, list[int](), 1
        neighbour = (self._number - 1) % orders.clients
        for number in range(orders.events):
            is_shared = orders.overlapping and number // orders.clients % SHARED == 0
            if number % orders.clients != self._number and not (
                is_shared and number % orders.clients == neighbour
            ):
                continue
            if kept and (len(kept) >= size or number // BLOCK != kept[0] // BLOCK):
                yield kept
                kept, size = [], BATCH if self._rng.randrange(BATCH_EVERY) == 0 else 1
            kept.append(number)
        if kept:
            yield kept

    def _request(self, numbers: list[int]) -> bytes:
        things = [event(number) for number in numbers]
        body = msgspec.json.encode(things if len(things) > 1 else things[0])
        key = self._orders.keys[tenant_of(numbers[0], len(self._orders.keys))]
        more = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nX-Request-Id: {name_of(numbers)}\r\n"
        return self._head("POST", PATH, key, more) + body

    @staticmethod
    def _head(method: str, path: str, key: str, more: str = "") -> bytes:
        return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n{more}\r\n".encode()

    def _is_settled(self, request: bytes, numbers: list[int]) -> bool:
        """Send it once, write the answer down, and say whether it is the last word."""
        began = time.monotonic()
        head = body = b""
        try:
            head, body = self._exchange(request)
            status = int(head[9:12])
        except TimeoutError:
            status = HANGS
        except (OSError, ValueError):
            status = BROKEN
        if status in (BROKEN, HANGS):
            self._hang_up()
        found = _SEQ.search(head)
        seq = int(found[1]) if found else 0
        now = time.monotonic()
        flaw = flaw_of(status, head, body, numbers)
        listed = ",".join(map(str, numbers))
        line = f"{now:.4f}\t{now - began:.4f}\t{status}\t{seq}\t{flaw}\t{listed}\n"
        os.write(self._ledger, line.encode())
        return not numbers or status not in (AGAIN, BROKEN, HANGS)

    def _exchange(self, request: bytes) -> tuple[bytes, bytes]:
        if self._socket is None:
            # The next of the web processes: what one of them was told, another has to know.
            self._turn += 1
            port = self._orders.ports[self._turn % len(self._orders.ports)]
            self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(request)
        data = b""
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._more()
        found = _LENGTH.search(data[:end])
        whole = end + 4 + int(found[1] if found else 0)
        while len(data) < whole:
            data += self._more()
        if b"\r\nconnection: close" in data[:end].lower():
            self._hang_up()
        return data[:end], data[end + 4 :]

    def _more(self) -> bytes:
        assert self._socket is not None
        piece = self._socket.recv(65_536)
        if not piece:
            raise ConnectionResetError
        return piece

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def name_of(numbers: list[int]) -> str:
    """The id of the request with these events, by which a trace of the server finds its answer."""
    return "events:" + "+".join(map(str, numbers))


def flaw_of(status: int, head: bytes, body: bytes, numbers: list[int]) -> str:
    """What is wrong with an answer that may be given; empty: nothing."""
    if status == AGAIN and b"\r\nretry-after:" not in head.lower():
        return "503 without Retry-After"
    if status in GOOD and len(numbers) > 1:
        tally = msgspec.json.decode(body)
        if tally["errors"] or tally["accepted"] + tally["duplicates"] != len(numbers):
            return f"a batch of {len(numbers)} was answered {body[:200].decode()}".replace("\t", " ")
    return ""
