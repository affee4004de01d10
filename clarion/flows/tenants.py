"""A tenant begins, with a way out for its messages that reaches nobody yet."""

import re
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from pydantic import ValidationError

from clarion import gateways
from clarion.models import GatewayAccount, Lane, Tenant

# What a fresh tenant sends through until an operator adds an account: the worker's log.
FIRST_ACCOUNT, TEST_ACCOUNT = "log", "test"
FIRST_GATEWAY = "log"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class BadTenantName(ValueError):
    """What was given cannot be a tenant's name."""


class TenantExists(Exception):
    """A tenant of this name is there."""


class AccountExists(Exception):
    """The tenant has an account of this name."""


class BadAccount(ValueError):
    """The settings are not what the gateway needs; the message names each wrong one, and no value."""


def create(name: str, *, timezone: str = "UTC", now: datetime) -> Tenant:
    """Make a tenant with its first account and the account its test keys send through.

    :raises TenantExists, BadTenantName:
    """
    check_tenant_name(name)
    try:
        with transaction.atomic():
            tenant = Tenant.objects.create(name=name, timezone=timezone, created_at=now)
            add_account(tenant, name=FIRST_ACCOUNT, gateway=FIRST_GATEWAY, settings={}, now=now)
            add_account(tenant, name=TEST_ACCOUNT, gateway=FIRST_GATEWAY, settings={}, now=now, is_test=True)
    except IntegrityError as error:
        raise TenantExists(f"There is a tenant {name} already.") from error
    return tenant


def find_or_create(name: str, *, now: datetime) -> Tenant:
    """Return the tenant of this name, made on first use; however many ask at once, there is one."""
    found = Tenant.objects.filter(name=name).first()
    if found is not None:
        return found
    try:
        return create(name, now=now)
    except TenantExists:
        return Tenant.objects.get(name=name)


def add_account(
    tenant: Tenant,
    *,
    name: str,
    gateway: str,
    settings: dict[str, Any],
    doubt: str = "",
    now: datetime,
    is_test: bool = False,
) -> GatewayAccount:
    """Give the tenant a way to a provider; it becomes the one used where none is named.

    :raises BadAccount: unknown gateway, wrong settings
    :raises AccountExists:
    """
    if doubt not in ("", "resend", "hold"):
        raise BadAccount("doubt: resend or hold")
    _check_settings(gateway, settings)
    try:
        with transaction.atomic():
            account = GatewayAccount(
                tenant=tenant,
                name=name,
                gateway=gateway,
                doubt=doubt,
                is_test=is_test,
                lane=Lane.objects.create(),
                created_at=now,
            )
            account.seal(settings)
            account.save()
    except IntegrityError as error:
        raise AccountExists(f"Tenant {tenant.name} has an account {name} already.") from error
    return account


def check_tenant_name(name: str) -> str:
    """Return `name` if a tenant may be called so.

    :raises BadTenantName:
    """
    if not _NAME.fullmatch(name):
        raise BadTenantName("A tenant's name has 1 to 64 letters, digits, dots, dashes or underscores.")
    return name


def _check_settings(gateway: str, settings: dict[str, Any]) -> None:
    try:
        gateways.find(gateway).Config(**settings)
    except gateways.UnknownKind as error:
        raise BadAccount(str(error)) from error
    except ValidationError as error:
        wrong = (
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors(include_input=False)
        )
        raise BadAccount("; ".join(wrong)) from None
