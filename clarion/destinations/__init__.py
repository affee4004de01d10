"""The exits to systems: one file per kind of destination; they take plain values and see no model and no setting.

A file here is a destination as soon as it exists; other packages add theirs by the entry point group
`clarion.destinations`. Nobody imports a concrete one: ask `find` and `kinds`.
"""

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from clarion.lib.fields import addresses, origin
from clarion.lib.http import HttpClient
from clarion.lib.plugins import BadPlugin, Plugins, UnknownKind, is_abstract
from clarion.lib.sending import Receipt, SendError

__all__ = ["Destination", "Parcel", "UnknownKind", "find", "kinds"]


@dataclass(frozen=True, slots=True)
class Parcel:
    """What a destination gets of a delivery.

    `id` is the same in every try, made here, without a dot; `body` is JSON, the same in every try; `attributes` are
    what a subscriber may want to know before it reads the body; what is about one entity has one `group`, never empty;
    `at` is the moment of this try, UTC.
    """

    id: str
    body: str = field(repr=False)
    attributes: Mapping[str, str] = field(repr=False)
    group: str
    at: datetime


class Destination(abc.ABC):
    """One way to reach systems.

    A subclass names its `kind` (stored, so it never changes; on the wire in upper case). Its `Config` extends
    `Destination.Config`, names its members as they are on the wire, and keeps secrets in SecretStr.
    """

    kind: ClassVar[str]
    # How many parcels `send_batch` takes at a time; 1: it is never called.
    batch_size: ClassVar[int] = 1
    # Secrets that only sign, and are never sent: they stay when a subscription is led elsewhere.
    signs_with: ClassVar[frozenset[str]] = frozenset()

    class Config(BaseModel):
        """What a subscription to this destination is set up with."""

        model_config = ConfigDict(
            extra="forbid", frozen=True, hide_input_in_errors=True, populate_by_name=True
        )

        def oddities(self) -> list[str]:
            """Return a sentence for each member that is taken although it can hardly work."""
            return []

        def place(self) -> tuple[str, ...]:
            """Return where it leads. Secrets are kept for whoever names the same place, and for nobody else."""
            return tuple(origin(url) for _, url in addresses(self))

    config: Config

    def __init__(self, config: Config, http: HttpClient) -> None:
        self.config = config
        self.http = http

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if is_abstract(cls):
            return
        if cls.batch_size < 1:
            raise BadPlugin(f"{cls.__qualname__}: a batch has at least one parcel")
        if not issubclass(cls.Config, Destination.Config):
            raise BadPlugin(f"{cls.__qualname__}: its Config does not extend Destination.Config")

    def __repr__(self) -> str:
        return f"<{self.kind} destination>"

    @classmethod
    def completed(
        cls, settings: Mapping[str, Any], stored: Mapping[str, Any] | None, now: datetime
    ) -> dict[str, Any]:
        """Return the settings (plain JSON values by their wire names) as they are to be kept.

        What nobody sent and has to be there is made; `stored` are those that they replace.
        """
        return dict(settings)

    @abc.abstractmethod
    async def send(self, parcel: Parcel) -> Receipt:
        """Send one parcel, once.

        :raises SendError: one of the five kinds, and nothing else
        """

    async def send_batch(self, parcels: Sequence[Parcel]) -> list[Receipt | SendError]:
        """Send up to `batch_size` parcels in one call; return what came of each, in their order.

        :raises SendError: of one kind for all of them; a batch that is refused as a whole is tried again in halves
        """
        raise TypeError(f"{self.kind} sends one at a time")


_plugins = Plugins(
    __name__,
    Destination,  # type: ignore[type-abstract] # looked for below it, never made
    group="clarion.destinations",
    what="destination",
)
find, kinds, _registry = _plugins.find, _plugins.kinds, _plugins.all
