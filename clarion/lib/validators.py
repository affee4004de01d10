"""Checks of ours in pydantic's types.

What a check raises, pydantic would keep with its traceback, and through that every frame up to the request, in an object
that Python's garbage collector cannot look into: it would stay for good. So what reaches pydantic is the sentence alone.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from pydantic import AfterValidator, BeforeValidator, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from clarion.lib.problems import FieldError


def before(check: Callable[..., Any], *, taken_from: Any = None) -> BeforeValidator:
    """Pass what was sent through `check`, which takes it (and pydantic's info) or raises a ValueError.

    `taken_from`: what it is sent as, for the description of the API, where that differs from the type.
    """
    return BeforeValidator(_telling(check), **({"json_schema_input_type": taken_from} if taken_from else {}))


def after(check: Callable[..., Any]) -> AfterValidator:
    """Pass what is of the type already through `check`, which takes it (and pydantic's info) or raises a ValueError."""
    return AfterValidator(_telling(check))


def looked_through(look: Callable[[object], Sequence[FieldError]]) -> BeforeValidator:
    """Check a member that has members of its own; each that is wrong is named by the way to it."""

    def checked(value: Any) -> Any:
        wrong: list[InitErrorDetails] = [
            {"type": _complaint(error["msg"]), "loc": tuple(error["loc"]), "input": None}
            for error in look(value)
        ]
        if wrong:
            raise ValidationError.from_exception_data("body", wrong)
        return value

    return BeforeValidator(checked)


def _telling(check: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(check)
    def checked(*given: Any) -> Any:
        try:
            return check(*given)
        except ValueError as error:
            raise _complaint(str(error)) from None

    return checked


def _complaint(sentence: str) -> PydanticCustomError:
    return PydanticCustomError("value_error", "{sentence}", {"sentence": sentence})
