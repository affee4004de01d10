"""Texts that stand for values compare as the values do."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.lib.comparable import LARGEST_NUMBER, after, comparable, complaint

numbers = st.integers(-LARGEST_NUMBER, LARGEST_NUMBER) | st.floats(allow_nan=False, allow_infinity=False)
# What a database can hold: no NUL, no half of a surrogate pair.
texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)))


@given(one=numbers, other=numbers)
def test_numbers_sort_as_numbers(one: float, other: float) -> None:
    assert (comparable(one) < comparable(other)) is (float(one) < float(other))
    assert (comparable(one) == comparable(other)) is (float(one) == float(other))


@given(one=texts, other=texts)
def test_texts_sort_by_code_point_without_their_case(one: str, other: str) -> None:
    assert (comparable(one) < comparable(other)) is (one.casefold() < other.casefold())
    assert (comparable(one, folded=False) < comparable(other, folded=False)) is (one < other)


@pytest.mark.parametrize(
    ("one", "other"), [(1, 1.0), (0, -0.0), ("Straße", "STRASSE"), (2**53, 2.0**53), (True, True)]
)
def test_what_is_equal_has_one_form(one: object, other: object) -> None:
    assert comparable(one) == comparable(other)


def test_values_of_different_kinds_are_never_equal() -> None:
    values = [1, "1", True, "true", "True", 0, False, "", "n:", "null"]

    forms = {comparable(value) for value in values}

    # True and "True" are two kinds; "true" and "True" are one text.
    assert len(forms) == len(values) - 1
    assert comparable(None) is None


@given(prefix=texts, text=texts)
def test_what_begins_with_a_prefix_lies_between_it_and_the_text_behind_it(prefix: str, text: str) -> None:
    behind = after(prefix)

    for each in (text, prefix + text):
        lies_between = prefix <= each and (behind is None or each < behind)
        assert lies_between is each.startswith(prefix)


@pytest.mark.parametrize(
    ("prefix", "behind"),
    [("a", "b"), ("", None), ("\U0010ffff", None), ("a\U0010ffff", "b"), ("\ud7ff", "\ue000")],
)
def test_the_text_behind_a_prefix_is_one_that_a_database_takes(prefix: str, behind: str | None) -> None:
    assert after(prefix) == behind


@pytest.mark.parametrize("value", ["", "x" * 255, 0, -1.5, 2**53, -(2.0**53), True, None])
def test_what_can_be_compared_is_taken(value: object) -> None:
    assert complaint(value) is None


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("x" * 256, "255"),
        ("\x00", "NUL"),
        ("\udfff", "surrogate"),
        (2**53 + 1, "number from"),
        (10**400, "number from"),
        (math.inf, "number from"),
        (math.nan, "number from"),
        ([], "must be a text"),
        ({}, "must be a text"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_a_sentence(value: object, word: str) -> None:
    assert word in str(complaint(value))
