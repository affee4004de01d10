"""Clients: one record with two faces, `/api/v1/clients` and `/api/client`. Plain rows, so the door goes to the model."""

from typing import Any

import structlog
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema, Status

from clarion.api.auth import Requires, caller_of
from clarion.api.clock import now
from clarion.api.faces import client, short_client
from clarion.api.problems import Unreadable
from clarion.api.wire import (
    Attributes,
    Body,
    ExternalId,
    Id,
    NumberOrOperator,
    Operator,
    Page,
    Phone,
    Search,
    Tag,
    Zone,
    check_id,
    find,
    link_next,
    page_of,
    tenant_of,
    warn,
)
from clarion.flows import customers
from clarion.models import Customer
from clarion.models.customers import Customers
from clarion.models.transactions import again_on_deadlock

log = structlog.get_logger()
router = Router(auth=Requires("customers"), tags=["clients"])
ZONE_WARNING = "timezone: neither an IANA name nor an offset; the tenant's zone is used"


class ClientBody(Body):
    phone: Phone
    operator_code: Operator
    tag: Tag | None = None
    timezone: Zone
    external_id: ExternalId | None = None
    attributes: Attributes = {}
    id: Id | None = None


class ClientChange(Body):
    phone: Phone = ""
    operator_code: Operator = ""
    tag: Tag | None = None
    timezone: Zone = ""
    external_id: ExternalId | None = None
    attributes: Attributes = {}
    id: Id | None = None


class ClientFilter(Schema):
    tag: Search | None = None
    operator_code: Search | None = None
    phone: Search | None = None
    external_id: Search | None = None
    q: Search | None = None


class ShortClientBody(Body):
    """The same record as `/api/client` knows it."""

    phone_number: Phone
    operator: NumberOrOperator
    tag: Tag | None = None
    timezone: Zone
    id: Id | None = None


class ShortClientChange(Body):
    phone_number: Phone = ""
    operator: NumberOrOperator = ""
    tag: Tag | None = None
    timezone: Zone = ""
    id: Id | None = None


class ShortClientFilter(Schema):
    tag: Search | None = None
    operator: Search | None = None
    phone_number: Search | None = None
    q: Search | None = None


@router.post("/api/v1/clients", response={201: dict[str, Any]})
def create_client(request: HttpRequest, payload: ClientBody, response: HttpResponse) -> Any:
    """Make a client. `phone` is not unique: every POST makes one."""
    return Status(201, client(_store(request, response, Customer(), payload.model_dump())))


@router.get("/api/v1/clients")
def list_clients(request: HttpRequest, page: Query[Page], filters: Query[ClientFilter]) -> dict[str, Any]:
    rows = _filtered(_mine(request), filters.phone, filters.operator_code, filters.tag, filters.q)
    if filters.external_id is not None:
        rows = rows.filter(external_id=filters.external_id)
    data, following = page_of(rows, page, client)
    return {"data": data, "next": following}


@router.get("/api/v1/clients/{int:client_id}")
def get_client(request: HttpRequest, client_id: int) -> dict[str, Any]:
    return client(find(_mine(request), client_id))


@router.put("/api/v1/clients/{int:client_id}")
def replace_client(
    request: HttpRequest, client_id: int, payload: ClientBody, response: HttpResponse
) -> dict[str, Any]:
    return client(_replace(request, response, client_id, payload.model_dump()))


@router.patch("/api/v1/clients/{int:client_id}")
def change_client(
    request: HttpRequest, client_id: int, payload: ClientChange, response: HttpResponse
) -> dict[str, Any]:
    return client(_replace(request, response, client_id, payload.model_dump(exclude_unset=True)))


@router.delete("/api/v1/clients/{int:client_id}", response={204: None})
def delete_client(request: HttpRequest, client_id: int) -> Any:
    """Delete the client; what waits for them is cancelled, what was sent still counts."""
    row = find(_mine(request), client_id)
    refuse_test_key(request)
    customers.delete(row, now=now())
    return Status(204, None)


