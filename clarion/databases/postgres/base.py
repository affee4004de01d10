"""Django's PostgreSQL backend, in which a server that ended our connection, or takes no writes, is one that is away.

The driver says of both that something is wrong inside (InternalError), as of mistakes that come again however often one
tries. These pass, so they are what every other lost connection is: OperationalError.
"""

from types import TracebackType

from django.db import OperationalError
from django.db.backends.postgresql import base
from django.db.utils import DatabaseErrorWrapper
from django.utils.functional import cached_property

# idle_in_transaction_session_timeout, and read_only_sql_transaction: what was the primary is a standby now.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
AWAY = frozenset({"25P03", "25006"})


class DatabaseWrapper(base.DatabaseWrapper):
    """One connection."""

    @cached_property
    def wrap_database_errors(self) -> DatabaseErrorWrapper:
        """Whatever the driver raises passes through this."""
        return Errors(self)


class Errors(DatabaseErrorWrapper):
    """Makes Django's errors of the driver's."""

    def __init__(self, wrapper: DatabaseWrapper) -> None:
        super().__init__(wrapper)
        self.wrapper = wrapper

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and getattr(error, "sqlstate", None) in AWAY:
            self.wrapper.errors_occurred = True
            raise OperationalError(*error.args).with_traceback(trace) from error
        super().__exit__(kind, error, trace)
