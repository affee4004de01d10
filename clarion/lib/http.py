"""The one HTTP client: POST to others, at speed, knowing what a failure proves.

aiohttp connects (names, TLS, pool) and parses; its session layer is left out: it cannot tell whether a byte
had left, and takes two thirds of a request's time. So no redirect, cookie, proxy, unpacking or second try.
"""

import asyncio
import functools
import re
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import aiohttp
import msgspec
import yarl
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.streams import StreamReader

from clarion.lib.answers import MAX_BODY, Answer, garbled, raise_for_status, read_json
from clarion.lib.sending import InDoubt, Misconfigured, NotSent, Refused

__all__ = ["Answer", "HttpClient", "garbled", "raise_for_status", "read_json"]

# Seconds. TCP and TLS across the world take under one; a connection not there after five is not coming.
CONNECT_TIMEOUT = 5.0
# Seconds, for all of it. Providers answer within one; more than ten keeps a slot from others for too long.
WHOLE_TIMEOUT = 10.0
# Seconds an idle connection is kept: less than the 5 after which common servers close theirs, because a
# request written just as the other side closes is in doubt.
KEEP_ALIVE = 4.0
# Connections at once: one for each message that the outbox may have in flight.
CONNECTIONS = 256
# Origins remembered; some 2 kB each. More different hosts than that in a row are looked at anew.
ORIGINS = 1024

# Interim answers (1xx) read before the final one; a real server sends one, a flood of them is no answer.
MAX_INTERIM = 8
# Connections thrown away in a row because something came in on them unasked; two would already be odd.
STALE_TRIES = 4

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
    NotSent while nothing was written yet, InDoubt from the first byte on.
    """

    def __init__(
        self,
        *,
        connections: int = CONNECTIONS,
        timeout: float = WHOLE_TIMEOUT,
        connect_timeout: float = CONNECT_TIMEOUT,
    ) -> None:
        self._connections = connections
        self._timeout = timeout
        self._connect_timeout = aiohttp.ClientTimeout(connect=connect_timeout)
        self._connector: aiohttp.TCPConnector | None = None
        self._origins: dict[str, _Origin] = {}
        self._encode = msgspec.json.Encoder().encode

    async def open(self) -> None:
        """Get ready to send."""
        self._connector = aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=KEEP_ALIVE)

    async def close(self) -> None:
        """Close every connection; what is under way ends in doubt."""
        if self._connector is not None:
            await self._connector.close()
            self._connector = None
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
        written = False
        origin, path = self._locate(url)
        request = origin.head(path, kind, len(content), headers) + content
        try:
            async with asyncio.timeout(seconds):
                connection, protocol = await self._connect(origin)
                try:
                    protocol.set_response_params(
                        read_until_eof=True, auto_decompress=False, read_bufsize=MAX_BODY
                    )
                    written = True
                    protocol.transport.write(request)  # type: ignore[union-attr] # `_connect` looked
                    answer = await _read_answer(protocol, secrets)
                except BaseException:
                    connection.close()
                    raise
                connection.release()  # closes it when its state forbids another request
                return answer
        except asyncio.CancelledError as error:
            if not written:
                # Whoever cancelled may want to know that nothing has left.
                error.args = (*error.args, UNWRITTEN)
            raise
        except Exception as error:
            raise (_lost(error, seconds) if written else _not_sent(error)) from None

    async def _connect(self, origin: "_Origin") -> tuple[Connection, ResponseHandler]:
        if self._connector is None:
            raise ConnectionError(None, "the HTTP client is not open")
        for _ in range(STALE_TRIES):
            connection = await self._connector.connect(origin.request, [], self._connect_timeout)
            protocol = connection.protocol
            # An idle connection on which something came in unasked, or ended, would give this request
            # the answer to another one. Nothing was written yet, so taking the next is safe.
            if protocol is not None and protocol.is_connected() and not protocol.should_close:
                return connection, protocol
            connection.close()
        raise ConnectionError(None, "the other side talks before it is asked")

    def _locate(self, url: str) -> "tuple[_Origin, str]":
        found = URL.fullmatch(url) or URL.fullmatch(_requoted(url))
        if found is None:
            raise Misconfigured("not an http or https address", code="url")
        name, path = found.groups()
        origin = self._origins.get(name)
        if origin is None:
            if len(self._origins) >= ORIGINS:
                self._origins.clear()
            origin = self._origins[name] = _Origin(name)
        return origin, path or "/"


class _Origin:
    """One scheme, host and port: what stays the same from request to request."""

    def __init__(self, name: str) -> None:
        try:
            # Only asked for where to connect and how; it is never sent.
            self.request = aiohttp.ClientRequest("POST", yarl.URL(name), loop=asyncio.get_running_loop())
        except ValueError:
            raise Misconfigured("not an http or https address", code="url") from None
        # identity: a packed answer could be a bomb, and unpacking is time we need not spend.
        self._lines = (
            f"Host: {self.request.headers['Host']}\r\nUser-Agent: Clarion\r\n"
            "Accept: */*\r\nAccept-Encoding: identity\r\n"
        )

    def head(self, path: str, kind: str, length: int, headers: Mapping[str, str] | None) -> bytes:
        lines = f"POST {path} HTTP/1.1\r\n{self._lines}Content-Type: {kind}\r\nContent-Length: {length}\r\n"
        for name, value in (headers or {}).items():
            if not (_is_ours_to_send(name) and value.isascii() and value.isprintable()):
                raise Misconfigured("a header that cannot be sent", code="header")
            lines += f"{name}: {value}\r\n"
        return f"{lines}\r\n".encode("ascii")


async def _read_answer(protocol: ResponseHandler, secrets: tuple[str, ...]) -> Answer:
    for _ in range(MAX_INTERIM + 1):
        message, payload = await protocol.read()
        if message.code >= 200 or message.code == 101:
            break
    else:
        raise aiohttp.ClientPayloadError("interim answers only")
    body = payload.read_nowait() if payload.is_eof() else await _read_body(payload)
    return Answer(message.code, body[:MAX_BODY], message.headers, secrets)


async def _read_body(payload: StreamReader) -> bytes:
    parts: list[bytes] = []
    size = 0
    while size < MAX_BODY and not payload.at_eof():
        part = await payload.readany()
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def _not_sent(error: Exception) -> NotSent:
    """Return NotSent with a reason for people. No address in it: a webhook's address may be a secret."""
    match error:
        case TimeoutError():
            detail, code = "no connection in time", "timeout"
        case aiohttp.ClientConnectorDNSError():
            detail, code = f"the name was not resolved: {error.strerror}", "dns"
        case aiohttp.ClientConnectorCertificateError():
            reason = getattr(error.certificate_error, "verify_message", "") or "not valid"
            detail, code = f"the certificate was not accepted: {reason}", "tls"
        case aiohttp.ClientSSLError():
            detail, code = f"no TLS connection: {error.strerror}", "tls"
        case OSError():
            detail, code = f"no connection: {error.strerror}", "connect"
        case _:
            detail, code = f"no connection: {type(error).__name__}", "connect"
    return NotSent(detail, code=code)


def _lost(error: Exception, seconds: float) -> InDoubt:
    match error:
        case TimeoutError():
            detail, code = f"no whole answer within {seconds:g} s", "timeout"
        case aiohttp.ServerDisconnectedError() | OSError():
            detail, code = "the connection ended before the whole answer was there", "reset"
        case _:
            detail, code = f"the answer is not HTTP: {type(error).__name__}", "garbled"
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
