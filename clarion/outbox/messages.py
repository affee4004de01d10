"""Messages to people: what the outbox has to know of them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from clarion import gateways
from clarion.gateways import Gateway, MessageContent
from clarion.lib.http import HttpClient
from clarion.models import GatewayAccount, Message
from clarion.outbox import doubt, gate
from clarion.outbox.gate import MessageDue
from clarion.outbox.landing import Departure, Landing
from clarion.outbox.traffic import Traffic
from clarion.outbox.verdicts import Go, Verdict


class Messages(Traffic):
    """Texts to people, through gateways."""

    name = "message"
    model = Message
    due = MessageDue

    def accounts(self, root_ids: Collection[int]) -> Mapping[int, GatewayAccount]:
        """All there are: they are few."""
        return {account.lane_id: account for account in GatewayAccount.objects.all()}

    def policy(self, account: GatewayAccount) -> str:
        return doubt.policy(account)

    def ask(self, rows: Sequence[MessageDue], accounts: Mapping[int, Any], *, now: datetime) -> list[Verdict]:
        return gate.ask(rows, now=now)

    def columns(self, verdict: Go) -> dict[str, Any]:
        """A text is rendered once, before the first try; a retry sends what the first one sent."""
        return {"text": verdict.text}

    def content(self, verdict: Go) -> MessageContent:
        return MessageContent(id=verdict.due.held.id, to=verdict.due.address, text=verdict.text)

    def about(self, due: MessageDue) -> int:
        return due.customer_id

    def told(self, departure: Departure) -> dict[str, Any]:
        return {
            "message_id": departure.id,
            "mailing_id": departure.owner_id,
            "client_id": departure.about_id,
        }

    def heard(self, landings: Sequence[Landing], now: datetime) -> None:
        """Nothing but what their lanes remember."""

    def client(self, slots: int) -> HttpClient:
        """Without a guard: operators say where their providers are."""
        return HttpClient(connections=slots)

    def exit(self, account: GatewayAccount, http: HttpClient) -> Gateway:
        kind = gateways.find(account.gateway)
        return kind(kind.Config(**account.settings), http)

    def batch_size(self, account: GatewayAccount) -> int:
        return 1

    def misfit(self, account: GatewayAccount) -> str:
        return f"The settings of account {account.name!r} do not fit gateway {account.gateway!r}"


MESSAGES = Messages()
