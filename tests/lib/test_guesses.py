"""How a file is written, guessed: the encodings, delimiters and formats that shops send, and what is no table at all."""

import codecs
from pathlib import Path

import pytest

from clarion.lib.guesses import (
    SAMPLE,
    NoTable,
    Sample,
    guess_csv,
    guess_encoding,
    guess_format,
    is_delimiter,
    is_encoding,
)
from clarion.sandbox import people


def sample_of(data: bytes, *, piece: int = 10_000) -> Sample:
    sample = Sample()
    for at in range(0, len(data), piece):
        sample.add(data[at : at + piece])
    return sample


def delimiter_of(head: str) -> str:
    return guess_csv(head.encode(), "utf-8", is_known=lambda cell: cell == "phone").delimiter


@pytest.mark.parametrize("encoding", ["utf-8", "cp1251", "koi8_r"])
def test_the_letters_of_a_shops_file_say_its_encoding(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "clients.csv"
    people.write(file, 200, encoding=encoding)

    assert guess_encoding(sample_of(file.read_bytes())) == encoding


@pytest.mark.parametrize(
    ("words", "encoding"),
    [
        ("Müller;Köln\nJürgen;Düsseldorf\nÄnne;Straße\n", "cp1252"),
        ("田中さん;とうきょう\nすずき;おおさか\nさとう;カタカナ\n", "cp932"),
        ("王伟;北京\n李娜;上海\n张敏;深圳\n", "gb18030"),
        ("Γιώργος;Αθήνα\nΜαρία;Θεσσαλονίκη\n", "cp1253"),
    ],
)
def test_what_was_written_can_be_read(words: str, encoding: str) -> None:
    data = words.encode(encoding)

    assert data.decode(guess_encoding(sample_of(data))) == words


def test_letters_far_behind_the_beginning_are_seen() -> None:
    data = b"70000000001;plain\n" * 20_000 + "70000000002;Самара, Ирина\n".encode("cp1251") * 20

    assert guess_encoding(sample_of(data)) == "cp1251"


def test_a_broken_row_makes_no_other_encoding_of_utf_8() -> None:
    data = "1;Ирина\n".encode() * 50 + b"2;\xff\xfe\n"

    assert guess_encoding(sample_of(data)) == "utf-8"


@pytest.mark.parametrize(
    ("mark", "encoding"), [(codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16")]
)
def test_a_mark_at_the_beginning_is_believed(mark: bytes, encoding: str) -> None:
    assert guess_encoding(sample_of(mark + b"\xff")) == encoding


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_delimiter_is_what_makes_cells_of_the_rows(delimiter: str) -> None:
    rows = [["name", "note"], ["a, b; c", "1,5"], ["d", "2,5"]]
    lines = [delimiter.join(f'"{cell}"' if delimiter in cell else cell for cell in row) for row in rows]

    assert delimiter_of("\n".join(lines)) == delimiter


@pytest.mark.parametrize(
    ("head", "delimiter"),
    [
        ("phone;note, such as, this\n1;2\n", ";"),
        ("phone\n70000000001\n", ","),
        ('phone;"a\n\n,,,,\n,,,,"\n1;2\n', ";"),
    ],
    ids=["more of the other", "one column", "others in quotes"],
)
def test_a_known_heading_outweighs_what_is_more_frequent(head: str, delimiter: str) -> None:
    assert delimiter_of(head) == delimiter


def test_a_sample_that_ends_within_a_row_is_enough() -> None:
    row = "70000000001;a, b, c, d\n"

    assert delimiter_of(("phone;note\n" + row * 10_000)[: SAMPLE - 3]) == ";"


def test_carriage_returns_alone_are_line_ends() -> None:
    assert guess_csv(b"phone;a\r1;2\r", "utf-8", is_known=bool).line_end == "\r"


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b'\n {"phone": "1"}\n', "ndjson"),
        (codecs.BOM_UTF8 + b"{}", "ndjson"),
        (b"phone\n", "csv"),
        (b"phone\n1\x002\n", "csv"),
    ],
)
def test_a_file_is_looked_into(head: bytes, kind: str) -> None:
    assert guess_format(head) == kind


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"PK\x03\x04rest", "workbook"),
        (b"\x1f\x8b\x08", "compressed"),
        (b"\x00\x01\x02", "no text"),
        (b'[{"phone": "1"}]', "JSON array"),
    ],
)
def test_what_is_no_table_is_called_by_its_name(head: bytes, said: str) -> None:
    with pytest.raises(NoTable, match=said):
        guess_format(head)


def test_hints_are_looked_at_too() -> None:
    assert [
        name
        for name in (
            "utf-8",
            "windows-1251",
            "utf-16",
            "utf-7",
            "raw_unicode_escape",
            "rot13",
            "hex",
            "no",
            "",
        )
        if is_encoding(name)
    ] == [
        "utf-8",
        "windows-1251",
    ]
    assert [text for text in (",", "~", '"', "\n", "ab", "a", "", "§") if is_delimiter(text)] == [",", "~"]
