"""The exits to people: one file per provider; they take plain values and see no model and no setting.

A file here is a gateway as soon as it exists; other packages add theirs by the entry point group
`clarion.gateways`. Nobody imports a concrete one: ask `find` and `kinds`.
"""

import abc
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from clarion.lib.http import HttpClient
from clarion.lib.plugins import BadPlugin, Plugins, UnknownKind, is_abstract
from clarion.lib.sending import Receipt

__all__ = ["Doubt", "Gateway", "MessageContent", "UnknownKind", "channel_of", "find", "kinds"]

# What happens to a message whose answer was lost: sent again, or held until somebody or something settles it.
Doubt = Literal["resend", "hold"]


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
        if is_abstract(cls):
            return
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


_plugins = Plugins(
    __name__,
    Gateway,  # type: ignore[type-abstract] # looked for below it, never made
    group="clarion.gateways",
    what="gateway",
)
find, kinds, _registry = _plugins.find, _plugins.kinds, _plugins.all


def channel_of(kind: str) -> str:
    """Return the channel that a gateway of this kind reaches people by; an empty text if it is not installed."""
    gateway = _plugins.all().get(kind)
    return gateway.channel if gateway else ""
