"""Every route of the API, walked: it asks for a scope, it is described, its path bears a slash, it knows its methods."""

import itertools
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import resolve
from ninja import NinjaAPI
from ninja.operation import Operation

from clarion.api.auth import Requires
from clarion.flows.callers import SCOPES
from tests.api.calls import ask, refusal

# Open to whoever reaches the port: nothing there belongs to a tenant.
PUBLIC = {"/api", "/healthz", "/readyz", "/metrics", "/docs/problems"}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", "BREW")
# Pages for people, which describe no resource.
NOT_DESCRIBED = {"/docs/problems"}


# What Django answers at the door, as clarion.urls has it.
API: NinjaAPI = resolve("/openapi.json").func.keywords["api"]  # type: ignore[attr-defined]


def routes() -> list[tuple[str, str, Operation]]:
    return [
        (method, path, operation)
        for router in API._get_bound_routers()
        for path, view in router.path_operations.items()
        for operation in view.operations
        for method in operation.methods
    ]


def description() -> dict[str, Any]:
    return dict(Client().get("/openapi.json").json())


def concrete(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "1", path)


ROUTES = routes()
PATHS = sorted({path for _, path, _ in ROUTES})
NAMES = [f"{method} {path}" for method, path, _ in ROUTES]


def test_the_walk_finds_the_routes() -> None:
    assert len(ROUTES) > 30
    assert {"GET /api", "POST /api/v1/clients", "DELETE /api/mailing/{int:mailing_id}"} <= set(NAMES)


@pytest.mark.parametrize(("method", "path", "operation"), ROUTES, ids=NAMES)
def test_every_route_asks_for_a_scope_or_is_public(method: str, path: str, operation: Operation) -> None:
    asked = [auth.scope for auth in operation.auth_callbacks if isinstance(auth, Requires)]

    if path in PUBLIC:
        assert (method, operation.auth_callbacks) == ("GET", [])
    else:
        assert len(asked) == len(operation.auth_callbacks) == 1
        assert asked[0] in SCOPES


@pytest.mark.django_db
@pytest.mark.parametrize(("method", "path"), [route[:2] for route in ROUTES], ids=NAMES)
def test_no_route_answers_without_a_key_unless_it_is_public(method: str, path: str) -> None:
    for slash in ("", "/"):
        answer = ask(Client(), method, concrete(path) + slash, {})

        assert answer.status_code == (200 if path in PUBLIC else 401)


def test_the_description_lists_every_route() -> None:
    described = {
        f"{method.upper()} {path}" for path, methods in description()["paths"].items() for method in methods
    }
    expected = {
        f"{method} {re.sub(r'{[a-z]+:', '{', path)}"
        for method, path, _ in ROUTES
        if path not in NOT_DESCRIBED
    }

    assert described == expected


def test_the_description_names_every_member_of_a_body() -> None:
    schemas: dict[str, Any] = description()["components"]["schemas"]

    assert set(schemas["ClientBody"]["required"]) == {"phone", "operator_code", "timezone"}
    assert set(schemas["ShortMailingBody"]["properties"]) >= {"clients", "start_time", "end_time", "text"}
    assert schemas["MailingBody"]["properties"]["start_time"]["type"] == "string"


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [
        operation["operationId"]
        for methods in description()["paths"].values()
        for operation in methods.values()
    ]

    assert len(names) == len(set(names))


WRONG_METHODS = [
    (method, path)
    for method, path in itertools.product(METHODS, PATHS)
    if (method, path) not in {route[:2] for route in ROUTES}
]


@pytest.mark.django_db
@pytest.mark.parametrize("slash", ["", "/"], ids=["without a slash", "with a slash"])
def test_a_method_that_is_not_served_is_refused_with_those_that_are(api: Client, slash: str) -> None:
    for method, path in WRONG_METHODS:
        served = sorted(known for known, known_path, _ in ROUTES if known_path == path)

        answer = ask(api, method, concrete(path) + slash)

        assert (method, path, answer.status_code) == (method, path, 405)
        assert answer.headers["Allow"] == ", ".join(served)
        if method != "HEAD":
            assert refusal(answer, 405)["code"] == "method_not_served"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api/nothing",
        "/api/v1",
        "/api//client",
        "/api/client//",
        "//",
        "/API/client",
        "/%00",
        "/api/client/1/x",
        "/static/x",
    ],
)
def test_a_path_that_is_none_is_not_found(api: Client, path: str) -> None:
    assert refusal(ask(api, "GET", path), 404)["code"] == "not_found"


@pytest.mark.django_db
def test_a_caller_needs_no_token_against_forgery(api: Client) -> None:
    """A key in a header cannot be sent by a page of another site, so no form token is asked for."""
    strict = Client(enforce_csrf_checks=True, headers={"Authorization": api.defaults["HTTP_AUTHORIZATION"]})

    assert ask(strict, "POST", "/api/v1/clients", {}).status_code == 400
