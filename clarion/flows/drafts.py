"""What somebody wants a mailing to be, and whether it can be that. Stores nothing."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clarion.lib.texts import compile_text
from clarion.models import GatewayAccount, Mailing, Tenant


class EndsBeforeStart(ValueError):
    """The window has no inside."""


class NoSuchAccount(ValueError):
    """The tenant has no gateway account of this name."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody wants a mailing to be. Text and labels as they were sent, times in UTC."""

    text: str
    starts_at: datetime
    ends_at: datetime
    operator_code_filter: str | None = None
    tag_filter: str | None = None
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

    :raises EndsBeforeStart, NoSuchAccount, BadText:
    """
    if draft.ends_at <= draft.starts_at:
        raise EndsBeforeStart("end_time must come after start_time")
    compile_text(draft.text)
    return {
        "account": find_account(tenant, draft.account, is_test=is_test),
        "name": draft.name,
        "text": draft.text,
        "starts_at": draft.starts_at,
        "ends_at": draft.ends_at,
        "operator_code_filter": draft.operator_code_filter,
        "tag_filter": draft.tag_filter,
    }


def draft_of(mailing: Mailing) -> Draft:
    """Return what would make this mailing again."""
    return Draft(
        text=mailing.text,
        starts_at=mailing.starts_at,
        ends_at=mailing.ends_at,
        operator_code_filter=mailing.operator_code_filter,
        tag_filter=mailing.tag_filter,
        name=mailing.name,
        account=mailing.account.name,
    )
