"""WHAT IS STORED. Re-exports every model: `from clarion.models import Mailing`.

Questions about rows are QuerySet methods here; a change of one row's state is a method of its model, except for
what leaves, whose states have one function (`moves.move`). No business decision is made in this room.
"""

from clarion.models.accounts import GatewayAccount, Lane
from clarion.models.attempts import Attempt, DeliveryAttempt
from clarion.models.consents import Consent, Suppression
from clarion.models.customers import Customer
from clarion.models.deliveries import Delivery
from clarion.models.engagements import Engagement, EngagementCount
from clarion.models.events import Event, EventHead
from clarion.models.exports import Export
from clarion.models.files import FilePart, StoredFile
from clarion.models.imports import Import, Refusal
from clarion.models.mailings import Mailing, MailingCount
from clarion.models.messages import Message
from clarion.models.outgoing import State
from clarion.models.readers import ParkedEvent, ReaderPosition
from clarion.models.redeliveries import Redelivery
from clarion.models.subscriptions import DeliveryCount, Subscription
from clarion.models.tenants import ApiKey, IdempotencyRecord, Tenant
from clarion.models.workers import Worker

__all__ = [
    "ApiKey",
    "Attempt",
    "Consent",
    "Customer",
    "Delivery",
    "DeliveryAttempt",
    "DeliveryCount",
    "Engagement",
    "EngagementCount",
    "Event",
    "EventHead",
    "Export",
    "FilePart",
    "GatewayAccount",
    "IdempotencyRecord",
    "Import",
    "Lane",
    "Mailing",
    "MailingCount",
    "Message",
    "ParkedEvent",
    "ReaderPosition",
    "Redelivery",
    "Refusal",
    "State",
    "StoredFile",
    "Subscription",
    "Suppression",
    "Tenant",
    "Worker",
]
