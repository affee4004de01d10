"""DOOR for the superuser: every row. What leaves and what is counted is shown, not edited behind the outbox's back."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from clarion.flows import doubts
from clarion.models import (
    ApiKey,
    Attempt,
    Consent,
    Customer,
    Delivery,
    DeliveryAttempt,
    DeliveryCount,
    Engagement,
    EngagementCount,
    Event,
    Export,
    GatewayAccount,
    Import,
    Lane,
    Mailing,
    MailingCount,
    Message,
    ParkedEvent,
    ReaderPosition,
    Redelivery,
    Subscription,
    Suppression,
    Tenant,
    Worker,
)

# Django's classes take a type parameter for the type checker only.
if TYPE_CHECKING:
    Rows = admin.ModelAdmin[Any]
    AttemptRows = admin.TabularInline[Any, Any]
else:
    Rows, AttemptRows = admin.ModelAdmin, admin.TabularInline

admin.site.site_header = admin.site.site_title = "Clarion"
admin.site.index_title = "Every row"


class ReadOnly(Rows):
    """Rows that only the program writes."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Tenant)
class TenantAdmin(ReadOnly):
    list_display = ("name", "timezone", "created_at")
    search_fields = ("name",)


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnly):
    list_display = ("name", "tenant", "is_test", "hint", "scopes", "revoked_at")
    list_filter = ("tenant", "is_test")
    exclude = ("digest",)


@admin.register(GatewayAccount)
class GatewayAccountAdmin(ReadOnly):
    list_display = ("name", "tenant", "gateway", "doubt", "is_test", "created_at")
    list_filter = ("tenant", "gateway")


@admin.register(Lane)
class LaneAdmin(ReadOnly):
    list_display = ("id", "gatewayaccount", "closed_until", "closed_because")


@admin.register(Customer)
class CustomerAdmin(ReadOnly):
    list_display = ("id", "tenant", "phone", "operator_code", "tag", "timezone")
    list_filter = ("tenant",)
    search_fields = ("=id", "phone", "tag_key")


@admin.register(Event)
class EventAdmin(ReadOnly):
    list_display = ("seq", "tenant", "event_id", "kind", "entity_id", "customer_ref", "received_at")
    list_filter = ("tenant", "is_flawed")
    search_fields = ("=event_id", "=entity_id", "=customer_ref")


@admin.register(ReaderPosition)
class ReaderPositionAdmin(ReadOnly):
    list_display = ("reader", "tenant", "seq", "moved_at", "tries", "retry_at")
    list_filter = ("reader",)
    search_fields = ("=tenant__name",)


@admin.register(ParkedEvent)
class ParkedEventAdmin(ReadOnly):
    list_display = ("reader", "tenant", "seq", "error", "code", "tries", "parked_at", "tried_at")
    list_filter = ("reader", "tenant")


@admin.register(Import)
class ImportAdmin(ReadOnly):
    list_display = (
        "id",
        "tenant",
        "name",
        "state",
        "created",
        "updated",
        "unchanged",
        "refused",
        "finished_at",
    )
    list_filter = ("tenant", "state")
    exclude = ("header", "file")


@admin.register(Export)
class ExportAdmin(ReadOnly):
    list_display = ("id", "tenant", "format", "state", "rows", "created_at", "finished_at")
    list_filter = ("tenant", "state")
    exclude = ("file",)


@admin.register(Mailing)
class MailingAdmin(ReadOnly):
    list_display = ("id", "tenant", "name", "state", "starts_at", "ends_at", "started_at", "finished_at")
    list_filter = ("tenant", "state")
    search_fields = ("=id", "name")


@admin.register(MailingCount)
class MailingCountAdmin(ReadOnly):
    list_display = ("mailing", "state", "reason", "count")
    search_fields = ("=mailing__id",)


class Tries(AttemptRows):
    can_delete = False
    extra = 0
    fields = readonly_fields = ("number", "started_at", "ended_at", "outcome", "code", "detail", "is_late")

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class AttemptInline(Tries):
    model = Attempt


class DeliveryAttemptInline(Tries):
    model = DeliveryAttempt


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnly):
    list_display = ("ref", "tenant", "destination", "entity_type", "is_active", "failing_since", "created_at")
    list_filter = ("tenant", "destination", "is_active")
    search_fields = ("=ref",)


@admin.register(DeliveryCount)
class DeliveryCountAdmin(ReadOnly):
    list_display = ("subscription", "state", "reason", "count")
    search_fields = ("=subscription__ref",)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly):
    list_display = ("id", "subscription", "seq", "state", "reason", "code", "tries", "due_at", "finished_at")
    list_filter = ("state", "reason", "tenant")
    search_fields = ("=id", "=seq", "=subscription__ref")
    inlines = (DeliveryAttemptInline,)


@admin.register(Redelivery)
class RedeliveryAdmin(ReadOnly):
    list_display = (
        "id",
        "tenant",
        "subscription",
        "kind",
        "found",
        "done",
        "asked_by",
        "created_at",
        "finished_at",
    )
    list_filter = ("tenant", "kind")


@admin.register(Message)
class MessageAdmin(ReadOnly):
    list_display = ("id", "mailing", "customer_id", "state", "reason", "tries", "due_at", "finished_at")
    list_filter = ("state", "reason", "tenant")
    search_fields = ("=id", "=mailing__id", "=customer_id", "=address")
    inlines = (AttemptInline,)
    actions = ("mark_as_arrived", "send_again")

    @admin.action(description="In doubt: they arrived")
    def mark_as_arrived(self, request: HttpRequest, rows: QuerySet[Message]) -> None:
        self._settle(request, rows, arrived=True)

    @admin.action(description="In doubt: send again (may arrive twice)")
    def send_again(self, request: HttpRequest, rows: QuerySet[Message]) -> None:
        self._settle(request, rows, arrived=False)

    def _settle(self, request: HttpRequest, rows: QuerySet[Message], *, arrived: bool) -> None:
        settled = doubts.settle(
            list(rows.values_list("id", flat=True)), arrived=arrived, now=datetime.now(UTC)
        )
        messages.info(request, f"{settled} in doubt settled; the others were not in doubt.")


@admin.register(Engagement)
class EngagementAdmin(ReadOnly):
    list_display = ("seq", "tenant", "kind", "message_id", "customer_id", "at", "is_machine", "credit")
    list_filter = ("tenant", "kind", "is_machine")
    search_fields = ("=message__id", "=customer_id", "=mailing__id")


@admin.register(EngagementCount)
class EngagementCountAdmin(ReadOnly):
    list_display = ("mailing", "what", "currency", "count")
    search_fields = ("=mailing__id",)


@admin.register(Consent)
class ConsentAdmin(ReadOnly):
    list_display = (
        "id",
        "tenant",
        "customer_id",
        "ref",
        "channel",
        "message_class",
        "verdict",
        "at",
        "source",
    )
    list_filter = ("tenant", "channel", "verdict")
    search_fields = ("=customer_id", "=ref")


@admin.register(Suppression)
class SuppressionAdmin(ReadOnly):
    list_display = ("id", "tenant", "channel", "address", "customer_id", "ref", "reason", "at", "lifted_at")
    list_filter = ("tenant", "channel", "reason")
    search_fields = ("=address", "=customer_id", "=ref")


@admin.register(Worker)
class WorkerAdmin(ReadOnly):
    list_display = ("id", "host", "pid", "started_at", "ended_at")
