"""From a credential to a Caller: who asks, for which tenant, and what they may do."""

from dataclasses import dataclass
from datetime import datetime

from clarion.flows.tenants import BadTenantName, check_tenant_name, find_or_create
from clarion.lib.secrets import hash_key, new_api_key
from clarion.models import ApiKey, Tenant

SCOPES = (
    "events:read",
    "events:write",
    "subscriptions",
    "mailings",
    "customers",
    "jobs",
    "notify",
    "logs",
    "admin",
)
# The tenant of whoever names none in development mode.
DEVELOPMENT_TENANT = "default"


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller. A test caller's messages never reach a provider."""

    tenant: Tenant
    scopes: frozenset[str]
    is_test: bool
    name: str

    def may(self, scope: str) -> bool:
        return scope in self.scopes


class NotIdentified(Exception):
    """No credential, or one that is not (or no longer) valid."""


class WrongTenant(Exception):
    """The credential is good, and the named tenant is another one's."""


class BadScope(ValueError):
    """A scope that does not exist."""


def identify(authorization: str, tenant_header: str, *, is_development: bool, now: datetime) -> Caller:
    """Return who is behind these two headers (empty where they were not sent).

    In development mode nobody needs a credential, and the header alone names the tenant, made on first use.

    :raises NotIdentified: without a valid credential
    :raises WrongTenant: where X-TWC-Tenant contradicts the credential
    """
    if is_development and not authorization:
        tenant = _development_tenant(tenant_header, now)
        return Caller(tenant, frozenset(SCOPES), is_test=False, name="development")
    scheme, _, key = authorization.partition(" ")
    if scheme.lower() != "bearer" or not key:
        raise NotIdentified("Send a key: Authorization: Bearer ck_live_…")
    # Looked up by its hash: the time this takes says nothing about any stored key.
    found = (
        ApiKey.objects.filter(digest=hash_key(key.strip()), revoked_at=None).select_related("tenant").first()
    )
    if found is None:
        raise NotIdentified("This key is not known, or it was revoked.")
    if tenant_header and tenant_header != found.tenant.name:
        raise WrongTenant("The key belongs to another tenant than X-TWC-Tenant names.")
    return Caller(found.tenant, frozenset(found.scopes), is_test=found.is_test, name=found.name)


def create_key(
    tenant: Tenant, *, name: str, scopes: list[str], is_test: bool, now: datetime
) -> tuple[ApiKey, str]:
    """Make a key; return its row and the key itself, which is shown now or never.

    :raises BadScope:
    """
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown:
        raise BadScope(f"There is no scope {', '.join(unknown)}. Scopes: {', '.join(SCOPES)}.")
    parts = new_api_key("test" if is_test else "live")
    row = ApiKey.objects.create(
        tenant=tenant,
        name=name,
        scopes=sorted(set(scopes)),
        is_test=is_test,
        digest=parts.key_hash,
        hint=parts.hint,
        created_at=now,
    )
    return row, parts.key


def _development_tenant(name: str, now: datetime) -> Tenant:
    try:
        return find_or_create(check_tenant_name(name or DEVELOPMENT_TENANT), now=now)
    except BadTenantName as error:
        raise WrongTenant(str(error)) from error