@router.post("/api/client", response={201: dict[str, Any]})
def create_short_client(request: HttpRequest, payload: ShortClientBody, response: HttpResponse) -> Any:
    """Make a client, in the other face of the same record."""
    return Status(201, short_client(_store(request, response, Customer(), _long(payload.model_dump()))))


@router.get("/api/client")
def list_short_clients(
    request: HttpRequest, page: Query[Page], filters: Query[ShortClientFilter], response: HttpResponse
) -> list[dict[str, Any]]:
    rows = _filtered(_mine(request), filters.phone_number, filters.operator, filters.tag, filters.q)
    data, following = page_of(rows, page, short_client)
    link_next(request, response, following)
    return data


@router.get("/api/client/{int:client_id}")
def get_short_client(request: HttpRequest, client_id: int) -> dict[str, Any]:
    return short_client(find(_mine(request), client_id))


@router.put("/api/client/{int:client_id}")
def replace_short_client(
    request: HttpRequest, client_id: int, payload: ShortClientBody, response: HttpResponse
) -> dict[str, Any]:
    return short_client(_replace(request, response, client_id, _long(payload.model_dump())))


@router.patch("/api/client/{int:client_id}")
def change_short_client(
    request: HttpRequest, client_id: int, payload: ShortClientChange, response: HttpResponse
) -> dict[str, Any]:
    fields = _long(payload.model_dump(exclude_unset=True))
    return short_client(_replace(request, response, client_id, fields))


@router.delete("/api/client/{int:client_id}", response={204: None})
def delete_short_client(request: HttpRequest, client_id: int) -> Any:
    return delete_client(request, client_id)


_LONG_NAMES = {"phone_number": "phone", "operator": "operator_code"}


def _long(fields: dict[str, Any]) -> dict[str, Any]:
    """Give the members of the short face the names of the long one."""
    return {_LONG_NAMES.get(name, name): value for name, value in fields.items()}


def _mine(request: HttpRequest) -> Customers:
    return Customer.objects.of(tenant_of(request))


def _filtered(
    rows: Customers, phone: str | None, operator_code: str | None, tag: str | None, q: str | None
) -> Customers:
    rows = rows.matching(operator_code=operator_code, tag=tag)
    if phone is not None:
        rows = rows.filter(phone=phone)
    return rows.mentioning(q) if q else rows


def _replace(
    request: HttpRequest, response: HttpResponse, client_id: int, fields: dict[str, Any]
) -> Customer:
    def once() -> Customer:
        with transaction.atomic():
            # Locked: of two changes at once neither is lost, and who was just deleted does not come back.
            row = find(_mine(request).select_for_update(), client_id)
            check_id(row, fields)
            return _store(request, response, row, fields)

    return again_on_deadlock(once)


def refuse_test_key(request: HttpRequest) -> None:
    """Clients have no test side: one that a test makes or changes would be in the next live mailing's audience."""
    if caller_of(request).is_test:
        raise Unreadable(403, "live_client", "A test key reads clients; it makes, changes and deletes none.")


def _store(request: HttpRequest, response: HttpResponse, row: Customer, fields: dict[str, Any]) -> Customer:
    refuse_test_key(request)
    row.phone = fields.get("phone", row.phone)
    row.locate(fields.get("timezone", row.timezone))
    row.relabel(operator_code=fields.get("operator_code", row.operator_code), tag=fields.get("tag", row.tag))
    row.external_id = fields.get("external_id", row.external_id)
    row.describe(fields.get("attributes", row.attributes))
    if row._state.adding:
        row.tenant, row.created_at = tenant_of(request), now()
    _save(row)
    warn(response, [] if row.zone else [ZONE_WARNING])
    log.info("client_stored", client_id=row.pk, tenant=tenant_of(request).name)
    return row


def _save(row: Customer) -> None:
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        # Asked after the fact: of two who take it at once, the database lets one.
        twin = Customer.objects.of(row.tenant).filter(external_id=row.external_id).exclude(pk=row.pk)
        if row.external_id is None or not twin.exists():
            raise
        sentence = "Another client has this external_id."
        raise Unreadable(409, "external_id_taken", sentence, "external_id") from None
