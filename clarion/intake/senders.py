"""Who posts events: a credential is looked up in a thread of its own, and taken for good a moment longer."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import structlog
from django.conf import settings

from clarion.api.clock import now
from clarion.api.event_posts import SCOPE
from clarion.api.middleware import is_own_host
from clarion.flows.callers import Caller, NotIdentified, WrongTenant, identify
from clarion.intake.writer import Full, Unavailable, drop_connection, is_outage
from clarion.lib.logs import code_of

log = structlog.get_logger()

# How long a credential that was good is taken for good, s: so long a revoked key may still bring events.
TRUSTED = 2.0
# Credentials remembered at once; with more the oldest are forgotten.
MOST_TRUSTED = 1_000
# Looked up at once; each takes a millisecond or two, so the last one waits a fraction of a second.
MOST_ASKED = 200

Headers = dict[bytes, bytes]
# The headers that say who asks, and as which host.
ASKING = (b"authorization", b"x-twc-tenant", b"host", b"origin")
Credential = tuple[bytes, ...]


class Senders:
    """Those who may send events, by the headers of their requests. Used on one event loop."""

    def __init__(self) -> None:
        self._trusted: dict[Credential, tuple[float, Caller]] = {}
        self._asked: dict[Credential, asyncio.Future[Caller | None]] = {}
        # A thread of its own: a look at the keys shall not stop the loop.
        self._clerk = ThreadPoolExecutor(1, "intake-keys")

    def close(self) -> None:
        """End the thread; nobody asks any more."""
        self._clerk.submit(drop_connection)
        self._clerk.shutdown()

    async def who(self, headers: Headers) -> Caller | None:
        """Return who may send events; None: that is for Django to say.

        :raises Unavailable: the database does not say
        :raises Full: too many ask
        """
        credential = tuple([headers.get(name, b"") for name in ASKING])
        until, caller = self._trusted.get(credential, (0.0, None))
        left = until - time.monotonic()
        if left > 0:
            if left < TRUSTED / 2:
                # Asked again in good time, so nobody with a good credential waits behind strangers.
                self._ask(credential)
            return caller
        if len(self._asked) >= MOST_ASKED and credential not in self._asked:
            raise Full
        # Whoever gives up does not end it for the others.
        return await asyncio.shield(self._ask(credential))

    def _ask(self, credential: Credential) -> "asyncio.Future[Caller | None]":
        """Look up who this is, once for all who ask at the same time."""
        asked = self._asked.get(credential)
        if asked is None:
            loop = asyncio.get_running_loop()
            asked = self._asked[credential] = loop.run_in_executor(self._clerk, _identified, credential)
            asked.add_done_callback(partial(self._remember, credential))
        return asked

    def _remember(self, credential: Credential, asked: "asyncio.Future[Caller | None]") -> None:
        del self._asked[credential]
        if asked.cancelled() or asked.exception() is not None:
            # The database did not say: what was known holds until its time is over.
            return
        self._trusted.pop(credential, None)
        if (caller := asked.result()) is not None:
            if len(self._trusted) >= MOST_TRUSTED:
                del self._trusted[next(iter(self._trusted))]
            self._trusted[credential] = (time.monotonic() + TRUSTED, caller)


def _identified(credential: Credential) -> Caller | None:
    authorization, tenant, host, origin = (each.decode("latin-1") for each in credential)
    if not is_own_host(host, origin):
        return None
    try:
        return _sender(authorization, tenant)
    except Unavailable:
        # A connection that stood idle may have been ended meanwhile; a new one tells.
        return _sender(authorization, tenant)


def _sender(authorization: str, tenant: str) -> Caller | None:
    try:
        caller = identify(authorization, tenant, is_development=settings.CLARION.dev, now=now())
        return caller if caller.may(SCOPE) else None
    except (NotIdentified, WrongTenant):
        return None
    except Exception as error:
        if not is_outage(error):
            raise
        log.warning("database_unavailable", error=type(error).__name__, code=code_of(error))
        drop_connection()
        raise Unavailable from error
