"""Every code that the program answers with is explained, and a problem's `type` leads to the explanation."""

import ast
from collections.abc import Iterator
from pathlib import Path

from django.test import Client

from clarion.api.catalogue import CATALOGUE

PACKAGE = Path(__file__).parents[2] / "clarion"
# What makes a problem, and where its status and its code stand among the arguments.
MAKERS = {"problem_response": (1, 2), "_refuse": (1, 2), "Unreadable": (0, 1), "Problem": (0, 1)}


def codes_in(tree: ast.Module) -> Iterator[tuple[int | None, str]]:
    """Give (status, code) wherever a code stands literally or by way of a constant; status None where it does not."""
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Tuple(elts=[ast.Constant(value=int(status)), ast.Constant(value=str(code))]):
                if 400 <= status <= 599:  # REFUSALS
                    yield status, code
            case ast.Call(func=ast.Name(id=name), args=given) if name in MAKERS:
                status_at, code_at = MAKERS[name]
                if len(given) <= code_at:
                    continue
                status_given, code_given = given[status_at], given[code_at]
                if isinstance(code_given, ast.Name):
                    code_given = constants.get(code_given.id, code_given)
                if isinstance(code_given, ast.Constant):
                    status = status_given.value if isinstance(status_given, ast.Constant) else None
                    yield status, code_given.value


def used() -> set[tuple[int | None, str]]:
    return {pair for path in PACKAGE.rglob("*.py") for pair in codes_in(ast.parse(path.read_text()))}


def test_every_code_that_is_used_is_in_the_catalogue_and_no_other():
    assert {code for _, code in used()} == set(CATALOGUE)


def test_every_code_comes_with_the_statuses_of_its_entry():
    known = {pair for pair in used() if pair[0] is not None}

    wrong = [(status, code) for status, code in known if status not in CATALOGUE[code].statuses]

    assert wrong == []


def test_the_type_of_a_problem_leads_to_its_explanation():
    problem = Client().get("/api/nothing-of-the-kind").json()

    page = Client().get(problem["type"])

    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert f"<dt id={problem['code']}>" in page.content.decode()


def test_the_page_needs_no_key_and_has_an_anchor_for_every_code():
    page = Client().get("/docs/problems/").content.decode()

    assert [code for code in CATALOGUE if f"<dt id={code}>" not in page] == []


def test_the_catalogue_is_in_alphabetical_order():
    assert list(CATALOGUE) == sorted(CATALOGUE)
