"""The body of a problem answer, as RFC 9457 and our contract have it."""

import json

import pytest

from clarion.lib.problems import Problem


def test_a_problem_has_all_members_of_the_contract() -> None:
    problem = Problem(
        status=400,
        code="invalid_body",
        detail="Two members are wrong.",
        errors=({"loc": ("client", "phone"), "msg": "not a number"}, {"loc": ["tags", 0], "msg": "too long"}),
    )

    body = problem.to_dict("req-1")

    assert json.loads(json.dumps(body)) == {
        "type": "/docs/problems#invalid_body",
        "title": "Bad Request",
        "status": 400,
        "detail": "Two members are wrong.",
        "code": "invalid_body",
        "errors": [
            {"loc": ["client", "phone"], "msg": "not a number"},
            {"loc": ["tags", 0], "msg": "too long"},
        ],
        "request_id": "req-1",
    }


def test_a_title_of_its_own_takes_the_place_of_the_phrase() -> None:
    problem = Problem(status=409, code="already_started", detail="It runs.", title="The mailing has started")

    assert problem.to_dict("")["title"] == "The mailing has started"


def test_a_problem_without_wrong_members_names_none() -> None:
    assert Problem(status=404, code="not_found", detail="No such client.").to_dict("")["errors"] == []


@pytest.mark.parametrize("status", [0, 200, 399, 600])
def test_a_status_that_is_no_error_makes_no_problem(status: int) -> None:
    with pytest.raises(ValueError, match=str(status)):
        Problem(status=status, code="odd", detail="")


@pytest.mark.parametrize("code", ["", "Not_Found", "not-found", "not found", "4xx", "a#b"])
def test_a_code_is_one_word_that_can_be_an_anchor(code: str) -> None:
    with pytest.raises(ValueError, match="snake"):
        Problem(status=400, code=code, detail="")
