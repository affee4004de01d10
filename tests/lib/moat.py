"""An event loop from which nothing gets further than this machine's own traps, whatever the program under test does.

Without it a guard that is broken, or switched off to see that it is missed, would let a hostile corpus be posted to what
it names.
"""

import asyncio
import socket
from collections.abc import Mapping, Sequence
from ipaddress import IPv6Address, ip_address
from typing import Any

Answers = list[tuple[Any, ...]]


def dig(told: Mapping[str, Sequence[str]], port: int, strayed: list[str]) -> None:
    """Surround the running loop: names lead to where `told` says, connections to `port` on loopback alone.

    Whatever other address somebody wants to connect to is written into `strayed`, and refused as by a machine that is off.
    """
    running = asyncio.get_running_loop()
    look_up, connect, create = running.getaddrinfo, running.sock_connect, running.create_connection

    async def getaddrinfo(host: str, at: int, **rest: Any) -> Answers:
        if host in told:
            return [answer(each, at) for each in told[host]]
        if host.rstrip(".").endswith("localhost"):
            return [answer("127.0.0.1", at)]
        # Numbers in any spelling are read on this machine; for a name somebody would be asked.
        return list(await look_up(host, at, **{**rest, "flags": socket.AI_NUMERICHOST}))

    async def sock_connect(sock: socket.socket, address: Any) -> None:
        if address[1] != port or not is_home(address[0]):
            strayed.append(address[0])
            raise ConnectionRefusedError(None, "this would have left the machine")
        await connect(sock, address)

    async def create_connection(*given: Any, **named: Any) -> Any:
        if named.get("sock") is None:
            raise AssertionError("the loop itself connects: nothing holds it back")
        return await create(*given, **named)

    running.getaddrinfo = getaddrinfo  # type: ignore[method-assign, assignment]
    running.sock_connect = sock_connect  # type: ignore[method-assign, assignment]
    running.create_connection = create_connection  # type: ignore[method-assign, assignment]


def is_home(address: str) -> bool:
    """Whether a connection there ends on this machine; Linux takes the unspecified address for loopback."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address):
        found = found.ipv4_mapped or found
    return found.is_loopback or found.is_unspecified


def answer(address: str, port: int) -> tuple[Any, ...]:
    """Return an address in the form that getaddrinfo has for it."""
    if ":" in address:
        return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port)
