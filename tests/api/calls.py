"""How the tests of the API call it: one function for any method and any body, sample bodies, and what a refusal is."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from django.test import Client

CLIENT = {"phone": "70000000001", "operator_code": "900", "tag": "VIP", "timezone": "Europe/Berlin"}
SHORT_CLIENT = {"phone_number": "70000000001", "operator": 900, "tag": "VIP", "timezone": "UTC"}
# Over long ago, or far ahead: no test depends on the day it runs.
OVER = {"start_time": "2022-12-02T16:50:00Z", "end_time": "2022-12-03"}
AHEAD = {"start_time": "9000-01-01T00:00:00Z", "end_time": "9000-01-02T00:00:00Z"}
MAILING = {**AHEAD, "text": "hello"}
SHORT_MAILING = {**AHEAD, "text": "hello", "clients": {"tag": "VIP", "operator": 900}}
# Every path that takes a body, with one that it accepts.
BODIES: dict[str, dict[str, Any]] = {
    "/api/v1/clients": CLIENT,
    "/api/client": SHORT_CLIENT,
    "/api/v1/mailings": MAILING,
    "/api/mailing": SHORT_MAILING,
}
MEMBERS_OF_A_PROBLEM = {"type", "title", "status", "detail", "code", "errors", "request_id"}


def open_window() -> dict[str, str]:
    """A window that is open now."""
    now = datetime.now(UTC)
    return {
        "start_time": (now - timedelta(minutes=1)).isoformat(),
        "end_time": (now + timedelta(hours=1)).isoformat(),
    }


def ask(
    api: Client, method: str, path: str, body: Any = None, *, kind: str = "application/json", **headers: str
) -> Any:
    """Send one request. A text or bytes are sent as they stand, anything else as JSON."""
    data = body if isinstance(body, str | bytes) else "" if body is None else json.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return api.generic(method, path, data, content_type=kind, headers=named)


def made(api: Client, path: str, body: Any, **headers: str) -> dict[str, Any]:
    """POST what must be accepted, and return the answer's members."""
    answer = ask(api, "POST", path, body, **headers)
    assert answer.status_code == 201, answer.content
    return dict(answer.json())


def refusal(answer: Any, status: int) -> dict[str, Any]:
    """Check that an answer is a problem as RFC 9457 wants it, and return it."""
    assert answer.status_code == status, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = dict(answer.json())
    assert set(problem) == MEMBERS_OF_A_PROBLEM
    assert (problem["status"], problem["request_id"]) == (status, answer.headers["X-Request-Id"])
    return problem


def wrong_members(answer: Any) -> set[str]:
    """The members that a 400 names."""
    return {".".join(map(str, error["loc"])) for error in refusal(answer, 400)["errors"]}
