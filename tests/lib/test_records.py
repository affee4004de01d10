"""Records out of pieces of a file: cut anywhere they come out the same, and what is broken costs itself and no other."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.lib.records import LEAST_PIECE, LONGEST_RECORD, NDJSON, Form, Record, take

COMMAS = Form()


def read(data: bytes, form: Form = COMMAS) -> list[Record]:
    """Read a whole file in pieces, each line numbered from 1."""
    records, position, line, is_inside = [], 0, 1, False
    while position < len(data):
        window = data[position : position + LEAST_PIECE]
        is_end = position + len(window) == len(data)
        taken = take(window, form, most=1_000, is_end=is_end, is_inside=is_inside)
        assert taken.bytes > 0, "the reading does not get on"
        records += [record._replace(line=line + record.line) for record in taken.records]
        position, line, is_inside = position + taken.bytes, line + taken.lines, taken.is_inside
    return records


def cells(data: bytes, form: Form = COMMAS) -> list[list[str]]:
    return [list(record.cells) for record in read(data, form) if not record.why]


def refused(data: bytes, form: Form = COMMAS) -> list[tuple[int, str]]:
    return [(record.line, record.why) for record in read(data, form) if record.why]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a,b\n1,2\n", [["a", "b"], ["1", "2"]]),
        (b"a,b\r\n1,2", [["a", "b"], ["1", "2"]]),
        (b'"a ""b"", c",2\n', [['a "b", c', "2"]]),
        (b'"two\nlines",2\n3,4\n', [["two\nlines", "2"], ["3", "4"]]),
        (b'"two\r\nlines",2\r\n', [["two\r\nlines", "2"]]),
        (b"\n\n1,2\n \n,\n\r\n3,4\n\n", [["1", "2"], ["3", "4"]]),
        (b'5" screen,2\n3,4\n', [['5" screen', "2"], ["3", "4"]]),
        (b"a\x00b,2\n", [["a\x00b", "2"]]),
        (b"1,2,3\n4\n", [["1", "2", "3"], ["4"]]),
        (b"", []),
    ],
)
def test_rows_are_read_as_rfc_4180_has_them(data: bytes, expected: list[list[str]]) -> None:
    assert cells(data) == expected


def test_a_record_has_the_number_of_its_first_line_and_its_own_bytes() -> None:
    records = read(b'a,b\r\n\r\n"1\n2",3\r\n4,5')

    assert [(record.line, record.raw) for record in records] == [
        (1, b"a,b\r"),
        (3, b'"1\n2",3\r'),
        (5, b"4,5"),
    ]


def test_a_file_of_carriage_returns_alone_has_lines_too() -> None:
    assert cells(b"a;b\r1;2\r", Form(delimiter=";", line_end="\r")) == [["a", "b"], ["1", "2"]]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'1,"open\n2,3\n4,5\n', "never closed"),
        (b'1,"a"b\n2,3\n4,5\n', "text behind a closing quote"),
        (b"1,a\rb\n2,3\n4,5\n", "carriage return"),
        (b"1,\xff\n2,3\n4,5\n", "not valid UTF-8"),
    ],
)
def test_a_broken_row_is_refused_alone(data: bytes, reason: str) -> None:
    ((line, why),) = refused(data)

    assert line == 1
    assert reason in why
    assert cells(data) == [["2", "3"], ["4", "5"]]


def test_a_quote_that_swallows_good_rows_gives_them_back() -> None:
    data = b'1,"open\n' + b"2,a cell of some length\n" * 10_000 + b'4,"quoted"\n5,6\n'

    assert len(cells(data)) == 10_002
    assert refused(data) == [(1, "a quote is opened and never closed")]


def test_a_row_of_several_lines_with_broken_letters_is_refused_as_a_whole() -> None:
    data = b'1,"a\n\xff\nb"\n2,3\n'

    assert refused(data) == [(1, "not valid UTF-8")]
    assert read(data)[0].raw == b'1,"a\n\xff\nb"'


@pytest.mark.parametrize("form", [Form(), Form(NDJSON)], ids=["csv", "ndjson"])
def test_a_line_that_is_too_long_is_refused_once_whatever_its_length(form: Form) -> None:
    data = b"1\n" + b"x" * (3 * LEAST_PIECE) + b"\n2\n"

    records = read(data, form)

    assert [(record.line, bool(record.why)) for record in records] == [(1, False), (2, True), (3, False)]
    assert records[1].raw == b"x" * LONGEST_RECORD


def test_a_line_that_is_too_long_may_be_the_last() -> None:
    assert len(read(b"x" * (2 * LEAST_PIECE))) == 1


@pytest.mark.parametrize("excess", [0, 1])
def test_the_longest_record_is_read(excess: int) -> None:
    row = b"1," + b"x" * (LONGEST_RECORD - 2 + excess)

    assert bool(refused(row + b"\n2,3\n")) == bool(excess)


def test_a_line_of_json_is_one_cell() -> None:
    data = json.dumps({"a": "b,\n"}).encode() + b"\n\n{}\n"

    assert cells(data, Form(NDJSON)) == [['{"a": "b,\\n"}'], ["{}"]]


values = st.text(st.sampled_from('ab ,"\n\r;ßя\x85\u2028😀'), max_size=6)
rows = st.lists(st.lists(values, min_size=2, max_size=3), max_size=8)


@given(rows=rows, cuts=st.lists(st.integers(1, 40), min_size=1, max_size=4), most=st.integers(1, 3))
def test_however_a_file_is_cut_its_records_are_the_same(
    rows: list[list[str]], cuts: list[int], most: int
) -> None:
    """Pieces that end in a record leave it for the next; only what is cut within the first is read again, longer."""
    quoted = [",".join('"' + value.replace('"', '""') + '"' for value in row) for row in rows]
    data = "".join(f"{row}\r\n" for row in quoted).encode()
    whole = read(data)

    records, position, line, tries = [], 0, 1, 0
    while position < len(data):
        end = position + cuts[tries % len(cuts)] * (tries + 1)
        tries += 1
        taken = take(data[position:end], Form(), most=most, is_end=end >= len(data))
        records += [record._replace(line=line + record.line) for record in taken.records]
        position, line = position + taken.bytes, line + taken.lines

    assert records == whole
    assert [list(record.cells) for record in whole] == [row for row in rows if any(map(str.strip, row))]
    assert all(one.line < other.line for one, other in pairwise(whole))
