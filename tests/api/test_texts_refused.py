"""A text that can be made for nobody is refused where it is written, with line, column and reason."""

import pytest
from django.test import Client

from tests.api.calls import MAILING, SHORT_MAILING, ask, made, refusal

pytestmark = pytest.mark.django_db

BAD = "Hello {{ tag }},\nyour code is {{ operator }}"
SENTENCE = "line 2, column 17: 'operator' is not known here; did you mean 'operator_code'?"
FACES = [("/api/v1/mailings", MAILING), ("/api/mailing", SHORT_MAILING)]


@pytest.mark.parametrize(("path", "body"), FACES)
def test_a_new_mailing_says_where_its_text_is_wrong(api: Client, path: str, body: dict[str, object]) -> None:
    problem = refusal(ask(api, "POST", path, {**body, "text": BAD}), 400)

    assert problem["errors"] == [{"loc": ["text"], "msg": SENTENCE}]


@pytest.mark.parametrize(("path", "body"), FACES)
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_changed_one_does_as_well_and_stays_what_it_was(
    api: Client, path: str, body: dict[str, object], method: str
) -> None:
    row = made(api, path, body)

    problem = refusal(ask(api, method, f"{path}/{row['id']}", {**body, "text": BAD}), 400)

    assert problem["errors"] == [{"loc": ["text"], "msg": SENTENCE}]
    kept = api.get("/api/mailing").json()
    assert [each["text"] for each in kept] == [body["text"]]
