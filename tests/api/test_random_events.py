"""Whatever JSON is sent as events, the answer is never a fault of ours."""

import json
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.calls import MEMBERS_OF_A_PROBLEM, ask
from tests.api.test_posting_events import PATHS, PURCHASE, every_path

pytestmark = pytest.mark.django_db

texts = st.text(max_size=10) | st.sampled_from(["\x00", "\ud800", "x" * 300, "p-1", "2023-10-24", "PRODUCT"])
leaves = st.none() | st.booleans() | st.integers() | st.floats() | texts
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from([*PURCHASE, "id", "event_payload", "entity_name", "event_source", "clicked_link"])


@every_path
def test_no_body_breaks_a_post(api: Client, path: str) -> None:
    payloads = st.dictionaries(
        st.sampled_from(["operation", "key_attributes", "entity_id", "base64_encoded_payload_json"]), values
    )
    members = st.dictionaries(names, values | payloads, max_size=4).map(lambda odd: {**PATHS[path], **odd})

    @settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(body=values | members | st.lists(members, max_size=3))
    def holds(body: Any) -> None:
        answer = ask(api, "POST", path, json.dumps(body))

        assert answer.status_code in (200, 201, 207, 400, 409), answer.content
        if answer.status_code in (400, 409):
            assert set(answer.json()) == MEMBERS_OF_A_PROBLEM
        elif answer.status_code in (200, 201) and isinstance(body, dict):
            assert api.get("/api/v1/events?limit=1").json()["data"]

    holds()
