"""Bodies with one thing or many: what can be read is read, what cannot is named in its place."""

import gzip
import time

import pytest

from clarion.lib import bundles
from clarion.lib.bundles import NotReadable, TooDeep, TooLong


def things(text: str, *, is_lines: bool = False) -> list[object]:
    read = bundles.read(text.encode(), is_lines=is_lines, most=100, longest=1_000).things
    return [type(each) if isinstance(each, Exception) else each for each in read]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", [1]),
        ("[]", []),
        (' [1, {"a": [2, 3]}, "]"] ', [1, {"a": [2, 3]}, "]"]),
        ('[1, NaN, {"a": "x,]}\\"", "a": 1}, 4]', [1, NotReadable, NotReadable, 4]),
        ("[1, " + "[" * 50_000 + "]" * 50_000 + ", 3]", [1, TooDeep, 3]),
        ("[1,,3]", [1, NotReadable, 3]),
    ],
)
def test_an_array_is_read_element_by_element_where_it_must_be(text: str, expected: list[object]) -> None:
    assert things(text) == expected


def test_lines_are_read_one_by_one() -> None:
    assert things('{"a": 1}\r\n\n  \nx\n2', is_lines=True) == [{"a": 1}, NotReadable, 2]


@pytest.mark.parametrize("text", ["[1, NaN", "[NaN] 1", "[NaN}", '["', "[[NaN]"])
def test_an_array_that_does_not_end_is_not_readable(text: str) -> None:
    with pytest.raises(NotReadable):
        things(text)


def test_more_than_may_be_is_too_long() -> None:
    for text, is_lines in (("[1,2,3]", False), ("[1,NaN,3]", False), ("1\n2\n3", True)):
        with pytest.raises(TooLong):
            bundles.read(text.encode(), is_lines=is_lines, most=2, longest=1_000)


def test_a_text_that_never_ends_takes_no_time() -> None:
    began = time.perf_counter()

    with pytest.raises(NotReadable):
        things('["' + '\\"' * 2_000_000)

    # It is gone through once: 4 MB take a tenth of a second; the square of it would take hours.
    assert time.perf_counter() - began < 10


@pytest.mark.parametrize(
    "text",
    ["[" + "," * 15_000_000 + "]", "[" * 15_000_000, "[" + "[]," * 5_000_000 + "]"],
    ids=["commas", "brackets", "pairs"],
)
def test_what_cannot_be_read_is_not_looked_through_to_its_end(text: str) -> None:
    began = time.perf_counter()

    with pytest.raises((NotReadable, TooLong)):
        things(text)

    # The end of each of its parts was looked for, which took minutes.
    assert time.perf_counter() - began < 10


@pytest.mark.parametrize("member", [gzip.compress(b""), gzip.compress(b"x")], ids=["empty", "small"])
def test_gzip_of_endless_members_is_refused_soon(member: bytes) -> None:
    began = time.perf_counter()

    with pytest.raises(NotReadable):
        bundles.unpack(member * 400_000, 16 * 1024 * 1024)

    # What is left was copied for each of them, which took the square of their number.
    assert time.perf_counter() - began < 5


def test_gzip_may_end_with_a_member_that_fills_what_may_be() -> None:
    parts = [b"x" * 65_536, b"", b"y" * 65_536]
    assert bundles.unpack(b"".join(map(gzip.compress, parts)), 131_072) == b"".join(parts)
    for broken in (b"", gzip.compress(b"x")[:-1], gzip.compress(b"x") + b"z"):
        with pytest.raises(NotReadable):
            bundles.unpack(broken, 100)


def test_gzip_is_unpacked_member_after_member() -> None:
    assert bundles.unpack(gzip.compress(b"one ") + gzip.compress(b"two"), 7) == b"one two"
    with pytest.raises(TooLong):
        bundles.unpack(gzip.compress(b"x" * 100), 99)


@pytest.mark.parametrize(
    ("text", "ways"),
    [
        ('{"a": [1, "x", null, true, 1.5, "\\u00e4"]}', []),
        ('{"a": ["\\u0000", {"b": "\\udfff"}]}', [("a", 0), ("a", 1, "b")]),
        ("[9223372036854775807, 9223372036854775808, -9223372036854775808]", [(1,), (2,)]),
        ('{"\\u0000": 1}', [()]),
        ("[1e999]", [(0,)]),
        (f"[{'0,' * bundles.MOST_VALUES}0]", [()]),
        ("[" * bundles.DEEPEST + "1" + "]" * bundles.DEEPEST, []),
        ("[" * 33 + "1" + "]" * 33, [(0,) * 32]),
    ],
)
def test_what_nothing_can_keep_is_named_by_its_way(text: str, ways: list[tuple[object, ...]]) -> None:
    (alone,) = bundles.read(f"{text}\n".encode(), is_lines=True, most=1, longest=0).things
    (among_others, _) = bundles.read(f"[{text}, 1]".encode(), is_lines=False, most=2, longest=0).things

    for thing in (alone, among_others):
        assert sorted(error["loc"] for error in getattr(thing, "errors", [])) == sorted(ways)
