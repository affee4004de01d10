"""The exits to people: one file per provider; they take plain values and see no model and no setting.

A file here is a gateway as soon as it exists; other packages add theirs by the entry point group
`clarion.gateways`. Nobody imports a concrete one: ask `find` and `kinds`.
"""

import abc
import functools
import re
import sys
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from clarion.lib.http import HttpClient
from clarion.lib.plugins import BadPlugin, find_plugins
from clarion.lib.sending import Receipt

__all__ = ["Doubt", "Gateway", "MessageContent", "UnknownKind", "channel_of", "find", "kinds"]

# What happens to a message whose answer was lost: sent again, or held until somebody or something settles it.
Doubt = Literal["resend", "hold"]

KIND = re.compile(r"[a-z][a-z0-9_]{0,63}")


class UnknownKind(LookupError):
    """No gateway has this kind; the text names those there are."""


@dataclass(frozen=True, slots=True)
class MessageContent:
    """What a gateway gets of a message. `id` is the same in every try; `to` is an address of the channel."""

    id: int
    to: str = field(repr=False)
    text: str = field(repr=False)


class Gateway(abc.ABC):
    """One way to reach people.

    A subclass names its `kind` (stored, so it never changes), its `channel` and what it does in `doubt`. Its
    `Config` extends `Gateway.Config`, keeps secrets in SecretStr, and is validation, documentation and form.
    """

    kind: ClassVar[str]
    channel: ClassVar[str]
    doubt: ClassVar[Doubt]

    class Config(BaseModel):
        """What an account of this gateway is set up with."""

        model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    config: Config

    def __init__(self, config: Config, http: HttpClient) -> None:
        self.config = config
        self.http = http

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "kind" not in vars(cls):
            return  # an abstract one in between
        if not KIND.fullmatch(cls.kind):
            raise BadPlugin(f"{cls.__qualname__}: the kind {cls.kind!r} is not lower_snake_case")
        if not getattr(cls, "channel", "") or getattr(cls, "doubt", "") not in ("resend", "hold"):
            raise BadPlugin(f"{cls.__qualname__}: needs a channel, and a doubt of 'resend' or 'hold'")
        if not issubclass(cls.Config, Gateway.Config):
            raise BadPlugin(f"{cls.__qualname__}: its Config does not extend Gateway.Config")

    def __repr__(self) -> str:
        return f"<{self.kind} gateway>"

    @abc.abstractmethod
    async def send(self, message: MessageContent) -> Receipt:
        """Send one message, once.

        :raises SendError: one of the five kinds, and nothing else
        """


def find(kind: str) -> type[Gateway]:
    """Return the gateway of this kind.

    :raises UnknownKind: naming the kinds there are
    """
    gateway = _registry().get(kind)
    if gateway is None:
        raise UnknownKind(f"unknown gateway {kind!r}; known: {', '.join(kinds())}")
    return gateway


def channel_of(kind: str) -> str:
    """Return the channel that a gateway of this kind reaches people by; an empty text if it is not installed."""
    gateway = _registry().get(kind)
    return gateway.channel if gateway else ""


def kinds() -> tuple[str, ...]:
    """Return every kind there is, in alphabetical order."""
    return tuple(_registry())


@functools.cache  # the files of a folder do not change while we run
def _registry() -> dict[str, type[Gateway]]:
    return find_plugins(
        sys.modules[__name__],
        Gateway,  # type: ignore[type-abstract] # looked for below it, never made
        group="clarion.gateways",
    )
