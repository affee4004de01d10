"""Bodies that are files: nobody holds them in memory, and strangers may not send them."""

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from clarion.api.clock import now
from clarion.flows.callers import NotIdentified, WrongTenant, identify
from clarion.lib.logs import code_of

log = structlog.get_logger()

IMPORT = "/api/v1/clients/import"
# Whoever may not change clients may not fill a disk with them.
SCOPE = "customers"


def is_stream(method: str | None, path: str) -> bool:
    """Whether this request's body is a file."""
    return method == "POST" and path.removesuffix("/") == IMPORT


def may_send(authorization: str, tenant_header: str) -> bool:
    """Whether the caller with these headers may send a file. Who may not is told so by the route itself.

    Called in a thread of its own, so it leaves no connection to the database behind.
    """
    try:
        caller = identify(authorization, tenant_header, is_development=settings.CLARION.dev, now=now())
        return caller.may(SCOPE) and not caller.is_test
    except (NotIdentified, WrongTenant):
        return False
    except (DatabaseError, InterfaceError) as error:
        log.warning("database_unavailable", error=type(error).__name__, code=code_of(error))
        return False
    finally:
        connection.close()
