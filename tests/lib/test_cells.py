"""Values as cells: no spreadsheet takes one for a formula, and each comes back as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.lib.cells import cell_of, guard, unguard

texts = st.text(st.sampled_from("'=+-@\t\r\nab \uff1d")) | st.text()


@given(text=texts)
def test_every_text_comes_back(text: str) -> None:
    assert unguard(guard(text)) == text


@given(text=texts)
def test_no_cell_begins_like_a_formula(text: str) -> None:
    assert not guard(text).startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d"))


@pytest.mark.parametrize("text", ["", "Ann", "a=b", "70000000001", "'t Hooft", "O'Neill", "''"])
def test_what_is_no_formula_stays_as_it_is(text: str) -> None:
    assert (guard(text), unguard(text)) == (text, text)


@pytest.mark.parametrize(
    ("cell", "value"),
    [('="70000000001"', "70000000001"), ('=""', ""), ('="a"&"b"', '="a"&"b"'), ("=1+1", "=1+1")],
)
def test_a_formula_of_one_text_is_that_text(cell: str, value: str) -> None:
    assert unguard(cell) == value
    assert unguard(guard(cell)) == cell


@pytest.mark.parametrize(
    ("value", "cell"), [(None, ""), ("5", "5"), (5, "5"), (1.5, "1.5"), (True, "true"), (False, "false")]
)
def test_a_value_is_written_as_json_has_it(value: str | int | float | bool | None, cell: str) -> None:
    assert cell_of(value) == cell
