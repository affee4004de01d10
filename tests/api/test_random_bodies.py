"""Whatever JSON is sent to any route, the answer is never a fault of ours: no 5xx, a problem or a resource, and JSON."""

import json
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.calls import BODIES, MEMBERS_OF_A_PROBLEM, ask, made

pytestmark = pytest.mark.django_db

# The database is this test's own, so examples may follow each other in it; a slow machine is no finding.
MANY = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

# Characters of every kind, half a surrogate pair included: JSON can spell it.
texts = st.one_of(
    st.text(max_size=20),
    st.text(st.characters(categories=("Cs", "Cc", "Cf", "Lo")), max_size=5),
    st.sampled_from(
        ["ß" * 64, "ΐ" * 255, "x" * 11_000, "{{ tag }}", "{% if %}", "{{", "9" * 400, "None", "\x00"]
    ),
)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**31, 2**63 - 1, 2**63, -(2**63) - 1, 10**400]),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
times = st.one_of(
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.sampled_from(["2022-12-02", "25-10-2023T15:33:00", "0001-01-01", "9999-12-31T23:59:59.999999Z"]),
)
conditions = st.builds(
    lambda field, operator, value: {"field": field, operator: value},
    st.sampled_from(["id", "tag", "timezone", "attributes.a", "attributes.", "colour"]) | texts,
    st.sampled_from(["eq", "in", "prefix", "exists", "gt", "lt", "equals"]),
    values,
)
filters = st.recursive(
    conditions,
    lambda inner: st.dictionaries(
        st.sampled_from(["all", "any", "not", "field"]), st.lists(inner, max_size=3) | inner, max_size=2
    ),
    max_leaves=5,
)
# Values that may well be right, so that what lies behind the first look is met too.
likely: dict[str, st.SearchStrategy[Any]] = {
    "phone": st.from_regex(r"7[0-9]{10}", fullmatch=True),
    "phone_number": st.from_regex(r"7[0-9]{10}", fullmatch=True),
    "operator": st.integers(0, 10**9) | texts,
    "operator_code": texts,
    "tag": texts | st.none(),
    "timezone": texts,
    "start_time": times,
    "end_time": times,
    "text": texts,
    "clients": st.fixed_dictionaries({}, optional={"tag": texts | st.none(), "operator": leaves}),
    "client_tag_filter": texts | st.none(),
    "client_operator_code_filter": texts | st.none(),
    "name": texts,
    "filter": filters | st.none(),
    "external_id": texts | st.none(),
    "attributes": st.dictionaries(texts, leaves, max_size=3),
    "gateway_account": st.sampled_from(["", "log", "test", "x"]),
}
EVERY_NAME = [*likely, "id", "status", "started", "finished", "colour"]


def bodies(path: str) -> st.SearchStrategy[Any]:
    """Anything at all; known members with any value; and bodies that are right but for a member or two."""
    members = set(BODIES[path]) | (set(likely) - {"phone", "phone_number", "operator", "operator_code"})
    shaped = st.fixed_dictionaries({name: likely[name] for name in sorted(BODIES[path])})
    return st.one_of(
        values,
        st.dictionaries(st.sampled_from(EVERY_NAME), values, max_size=6),
        shaped,
        st.tuples(shaped, st.dictionaries(st.sampled_from(sorted(members)), values, max_size=2)).map(
            lambda pair: {**pair[0], **pair[1]}
        ),
    )


def check(answer: Any, good: int) -> None:
    assert answer.status_code in (good, 400, 404, 409), answer.content
    if answer.status_code != good:
        assert set(answer.json()) == MEMBERS_OF_A_PROBLEM
    assert answer.headers.get("Clarion-Warnings", "").isascii()


@pytest.mark.parametrize("path", BODIES)
def test_no_body_breaks_a_post(api: Client, path: str) -> None:
    @MANY
    @given(body=bodies(path))
    def holds(body: Any) -> None:
        answer = ask(api, "POST", path, json.dumps(body))

        check(answer, 201)
        if answer.status_code == 201:
            # What was stored can be shown, and put back.
            shown = f"{path.replace('/v1/mailings', '/mailing')}/{answer.json()['id']}"
            got = api.get(shown)
            assert got.status_code == 200
            assert ask(api, "PUT", shown, got.json()).status_code in (200, 409)

    holds()


def test_no_body_breaks_a_preview(api: Client) -> None:
    made(api, "/api/v1/clients", BODIES["/api/v1/clients"])

    @MANY
    @given(body=bodies("/api/v1/mailings"))
    def holds(body: Any) -> None:
        check(ask(api, "POST", "/api/v1/mailings/preview", body), 200)

    holds()


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_no_body_breaks_a_change(api: Client, path: str, method: str) -> None:
    row = made(api, path, BODIES[path])

    @MANY
    @given(body=bodies(path))
    def holds(body: Any) -> None:
        check(ask(api, method, f"{path}/{row['id']}", json.dumps(body)), 200)

    holds()


@pytest.mark.parametrize(
    "path", ["/api/client", "/api/v1/clients", "/api/message", "/api/v1/messages", "/api/v1/mailings/list"]
)
def test_no_query_breaks_a_list(api: Client, path: str) -> None:
    names = [
        "tag",
        "operator",
        "operator_code",
        "phone",
        "phone_number",
        "external_id",
        "q",
        "limit",
        "cursor",
        "mailing",
        "client",
        "status",
    ]
    odd = texts.filter(lambda text: not any("\ud800" <= character <= "\udfff" for character in text))
    members = odd | st.integers().map(str) | st.sampled_from(["9" * 19, "9" * 5_000, "-0", "1e9", "%"])

    @MANY
    @given(query=st.dictionaries(st.sampled_from(names), members, max_size=4))
    def holds(query: dict[str, str]) -> None:
        check(api.get(path, query), 200)

    holds()


@pytest.mark.parametrize("path", BODIES)
def test_no_bytes_break_a_post(api: Client, path: str) -> None:
    @MANY
    @given(
        body=st.binary(min_size=1, max_size=60)
        | st.text(alphabet='{}[]",:0e-.\\u ntf', max_size=30).map(str.encode)
    )
    def holds(body: bytes) -> None:
        check(ask(api, "POST", path, body), 201)

    holds()


def test_a_body_is_sent_as_json_spells_it() -> None:
    """The strategies above reach the program as they are drawn: half a surrogate pair survives the spelling."""
    assert json.loads(json.dumps({"\ud800": "\udfff"})) == {"\ud800": "\udfff"}
