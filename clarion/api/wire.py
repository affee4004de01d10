"""The rules of the whole surface: members, texts, times, pages, warnings. No route decides any of this by itself."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, time
from typing import Annotated, Any, TypeVar

from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from ninja import Schema
from ninja.parser import Parser
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo

from clarion.api.auth import caller_of
from clarion.api.problems import Unreadable
from clarion.lib import strict_json
from clarion.lib.times import parse_time
from clarion.lib.validators import before, looked_through
from clarion.models import Tenant
from clarion.models.attributes import errors_in
from clarion.models.profiles import ExternalId as ExternalId
from clarion.models.profiles import Operator as Operator
from clarion.models.profiles import Phone as Phone
from clarion.models.profiles import Tag as Tag
from clarion.models.profiles import Text as Text
from clarion.models.profiles import Zone as Zone

# Ids are 64-bit on every database; a larger number names nothing.
LARGEST_ID = 2**63 - 1
DEFAULT_LIMIT, MOST = 50, 100
# What `operator` is given as a number up to; real ones have three digits.
LARGEST_OPERATOR = 10**9
_LOCAL_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?")

Row = TypeVar("Row", bound=Model)


def _operator(value: Any) -> Any:
    """An operator is a number to some callers and a text to others; 914 and "914" are one."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value <= LARGEST_OPERATOR:
            raise ValueError(f"must be from 0 to {LARGEST_OPERATOR}")
        return str(value)
    return value


def _id(value: Any) -> Any:
    """1112 and "1112" are one id. What is longer than any id stays the text it is, and is refused as such."""
    is_number = isinstance(value, str) and value.isascii() and value.isdigit()
    return int(value) if is_number and len(value) <= len(str(LARGEST_ID)) else value


def _time(value: Any, info: ValidationInfo) -> datetime:
    if not isinstance(value, str):
        raise ValueError("must be a text such as 2026-11-20T14:00:00Z")
    request = (info.context or {}).get("request")
    return parse_time(value, tenant_of(request).zone if request else UTC)


def _local_time(value: Any) -> time:
    """A time of day on somebody's wall, without a zone."""
    if not isinstance(value, str) or not _LOCAL_TIME.fullmatch(value):
        raise ValueError("must be a time of day such as 09:00")
    return time.fromisoformat(value)


LocalTime = Annotated[time, before(_local_time, taken_from=str)]
Time = Annotated[datetime, before(_time, taken_from=str)]
Id = Annotated[int, Field(ge=1, le=LARGEST_ID), before(_id)]
Attributes = Annotated[dict[str, Any], looked_through(errors_in)]
NumberOrOperator = Annotated[Operator, before(_operator, taken_from=int | str)]
# A filter that is longer than what it is compared with finds nothing; this bounds the work of finding that out.
Search = Annotated[Text, Field(max_length=255)]


class Body(BaseModel):
    """A request's body. Unknown members are refused by name; those of our own answers are taken and ignored."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Page(Schema):
    """Where a list begins and how long it may be. `cursor` comes from the answer before."""

    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MOST)
    cursor: int | None = Field(None, ge=0, le=LARGEST_ID)


class StrictJson(Parser):
    """Reads bodies: what is ambiguous or endless is refused before any member is looked at."""

    def parse_body(self, request: HttpRequest) -> Any:
        kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind and kind != "application/json":
            raise Unreadable(415, "not_json", "Send the body as Content-Type: application/json.")
        try:
            # RFC 8259 knows UTF-8 only; bytes would be guessed at.
            text = request.body.decode("utf-8")
            return strict_json.read(text)
        except RecursionError as error:
            raise Unreadable(400, "too_deep", "The body is nested too deeply.") from error
        except ValueError as error:
            raise Unreadable(400, "not_json", f"The body is not JSON: {error}.") from error


def tenant_of(request: HttpRequest) -> Tenant:
    return caller_of(request).tenant


def check_id(row: Model, fields: dict[str, Any]) -> None:
    """An `id` that is sent back must be the one of the path."""
    if fields.get("id") not in (None, row.pk):
        raise Unreadable(400, "id_differs", f"This is {row.pk}; an id cannot be changed.", "id")


def find(rows: "QuerySet[Row]", row_id: int) -> Row:
    """Return the row of this id.

    :raises Http404: no such row, or one of another tenant
    """
    row = rows.filter(pk=row_id).first() if 0 < row_id <= LARGEST_ID else None
    if row is None:
        raise Http404
    return row


def page_of(
    rows: "QuerySet[Row]", page: Page, present: Callable[[Row], dict[str, Any]]
) -> tuple[list[dict[str, Any]], str | None]:
    """Return one page in the order of ids, and the cursor of the next one. Stable while new rows arrive."""
    found = list(rows.filter(pk__gt=page.cursor or 0).order_by("pk")[: page.limit + 1])
    shown = found[: page.limit]
    following = str(shown[-1].pk) if len(found) > page.limit else None
    return [present(row) for row in shown], following


def link_next(request: HttpRequest, response: HttpResponse, cursor: str | None) -> None:
    """Name the next page of a list that is a bare array (RFC 8288)."""
    if cursor:
        query = request.GET.copy()
        query["cursor"] = cursor
        response.headers["Link"] = f'<{request.path}?{query.urlencode()}>; rel="next"'


def warn(response: HttpResponse, sentences: Sequence[str]) -> None:
    """Say what was odd and taken all the same."""
    if sentences:
        response.headers["Clarion-Warnings"] = "; ".join(sentences)
