"""What somebody wants a mailing to be, and whether it can be that. Stores nothing."""

from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from clarion.flows.wording import check_wording
from clarion.models import GatewayAccount, Mailing, Tenant
from clarion.models.conditions import filter_of

# Shorter local hours, in seconds, are a mistake: nearly nothing could be sent in them.
LEAST_HOURS = 60


class EndsBeforeStart(ValueError):
    """The window has no inside."""


class NoLocalHours(ValueError):
    """Local hours need a beginning and an end that differ."""


class NoSuchAccount(ValueError):
    """The tenant has no gateway account of this name."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody wants a mailing to be. Text, labels and filter as they were sent, times in UTC."""

    text: str
    starts_at: datetime
    ends_at: datetime
    operator_code_filter: str | None = None
    tag_filter: str | None = None
    filter: dict[str, Any] | None = None
    local_from: time | None = None
    local_until: time | None = None
    rate_per_second: float | None = None
    name: str = ""
    account: str = ""


def find_account(tenant: Tenant, name: str, *, is_test: bool) -> GatewayAccount:
    """Return the account of this name, without one the default. Test callers have theirs, whatever they name.

    Naming the test account makes a test mailing.

    :raises NoSuchAccount:
    """
    accounts = GatewayAccount.objects.of(tenant)
    if is_test:
        account = accounts.filter(is_test=True).first()
    elif name:
        account = accounts.filter(name=name).first()
    else:
        account = accounts.default()
    if account is None:
        raise NoSuchAccount(f"There is no gateway account {name!r}.")
    return account


def fields_of(tenant: Tenant, draft: Draft, *, is_test: bool) -> dict[str, Any]:
    """Return the columns of a mailing that is what the draft says.

    :raises EndsBeforeStart, NoLocalHours, NoSuchAccount, BadText, BadFilter:
    """
    if draft.ends_at <= draft.starts_at:
        raise EndsBeforeStart("end_time must come after start_time")
    hours = (draft.local_from, draft.local_until)
    if hours != (None, None) and (None in hours or draft.local_from == draft.local_until):
        raise NoLocalHours("local_from and local_until come together, and differ")
    if draft.local_from and draft.local_until and _seconds(draft.local_from, draft.local_until) < LEAST_HOURS:
        raise NoLocalHours("local hours are a minute long at least: a send needs some of it")
    check_wording(draft.text)
    if draft.filter is not None:
        filter_of(draft.filter)
    return {
        "account": find_account(tenant, draft.account, is_test=is_test),
        "name": draft.name,
        "text": draft.text,
        "starts_at": draft.starts_at,
        "ends_at": draft.ends_at,
        "operator_code_filter": draft.operator_code_filter,
        "tag_filter": draft.tag_filter,
        "filter": draft.filter,
        "local_from": draft.local_from,
        "local_until": draft.local_until,
        "rate_per_second": draft.rate_per_second,
    }


def _seconds(begins: time, ends: time) -> float:
    """Return how long it is from one time of day to the next time that the clock shows the other."""
    return (datetime.combine(date.min, ends) - datetime.combine(date.min, begins)).total_seconds() % 86_400


def draft_of(mailing: Mailing) -> Draft:
    """Return what would make this mailing again."""
    return Draft(
        text=mailing.text,
        starts_at=mailing.starts_at,
        ends_at=mailing.ends_at,
        operator_code_filter=mailing.operator_code_filter,
        tag_filter=mailing.tag_filter,
        filter=mailing.filter,
        local_from=mailing.local_from,
        local_until=mailing.local_until,
        rate_per_second=mailing.rate_per_second,
        name=mailing.name,
        account=mailing.account.name,
    )
