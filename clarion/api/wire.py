"""The rules of the whole surface: members, texts, times, pages, warnings. No route decides any of this by itself."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from ninja import Schema
from ninja.parser import Parser
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from clarion.api.auth import caller_of
from clarion.api.problems import Unreadable
from clarion.lib.times import parse_time
from clarion.lib.zones import find_zone
from clarion.models import Tenant
from clarion.models.customers import fold

# Ids are 64-bit on every database; a larger number names nothing.
LARGEST_ID = 2**63 - 1
DEFAULT_LIMIT, MOST = 50, 100
# What `operator` is given as a number up to; real ones have three digits.
LARGEST_OPERATOR = 10**9

Row = TypeVar("Row", bound=Model)


def _plain_text(value: str) -> str:
    """Texts every database can keep: no NUL, no half of a surrogate pair."""
    if "\x00" in value:
        raise ValueError("must not contain the NUL character")
    if _is_broken(value):
        raise ValueError("must be valid Unicode: there is half of a surrogate pair in it")
    return value


def _is_broken(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _fits(length: int) -> AfterValidator:
    """Limit the form in which a label is compared: folding makes some texts longer (ß becomes ss)."""

    def check(value: str) -> str:
        if len(fold(value)) > length:
            raise ValueError(f"must have at most {length} characters, also when its case is ignored")
        return value

    return AfterValidator(check)


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
    return parse_time(value, zone_of(tenant_of(request)) if request else ZoneInfo("UTC"))


Text = Annotated[str, AfterValidator(_plain_text)]
Time = Annotated[datetime, BeforeValidator(_time, json_schema_input_type=str)]
Id = Annotated[int, Field(ge=1, le=LARGEST_ID), BeforeValidator(_id)]
Operator = Annotated[Text, Field(min_length=1, max_length=64), _fits(64)]
Tag = Annotated[Text, Field(max_length=255), _fits(255)]
NumberOrOperator = Annotated[Operator, BeforeValidator(_operator, json_schema_input_type=int | str)]
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
            return json.loads(text, object_pairs_hook=_members, parse_constant=_no_constant)
        except RecursionError as error:
            raise Unreadable(400, "too_deep", "The body is nested too deeply.") from error
        except ValueError as error:
            raise Unreadable(400, "not_json", f"The body is not JSON: {error}.") from error


def zone_of(tenant: Tenant) -> Any:
    return find_zone(tenant.timezone) or ZoneInfo("UTC")


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


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ValueError(f"{twice[:100]!a} stands in it twice")
    if any(map(_is_broken, members)):
        raise ValueError("the name of a member is not valid Unicode")
    return members


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")
