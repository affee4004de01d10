"""Problem details (RFC 9457): the one form in which every door says that something is wrong.

Pure data. Status codes are chosen, and headers written, by the door that answers.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypedDict

MEDIA_TYPE = "application/problem+json"
# `type` is a relative reference (RFC 9457 §3.1.1 allows it), so that it leads to the page of the very
# installation that answered. The page has one anchor for each code.
PAGE = "/docs/problems"

_CODE = re.compile(r"[a-z][a-z0-9_]*")


class FieldError(TypedDict):
    """One wrong member: the way to it from the outermost value, and what is wrong with it."""

    loc: Sequence[str | int]
    msg: str


class ProblemBody(TypedDict):
    """The members on the wire, always all of them."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldError]
    request_id: str


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a request. `code` is for programs and never changes; `detail` is for people.

    `title` is the same for every problem of a code, the status's own phrase unless given.

    :raises ValueError: for a status that is no error, or a code that is no lower_snake_case word
    """

    status: int
    code: str
    detail: str
    title: str = ""
    errors: Sequence[FieldError] = ()

    def __post_init__(self) -> None:
        if not 400 <= self.status <= 599:
            raise ValueError(f"{self.status} does not say that something is wrong")
        if not _CODE.fullmatch(self.code):
            raise ValueError(f"{self.code!r} is not a lower_snake_case code")

    def to_dict(self, request_id: str) -> ProblemBody:
        """Return the body, ready for JSON."""
        return {
            "type": f"{PAGE}#{self.code}",
            "title": self.title or HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "errors": [{"loc": list(error["loc"]), "msg": error["msg"]} for error in self.errors],
            "request_id": request_id,
        }
