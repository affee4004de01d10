"""The one HTTP client: POST to others, at speed, knowing what a failure proves.

Kept-alive connections of our own (`connections`, `exchanges`): a library's session cannot tell whether a byte had left, and
takes most of a message's time. So no redirect, cookie, proxy, unpacking or second try.
"""

import asyncio
import functools
import re
import socket
import ssl
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import msgspec
import yarl

from clarion.lib.answers import Answer, garbled, raise_for_status, read_json
from clarion.lib.connections import Origin, Pool
from clarion.lib.egress import Denied, Egress
from clarion.lib.exchanges import Garbled
from clarion.lib.sending import InDoubt, Misconfigured, NotSent, Refused, SendError

__all__ = ["Answer", "HttpClient", "garbled", "raise_for_status", "read_json"]

# Seconds. TCP and TLS across the world take under one; a connection not there after five is not coming.
CONNECT_TIMEOUT = 5.0
# Seconds, for all of it. Providers answer within one; more than ten keeps a slot from others for too long.
WHOLE_TIMEOUT = 10.0
# Connections at once: one for each message that the outbox may have in flight.
CONNECTIONS = 256
# Origins remembered; some 2 kB each. More different hosts than that in a row are looked at anew.
ORIGINS = 1024

# Origin and path as they go out. No user before the host, nothing unprintable, no fragment.
URL = re.compile(r"(https?://[^\x00-\x20\x7f/?#@\\]+)(/[!\"$-~]*)?")
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2
OWN_HEADERS = frozenset(
    {"accept-encoding", "connection", "content-length", "content-type", "expect", "host", "te"}
    | {"trailer", "transfer-encoding", "upgrade"}
)


# Among the arguments of a CancelledError: the call was cancelled before the first byte of its request was written.
UNWRITTEN = "unwritten"


class HttpClient:
    """Sends POST requests over kept-alive connections; open it inside the event loop that uses it.

    Each call gives an Answer, whatever its status, or raises one of the five send errors:
    NotSent while nothing was written yet, InDoubt from the first byte on. Where strangers name the addresses, an `egress`
    says which may be reached; others end in Refused with the code `egress`. Without one every address may be.
    """

    def __init__(
        self,
        *,
        connections: int = CONNECTIONS,
        timeout: float = WHOLE_TIMEOUT,
        connect_timeout: float = CONNECT_TIMEOUT,
        egress: Egress | None = None,
    ) -> None:
        self._connections = connections
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._egress = egress
        self._pool: Pool | None = None
        self._origins: dict[str, _Addressee] = {}
        self._encode = msgspec.json.Encoder().encode

    async def open(self) -> None:
        """Get ready to send."""
        self._pool = Pool(most=self._connections, connect_timeout=self._connect_timeout, egress=self._egress)

    async def close(self) -> None:
        """Close every connection; what is under way ends in doubt."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None
        self._origins.clear()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def post_json(
        self,
        url: str,
        *,
        body: Mapping[str, object],
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        secrets: tuple[str, ...] = (),
    ) -> Answer:
        """Send `body` as JSON; otherwise as `post`."""
        try:
            content = self._encode(body)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise Refused(f"cannot be written as JSON: {type(error).__name__}", code="json") from None
        return await self.post(url, content, headers=headers, timeout=timeout, secrets=secrets)

    async def post(
        self,
        url: str,
        content: bytes,
        *,
        kind: str = "application/json",
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        secrets: tuple[str, ...] = (),
    ) -> Answer:
        """Send `content` of media type `kind` and return the answer, whatever its status.

        `timeout` is in seconds and covers all of it. `secrets` are masked where the answer repeats them.
        """
        seconds = self._timeout if timeout is None else timeout
        addressee, path = self._locate(url)
        request = addressee.head(path, kind, len(content), headers) + content
        began = time.monotonic()
        try:
            pool = self._opened()
            connection = pool.kept(addressee.origin) or await pool.made(addressee.origin, seconds)
        except asyncio.CancelledError as error:
            # Whoever cancelled may want to know that nothing has left.
            error.args = (*error.args, UNWRITTEN)
            raise
        except Exception as error:
            raise _unsent(error) from None
        try:
            reply = await connection.ask(request, seconds - (time.monotonic() - began))
        except Exception as error:
            raise _lost(error, seconds) from None
        except asyncio.CancelledError:
            connection.abort()
            raise
        finally:
            pool.give(addressee.origin, connection)
        return Answer(reply.status, reply.body, reply.headers, secrets)

    def _opened(self) -> Pool:
        if self._pool is None:
            raise ConnectionError(None, "the HTTP client is not open")
        return self._pool

    def _locate(self, url: str) -> "tuple[_Addressee, str]":
        found = URL.fullmatch(url) or URL.fullmatch(_requoted(url))
        if found is None:
            raise Misconfigured("not an http or https address", code="url")
        name, path = found.groups()
        origin = self._origins.get(name)
        if origin is None:
            origin = _Addressee(name)
            if self._egress is not None and (objection := self._egress.objection(name)):
                raise Refused(f"the address is refused: {objection}", code="egress")
            if len(self._origins) >= ORIGINS:
                self._origins.clear()
            self._origins[name] = origin
        return origin, path or "/"


class _Addressee:
    """An origin and the lines of a request's head that are the same for all of its requests."""

    def __init__(self, name: str) -> None:
        try:
            self.origin = Origin(name)
        except ValueError:
            raise Misconfigured("not an http or https address", code="url") from None
        # identity: a packed answer could be a bomb, and unpacking is time we need not spend.
        self._lines = (
            f"Host: {self.origin.host_header}\r\nUser-Agent: Clarion\r\n"
            "Accept: */*\r\nAccept-Encoding: identity\r\n"
        )

    def head(self, path: str, kind: str, length: int, headers: Mapping[str, str] | None) -> bytes:
        lines = f"POST {path} HTTP/1.1\r\n{self._lines}Content-Type: {kind}\r\nContent-Length: {length}\r\n"
        for name, value in (headers or {}).items():
            if not (_is_ours_to_send(name) and value.isascii() and value.isprintable()):
                raise Misconfigured("a header that cannot be sent", code="header")
            lines += f"{name}: {value}\r\n"
        return f"{lines}\r\n".encode("ascii")


