"""A tenant begins, with a way out for its messages that reaches nobody yet."""

import re
from datetime import datetime

from django.db import IntegrityError, transaction

from clarion.flows import accounts
from clarion.models import Tenant

# What a fresh tenant sends through until an operator adds an account: the worker's log.
FIRST_ACCOUNT, TEST_ACCOUNT = "log", "test"
FIRST_GATEWAY = "log"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class BadTenantName(ValueError):
    """What was given cannot be a tenant's name."""


class TenantExists(Exception):
    """A tenant of this name is there."""


def create(name: str, *, timezone: str = "UTC", now: datetime) -> Tenant:
    """Make a tenant with its first account and the account its test keys send through.

    :raises TenantExists, BadTenantName:
    """
    check_tenant_name(name)
    try:
        with transaction.atomic():
            tenant = Tenant.objects.create(name=name, timezone=timezone, created_at=now)
            accounts.add(tenant, name=FIRST_ACCOUNT, gateway=FIRST_GATEWAY, settings={}, now=now)
            accounts.add(tenant, name=TEST_ACCOUNT, gateway=FIRST_GATEWAY, settings={}, now=now, is_test=True)
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


def check_tenant_name(name: str) -> str:
    """Return `name` if a tenant may be called so.

    :raises BadTenantName:
    """
    if not _NAME.fullmatch(name):
        raise BadTenantName("A tenant's name has 1 to 64 letters, digits, dots, dashes or underscores.")
    return name
