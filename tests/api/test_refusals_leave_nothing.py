"""A refused request leaves nothing behind in memory, whatever was wrong with it."""

import gc
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.test import Client

pytestmark = pytest.mark.django_db

GOOD_MAILING = {"start_time": "9000-01-01T00:00:00Z", "end_time": "9000-01-02T00:00:00Z", "text": "hello"}
GOOD_CLIENT = {"phone": "70000000001", "operator_code": "900", "tag": "vip", "timezone": "UTC"}


def requests_kept() -> int:
    gc.collect()
    return sum(isinstance(each, WSGIRequest) for each in gc.get_objects())


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/mailings", {**GOOD_MAILING, "text": "{{ nobody }}"}),
        ("/api/v1/mailings", {**GOOD_MAILING, "start_time": "soon"}),
        ("/api/v1/mailings", {**GOOD_MAILING, "end_time": "8000-01-01"}),
        ("/api/v1/mailings", {**GOOD_MAILING, "filter": {"nothing": 1}}),
        ("/api/v1/mailings", {**GOOD_MAILING, "gateway_account": "nobody's"}),
        ("/api/v1/clients", {**GOOD_CLIENT, "operator_code": "x" * 65}),
        ("/api/v1/clients", {**GOOD_CLIENT, "tag": "a\0b"}),
        ("/api/v1/clients", {**GOOD_CLIENT, "attributes": {"a": {"b": []}}}),
        ("/api/mailing", {"clients": {"operator": [1]}, **GOOD_MAILING}),
        ("/api/v1/events", {"event_type": "nothing"}),
        ("/receive_event", {"event_type": "nothing"}),
    ],
)
def test_a_refused_request_is_forgotten(api: Client, path: str, body: dict[str, Any]) -> None:
    before = requests_kept()
    statuses = {api.post(path, body, content_type="application/json").status_code for _ in range(3)}

    assert statuses == {400}
    assert requests_kept() <= before
