"""What the log says of an error in a request: its kind and its place, and no value of anybody's row."""

import pytest
from django.db import IntegrityError, OperationalError
from django.test import RequestFactory

from clarion.api import problems

PHONE = "70000001234"


def answer_to(error: Exception, handler: problems.Handler) -> int:
    try:
        raise error
    except Exception as caught:
        return int(handler(RequestFactory().get("/"), caught).status_code)


@pytest.mark.parametrize(
    ("error", "handler", "status", "event"),
    [
        (OperationalError(1366, f"Incorrect value: {PHONE}"), problems.unavailable, 503, "1366"),
        (IntegrityError(1062, f"Duplicate entry {PHONE}"), problems.failed, 500, "1062"),
        (KeyError(PHONE), problems.failed, 500, "answer_to"),
    ],
)
def test_an_error_is_logged_without_what_it_says(
    capsys: pytest.CaptureFixture[str], error: Exception, handler: problems.Handler, status: int, event: str
) -> None:
    answered = answer_to(error, handler)

    said = capsys.readouterr().err
    assert answered == status
    assert type(error).__name__ in said
    assert event in said
    assert PHONE not in said


def test_a_mistake_that_django_hands_over_without_the_error_is_placed_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    try:
        raise KeyError(PHONE)
    except KeyError:
        problems.failed(RequestFactory().get("/"))

    said = capsys.readouterr().err
    assert "KeyError" in said
    assert PHONE not in said
