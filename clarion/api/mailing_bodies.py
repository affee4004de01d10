"""What may be said of a mailing, in the words of either face; taken to make one, to change one and to preview one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, ValidationInfo

from clarion.api.auth import caller_of
from clarion.api.wire import (
    Body,
    Id,
    LocalTime,
    NumberOrOperator,
    Operator,
    Tag,
    Text,
    Time,
)
from clarion.flows.drafts import EndsBeforeStart, find_account
from clarion.flows.wording import check_wording
from clarion.lib.filters import BadFilter
from clarion.lib.problems import FieldError
from clarion.lib.texts import LONGEST_TEXT
from clarion.lib.validators import after, looked_through
from clarion.models.accounts import LARGEST_RATE, LEAST_RATE
from clarion.models.conditions import filter_of

WINDOW_OVER = "end_time: the window is over; every message becomes TIMEOUT"


def _can_be_made(value: str) -> str:
    check_wording(value)
    return value


def _inside(value: datetime, info: ValidationInfo) -> datetime:
    """Refuse an end before the start beside whatever else is wrong; both are in the body, unless it is a PATCH."""
    start = info.data.get("start_time")
    if start is not None and value <= start:
        raise EndsBeforeStart("end_time must come after start_time")
    return value


def _known_account(value: str, info: ValidationInfo) -> str:
    caller = caller_of((info.context or {})["request"])
    if value:
        find_account(caller.tenant, value, is_test=caller.is_test)
    return value


def _errors_in(value: object) -> Sequence[FieldError]:
    try:
        filter_of(value)
    except BadFilter as error:
        return error.errors
    return []


MailingText = Annotated[Text, Field(min_length=1, max_length=LONGEST_TEXT), after(_can_be_made)]
End = Annotated[Time, after(_inside)]
Rate = Annotated[float, Field(ge=LEAST_RATE, le=LARGEST_RATE, strict=False)]
Conditions = Annotated[dict[str, Any], looked_through(_errors_in)]
AccountName = Annotated[Text, Field(max_length=100), after(_known_account)]


class MailingBody(Body):
    start_time: Time
    end_time: End
    text: MailingText
    client_operator_code_filter: Operator | None = None
    client_tag_filter: Tag | None = None
    filter: Conditions | None = None
    local_from: LocalTime | None = None
    local_until: LocalTime | None = None
    rate_per_second: Rate | None = None
    name: Text = Field("", max_length=200)
    gateway_account: AccountName = ""
    id: Id | None = None
    # Ours, in answers; taken back and ignored.
    status: Any = Field(None, exclude=True)
    started: Any = Field(None, exclude=True)
    finished: Any = Field(None, exclude=True)


class MailingChange(MailingBody):
    start_time: Time = None  # type: ignore[assignment]
    end_time: End = None  # type: ignore[assignment]
    text: MailingText = ""


class Audience(Body):
    tag: Tag | None = None
    operator: NumberOrOperator | None = None


class ShortMailingBody(Body):
    """The same row as `/api/mailing` knows it."""

    clients: Audience = Audience()
    start_time: Time
    end_time: End
    text: MailingText
    id: Id | None = None


class ShortMailingChange(ShortMailingBody):
    start_time: Time = None  # type: ignore[assignment]
    end_time: End = None  # type: ignore[assignment]
    text: MailingText = ""


def of_short_face(fields: dict[str, Any]) -> dict[str, Any]:
    """Give the members of the short face the names of the long one; those of `clients` that were left out stay out."""
    names = {"tag": "client_tag_filter", "operator": "client_operator_code_filter"}
    audience = fields.pop("clients", {})
    return {**fields, **{names[name]: value for name, value in audience.items()}}


_DRAFT_NAMES = {
    "text": "text",
    "start_time": "starts_at",
    "end_time": "ends_at",
    "client_operator_code_filter": "operator_code_filter",
    "client_tag_filter": "tag_filter",
    "filter": "filter",
    "local_from": "local_from",
    "local_until": "local_until",
    "rate_per_second": "rate_per_second",
    "name": "name",
    "gateway_account": "account",
}


def of_draft(fields: dict[str, Any]) -> dict[str, Any]:
    """Give members of a body the names of the Draft's fields; those that are none stay out."""
    return {_DRAFT_NAMES[name]: value for name, value in fields.items() if name in _DRAFT_NAMES}
