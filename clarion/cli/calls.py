"""Calls from the terminal to a running hub, wherever it runs, and to a receiver on this machine.

One request, one connection: whoever waits at a terminal notices no more. Redirects are not followed and no proxy is asked.
"""

import contextlib
import http.client
import json
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import typer
import yarl

from clarion.cli.output import FAILED, REFUSED, WRONG_USE, stop

# Seconds for a connection, and for each piece of an answer. A hub answers within one, a receiver that is being debugged
# when whoever debugs goes on.
PATIENCE = 30.0

HUB_URL = typer.Option("--url", help="Where the hub is.")
TENANT = typer.Option(help="Which tenant; with a key it is the key's.")
KEY = typer.Option(help="An API key; - reads it from standard input, where no shell keeps it.")


class Away(Exception):
    """Nobody answers there; the text says why, for people."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What was answered. `headers` ignore case."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes = field(repr=False)

    @property
    def reason(self) -> str:
        """Why it was refused: the words of the problem, and of each member that is wrong."""
        try:
            problem = json.loads(self.body)
            wrong = [
                f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in problem.get("errors", ())
            ]
            return "; ".join([str(problem.get("detail") or problem["title"]), *wrong])
        except (ValueError, KeyError, TypeError, AttributeError):
            return f"HTTP {self.status}"


@dataclass(frozen=True, slots=True)
class Hub:
    """A running hub, called as one tenant; without a name the one of the key, or in development mode the usual one."""

    url: str
    tenant: str = ""
    key: str = field(default="", repr=False)

    def get(self, path: str) -> Reply:
        """Ask for what is at this path.

        :raises Away:
        """
        return ask("GET", f"{self.url.rstrip('/')}{path}", headers=self._headers())

    def post(self, path: str, body: Mapping[str, Any]) -> Reply:
        """Send a JSON object there.

        :raises Away:
        """
        headers = {"Content-Type": "application/json", **self._headers()}
        return ask("POST", f"{self.url.rstrip('/')}{path}", json.dumps(body).encode(), headers)

    def _headers(self) -> dict[str, str]:
        named = {"X-TWC-Tenant": self.tenant} if self.tenant else {}
        return {**named, "Authorization": f"Bearer {self.key}"} if self.key else named


def ask(method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Reply:
    """Send one request, once, and return the whole answer.

    :raises Away: there is none
    """
    where = checked(url)
    try:
        with contextlib.closing(_connection(where)) as connection:
            connection.request(method, where.raw_path_qs, body, dict(headers or {}))
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read())
    except TimeoutError:
        raise Away(f"no answer within {PATIENCE:g} s") from None
    except OSError as error:
        raise Away(error.strerror or type(error).__name__) from None
    except (http.client.HTTPException, ValueError) as error:
        raise Away(f"that is not HTTP: {type(error).__name__}") from None


def checked(url: str) -> yarl.URL:
    """Return the address; whoever typed one that is none reads why."""
    try:
        where = yarl.URL(url)
        is_address = where.scheme in ("http", "https") and bool(where.raw_host) and url.isprintable()
    except ValueError:
        is_address = False
    if not is_address:
        stop(WRONG_USE, "An address begins with http:// or https:// and a host.")
    if where.raw_user is not None or where.raw_password is not None:
        stop(WRONG_USE, "An address holds no user and no password.")
    return where


def hub_of(url: str, tenant: str, key: str) -> Hub:
    """Return the hub that these options name; whoever typed what cannot be sent reads so."""
    key = sys.stdin.readline().strip() if key == "-" else key
    for name, text in (("tenant", tenant), ("key", key)):
        if not (text.isascii() and text.isprintable()):
            stop(WRONG_USE, f"No {name} has such letters.")
    return Hub(str(checked(url)), tenant, key)


def refused(reply: Reply) -> None:
    """End here if the hub said no."""
    if reply.status in (401, 403):
        stop(
            REFUSED, f"The hub lets nobody in without a good key: {reply.reason} clarion keys add makes one."
        )
    if reply.status >= 400:
        stop(REFUSED if reply.status < 500 else FAILED, f"The hub refused: {reply.reason}")


def _connection(where: yarl.URL) -> http.client.HTTPConnection:
    host = where.raw_host or ""
    if where.scheme == "https":
        return http.client.HTTPSConnection(
            host, where.port, timeout=PATIENCE, context=ssl.create_default_context()
        )
    return http.client.HTTPConnection(host, where.port, timeout=PATIENCE)
