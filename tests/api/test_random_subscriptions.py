"""Whatever JSON is sent to a subscription's routes: never a fault of ours, and what was stored can be put back."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from clarion.lib.masks import MASK
from tests.api.calls import MEMBERS_OF_A_PROBLEM, ask, made
from tests.api.test_random_bodies import MANY, leaves, texts, times, values
from tests.subscribers import PATH, URL, body

pytestmark = pytest.mark.django_db

urls = st.sampled_from([URL, "http://127.0.0.1/", "https://[::1]", "https://x\x00", "string", MASK]) | texts
settings_of = st.fixed_dictionaries(
    {},
    optional={
        **{"url": urls, "secret": texts | st.just(MASK) | values, "timeout": leaves},
        **{"headers": st.dictionaries(texts, texts | st.just(MASK), max_size=2) | values},
        **{
            "oldSecrets": st.lists(
                st.fixed_dictionaries({"secret": texts | leaves, "until": times}), max_size=2
            )
        },
        **{"accessKey": texts, "accessSecret": texts | st.just(MASK), "queueUrl": urls, "region": texts},
        **{"endpoint": urls | values},
    },
)
destinations = st.dictionaries(
    st.sampled_from(["type", "webhook", "sqs", "sns", "colour"]),
    st.sampled_from(["WEBHOOK", "sqs", "SNS", "PIGEON"]) | settings_of | values,
    max_size=3,
)
webhooks = st.builds(lambda block: {"type": "WEBHOOK", "webhook": {"url": URL, **block}}, settings_of)
sqs = {"accessKey": "string", "accessSecret": "string", "queueUrl": "string", "region": "string"}
queues = st.builds(lambda block: {"type": "SNS", "sqs": {**sqs, **block}}, settings_of)
conditions = st.dictionaries(
    st.sampled_from(["all", "any", "not", "path", "equals", "in", "prefix", "range", "exists"]),
    values | texts,
    max_size=3,
)
members = {
    "active": leaves,
    "destination": destinations | webhooks | queues | values,
    "entityType": texts | st.sampled_from(["ALL", "all", "MESSAGE_SENT"]),
    "id": leaves,
    "subscribeCreate": leaves,
    "filter": conditions | values,
    "format": texts | st.just("Interaction"),
    "ordered": leaves,
    "colour": values,
}
bodies = st.one_of(
    values,
    st.builds(lambda found: {**body(), **found}, st.fixed_dictionaries({}, optional=members)),
    st.builds(lambda found: {**body(), **found}, st.fixed_dictionaries({}, optional={"id": leaves})),
    st.builds(lambda found: body(destination=found), webhooks | queues),
)


def check(answer: Any, *good: int) -> None:
    assert answer.status_code in (*good, 400, 404, 409), answer.content
    if answer.status_code not in good:
        assert set(answer.json()) == MEMBERS_OF_A_PROBLEM
    assert answer.headers.get("Clarion-Warnings", "").isascii()


def test_no_body_breaks_a_subscription(api: Client) -> None:
    @MANY
    @given(sent=bodies)
    def holds(sent: Any) -> None:
        answer = ask(api, "POST", PATH, json.dumps(sent))

        check(answer, 200, 201)
        if answer.status_code == 201:
            got = next(
                each
                for each in api.get(f"{PATH}?active=all&limit=100").json()
                if each["id"] == answer.json()["id"]
            )
            assert ask(api, "PUT", PATH, got).status_code == 200
            assert ask(api, "POST", PATH, got).status_code == 200

    holds()


@pytest.mark.parametrize("path", [PATH, f"{PATH}/orders"])
def test_no_body_breaks_a_replacement(api: Client, path: str) -> None:
    made(api, PATH, body())

    @MANY
    @given(sent=bodies)
    def holds(sent: Any) -> None:
        check(ask(api, "PUT", path, json.dumps(sent)), 200)

    holds()


@pytest.mark.parametrize("call", ["match", "replay", "recover", "test", "rotate-secret"])
def test_no_body_breaks_a_call(api: Client, call: str) -> None:
    made(api, PATH, body(filter={"path": "payload.a", "range": {"gt": 1}}))
    likely = st.dictionaries(
        st.sampled_from(["event_id", "event_type", "event_payload", "entity_name", "id", "timestamp"])
        | st.sampled_from(["since", "until", "after_seq", "until_seq", "filter", "dry_run", "customer_id"]),
        values | times | conditions | st.sampled_from(["ORDER", "email_open", 0, 1, True]),
        max_size=4,
    )

    @MANY
    @given(sent=values | likely)
    def holds(sent: Any) -> None:
        check(ask(api, "POST", f"{PATH}/orders/{call}", json.dumps(sent)), 200, 202)

    holds()


@pytest.mark.parametrize("path", [PATH, f"{PATH}/orders/deliveries", f"{PATH}/orders/redeliveries"])
def test_no_query_breaks_a_list(api: Client, path: str) -> None:
    made(api, PATH, body())
    odd = texts.filter(lambda text: not any("\ud800" <= character <= "\udfff" for character in text))
    said = odd | st.integers().map(str) | times | st.sampled_from(["all", "SENT", "9" * 19, "-0", "%"])

    @MANY
    @given(
        query=st.dictionaries(
            st.sampled_from(["active", "status", "since", "until", "limit", "cursor"]), said
        )
    )
    def holds(query: dict[str, str]) -> None:
        check(api.get(path, query), 200)

    holds()


def test_no_id_in_a_path_breaks_a_read(api: Client) -> None:
    @MANY
    @given(ref=texts.filter(lambda text: not any("\ud800" <= each <= "\udfff" for each in text)))
    def holds(ref: str) -> None:
        check(api.get(f"{PATH}/{quote(ref, safe='')}"), 200)

    holds()
