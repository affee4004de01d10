"""What a fresh installation needs before anybody can use it: a tenant, an operator, a key."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime

from django.contrib.auth import get_user_model

from clarion.flows import callers, tenants
from clarion.models import ApiKey

OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Welcome:
    """What is shown once. Empty where it was made at an earlier start."""

    password: str = field(repr=False, default="")
    key: str = field(repr=False, default="")


def prepare(now: datetime) -> Welcome:
    """Make what is missing; called at every start, it makes everything at the first one only."""
    password = key = ""
    users = get_user_model().objects
    if not users.filter(is_superuser=True).exists():
        password = secrets.token_urlsafe(12)
        users.create_superuser(OPERATOR, password=password)
    tenant = tenants.find_or_create(callers.DEVELOPMENT_TENANT, now=now)
    if not ApiKey.objects.of(tenant).exists():
        scopes = [scope for scope in callers.SCOPES if scope != "admin"]
        _, key = callers.create_key(tenant, name="first", scopes=scopes, is_test=False, now=now)
    return Welcome(password=password, key=key)