def _unsent(error: Exception) -> SendError:
    """Return what comes of having no connection, for people. No address in it: a webhook's address may be a secret."""
    match error:
        case Denied():
            return Refused(f"the address is refused: {error.strerror}", code="egress")
        case TimeoutError():
            detail, code = "no connection in time", "timeout"
        case socket.gaierror():
            detail, code = f"the name was not resolved: {error.strerror}", "dns"
        case ssl.SSLCertVerificationError():
            detail, code = f"the certificate was not accepted: {error.verify_message or 'not valid'}", "tls"
        case ssl.SSLError():
            detail, code = f"no TLS connection: {error.reason}", "tls"
        case OSError():
            detail, code = f"no connection: {error.strerror}", "connect"
        case _:
            detail, code = f"no connection: {type(error).__name__}", "connect"
    return NotSent(detail, code=code)


def _lost(error: Exception, seconds: float) -> InDoubt:
    match error:
        case TimeoutError():
            detail, code = f"no whole answer within {seconds:g} s", "timeout"
        case OSError():
            detail, code = "the connection ended before the whole answer was there", "reset"
        case Garbled():
            detail, code = f"the answer is not HTTP: {error}", "garbled"
        case _:
            detail, code = f"the answer could not be read: {type(error).__name__}", "garbled"
    return InDoubt(detail, code=code)


def _requoted(url: str) -> str:
    """Return the URL with what needs it percent-encoded, without its fragment; empty when it is none."""
    if not url.isprintable():
        return ""  # a line break or NUL is an attack, not a spelling
    try:
        return str(yarl.URL(url).with_fragment(None))
    except ValueError:
        return ""


# 256: the names come from our code and from webhook settings, a few dozen in all.
@functools.lru_cache(maxsize=256)
def _is_ours_to_send(name: str) -> bool:
    return HEADER_NAME.fullmatch(name) is not None and name.lower() not in OWN_HEADERS
