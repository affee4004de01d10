"""A tenant's ways to its providers: added, changed, opened again."""

from datetime import datetime
from typing import Any

import structlog
from django.db import IntegrityError, transaction
from pydantic import ValidationError

from clarion import gateways
from clarion.models import GatewayAccount, Lane, Tenant
from clarion.models.accounts import LARGEST_RATE, LEAST_RATE
from clarion.models.transactions import again_on_deadlock
from clarion.outbox import breaker

log = structlog.get_logger()


class AccountExists(Exception):
    """The tenant has an account of this name."""


class BadAccount(ValueError):
    """The settings are not what the gateway needs; the message names each wrong one, and no value."""


def add(
    tenant: Tenant,
    *,
    name: str,
    gateway: str,
    settings: dict[str, Any],
    doubt: str = "",
    rate: float | None = None,
    now: datetime,
    is_test: bool = False,
) -> GatewayAccount:
    """Give the tenant a way to a provider; it becomes the one used where none is named.

    `rate` bounds the sends begun in a second, by all workers together; None: nothing does.

    :raises BadAccount: unknown gateway, wrong settings, no rate
    :raises AccountExists:
    """
    _check_doubt(doubt)
    _check_rate(rate)
    _check_settings(gateway, settings)
    try:
        with transaction.atomic():
            account = GatewayAccount(
                tenant=tenant,
                name=name,
                gateway=gateway,
                doubt=doubt,
                is_test=is_test,
                lane=Lane.objects.create(rate_per_second=rate or None),
                created_at=now,
            )
            account.seal(settings)
            account.save()
    except IntegrityError as error:
        raise AccountExists(f"Tenant {tenant.name} has an account {name} already.") from error
    return account


def change(
    account: GatewayAccount,
    *,
    settings: dict[str, Any] | None = None,
    doubt: str | None = None,
    rate: float | None = None,
) -> None:
    """Give the account other settings, another policy of doubt or rate (None: as it is), and open its lane again.

    A rate of 0 takes the bound away. Messages that wait for the account leave with the new settings.

    :raises BadAccount: nothing is changed then
    """
    if doubt is not None:
        _check_doubt(doubt)
    if settings is not None:
        _check_settings(account.gateway, settings)
    _check_rate(rate)
    again_on_deadlock(lambda: _change(account, settings, doubt, rate))
    log.info("account_changed", account=account.name, tenant=account.tenant.name)


def _change(
    account: GatewayAccount, settings: dict[str, Any] | None, doubt: str | None, rate: float | None
) -> None:
    with transaction.atomic():
        # The lane first, like whoever closes it. The account is read under the lock: of two changes at once neither
        # is lost.
        lane = Lane.objects.select_for_update().get(pk=account.lane_id)
        locked = GatewayAccount.objects.of(account.tenant).select_for_update().get(pk=account.pk)
        if doubt is not None:
            locked.doubt = doubt
        if settings is not None:
            locked.seal(settings)
        locked.save(update_fields=["doubt", "sealed_settings"])
        breaker.reopen(lane)
        if rate is not None:
            lane.rate_per_second = rate or None
        lane.save()


def _check_doubt(doubt: str) -> None:
    if doubt not in ("", "resend", "hold"):
        raise BadAccount("doubt: resend or hold")


def _check_rate(rate: float | None) -> None:
    if rate and not LEAST_RATE <= rate <= LARGEST_RATE:
        raise BadAccount(f"rate: from {LEAST_RATE} to {LARGEST_RATE:,} a second, or 0 for none")


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
