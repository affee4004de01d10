"""What is special about each kind of what leaves: messages to people, deliveries to systems. All else is the same."""

import abc
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Protocol

from clarion.lib.http import HttpClient
from clarion.lib.sending import Receipt, SendError
from clarion.models import GatewayAccount, Subscription
from clarion.models.outgoing import Outgoing
from clarion.outbox.landing import Departure, Landing
from clarion.outbox.verdicts import Go, Verdict

# What a row leaves through, with its settings.
Account = GatewayAccount | Subscription


class Exit(Protocol):
    """A gateway or a destination, ready to send. One with a batch size is a `BatchExit`."""

    async def send(self, content: Any, /) -> Receipt:
        """Send one."""


class BatchExit(Exit, Protocol):
    """One that takes some at a time."""

    async def send_batch(self, contents: Any, /) -> list[Receipt | SendError]:
        """Send these; one outcome for each."""


class Traffic(abc.ABC):
    """One kind of what leaves. Knows what it is made of and what it is sent with, not when it goes."""

    # How one of it is called in the log.
    name: ClassVar[str]
    model: ClassVar[type[Outgoing]]
    # A NamedTuple of what is read of a due row.
    due: ClassVar[Any]

    @abc.abstractmethod
    def accounts(self, root_ids: Collection[int]) -> Mapping[int, Account]:
        """Return what leaves by these lanes, by lane; more than was asked for may be among it."""

    @abc.abstractmethod
    def policy(self, account: Any) -> str:
        """Return what a lost answer leads to: `resend` or `hold`."""

    @abc.abstractmethod
    def ask(self, rows: Sequence[Any], accounts: Mapping[int, Any], *, now: datetime) -> list[Verdict]:
        """Return one verdict per row, in order. `accounts` are those of their lanes."""

    @abc.abstractmethod
    def columns(self, verdict: Go) -> dict[str, Any]:
        """Return what is written into a row that goes, beside what all kinds have."""

    @abc.abstractmethod
    def content(self, verdict: Go) -> Any:
        """Return what the exit is given."""

    @abc.abstractmethod
    def about(self, due: Any) -> int | None:
        """Return the number of what it is about: the customer's, or the event's."""

    @abc.abstractmethod
    def told(self, departure: Departure) -> dict[str, Any]:
        """Return what the log says of a try, beside what came of it."""

    @abc.abstractmethod
    def heard(self, landings: Sequence[Landing], now: datetime) -> None:
        """Write what these answers say of those who gave them. Their lanes are held, their rows not yet."""

    @abc.abstractmethod
    def client(self, slots: int) -> HttpClient:
        """Return what all of its exits send with."""

    @abc.abstractmethod
    def exit(self, account: Any, http: HttpClient) -> Exit:
        """Return the exit with this account's settings. Whatever it raises: the settings do not fit."""

    @abc.abstractmethod
    def batch_size(self, account: Any) -> int:
        """Return how many the exit takes at a time."""

    @abc.abstractmethod
    def misfit(self, account: Any) -> str:
        """Return the sentence for settings that do not fit, without its end."""
