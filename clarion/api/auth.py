"""From a request to its Caller, and the scope that each route asks for."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from ninja.security import HttpBearer

from clarion.api.clock import now
from clarion.flows.callers import Caller, identify


class ScopeMissing(Exception):
    """The caller is known and may not do this."""


def caller_of(request: HttpRequest) -> Caller:
    """Return who asks; found out once per request.

    :raises NotIdentified, WrongTenant:
    """
    known: Caller | None = getattr(request, "caller", None)
    if known is None:
        known = identify(
            request.headers.get("Authorization", ""),
            request.headers.get("X-TWC-Tenant", ""),
            is_development=settings.CLARION.dev,
            now=now(),
        )
        request.caller = known  # type: ignore[attr-defined]
    return known


class Requires(HttpBearer):
    """The scope a route asks for. Every route declares one; a test walks them all."""

    def __init__(self, scope: str) -> None:
        self.scope = scope
        super().__init__()

    def __call__(self, request: HttpRequest) -> Any:
        return self.authenticate(request, "")

    def authenticate(self, request: HttpRequest, token: str) -> Caller:
        caller = caller_of(request)
        if not caller.may(self.scope):
            raise ScopeMissing(f"This needs the scope {self.scope}.")
        return caller
