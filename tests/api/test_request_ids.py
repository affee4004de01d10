"""X-Request-Id: the caller's own is taken over, a new one is made where it is missing or would do harm."""

import re

import pytest
from django.test import Client

from tests.api.calls import ask, refusal

pytestmark = pytest.mark.django_db
MADE = re.compile(r"req_[0-9a-f]{32}")


@pytest.mark.parametrize(
    "given", ["abc-1", "A.b_c:d/e+f=g", "x" * 128, "8e03978e-40d5-43dd-bc93-6894a57f9324"]
)
def test_an_id_is_taken_over(api: Client, given: str) -> None:
    for path in ("/api/client", "/api/nothing", "/api/client/0", "/healthz", "/docs", "/admin/"):
        assert ask(api, "GET", path, X_Request_Id=given).headers["X-Request-Id"] == given


@pytest.mark.parametrize(
    "given",
    ["", "a b", "x" * 129, "a\nb", "a\r\nSet-Cookie: x=1", "\x1b[31m", "<script>", "тест", '"', "{}", "%s"],
)
def test_a_hostile_id_is_replaced(api: Client, given: str) -> None:
    answer = ask(api, "GET", "/api/client", X_Request_Id=given)

    assert MADE.fullmatch(answer.headers["X-Request-Id"])
    assert "Set-Cookie" not in answer.headers


def test_an_id_is_made_and_no_two_are_alike(api: Client) -> None:
    ids = {api.get("/api/client").headers["X-Request-Id"] for _ in range(20)}

    assert len(ids) == 20
    assert all(MADE.fullmatch(made) for made in ids)


def test_a_refusal_names_the_id_in_its_body(api: Client) -> None:
    for method, path, status in (("GET", "/api/nothing", 404), ("DELETE", "/api/client", 405)):
        assert refusal(ask(api, method, path, X_Request_Id="mine"), status)["request_id"] == "mine"
    assert refusal(ask(Client(), "GET", "/api/client", X_Request_Id="mine"), 401)["request_id"] == "mine"
