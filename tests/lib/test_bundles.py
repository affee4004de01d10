"""Bodies with one thing or many: what can be read is read, what cannot is named in its place."""

import gzip
import json
import time
import tracemalloc

import pytest

from clarion.lib import bundles
from clarion.lib.bundles import NotReadable, TooDeep, TooLong
from clarion.lib.keepable import DEEPEST, MOST_VALUES, TOO_MANY


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


@pytest.mark.slow
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
        (f"[{'0,' * MOST_VALUES}0]", [()]),
        ("[" * DEEPEST + "1" + "]" * DEEPEST, []),
        ("[" * 33 + "1" + "]" * 33, [(0,) * 32]),
    ],
)
def test_what_nothing_can_keep_is_named_by_its_way(text: str, ways: list[tuple[object, ...]]) -> None:
    (alone,) = bundles.read(f"{text}\n".encode(), is_lines=True, most=1, longest=100_000).things
    (among_others, _) = bundles.read(f"[{text}, 1]".encode(), is_lines=False, most=2, longest=100_000).things

    for thing in (alone, among_others):
        assert sorted(error["loc"] for error in getattr(thing, "errors", [])) == sorted(ways)


MANY = {
    "arrays": f"[{'[],' * 600_000}0]",
    "objects": "[" + '{"a":1},' * 250_000 + "0]",
    "texts": "[" + '"ab",' * 400_000 + "0]",
    "members": "{" + '"a":[],' * 300_000 + '"b":0}',
}


@pytest.mark.slow
@pytest.mark.parametrize("text", MANY.values(), ids=MANY)
@pytest.mark.parametrize("is_lines", [False, True], ids=["element", "line"])
def test_what_has_too_much_in_it_is_refused_without_being_built(text: str, is_lines: bool) -> None:
    body = f'{text}\n{{"a": 1}}' if is_lines else f'[{text},{{"a": 1}}]'

    tracemalloc.start()
    try:
        found = bundles.read(body.encode(), is_lines=is_lines, most=10, longest=4_000_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    refused, good = found.things
    assert [error["msg"] for error in refused.errors] == [TOO_MANY]
    assert good == {"a": 1}
    # Built, it took up to 60 times what was sent; the text of it and of the element take three times.
    assert peak < 10 * len(body)


@pytest.mark.slow
def test_a_batch_has_so_much_in_all() -> None:
    heavy = "[" + "[]," * 9_000 + "0]"

    assert (
        len(bundles.read("\n".join([heavy] * 50).encode(), is_lines=True, most=200, longest=10**6).things)
        == 50
    )
    for body, is_lines in (("\n".join([heavy] * 120), True), (f"[{','.join([heavy] * 120)}]", False)):
        with pytest.raises(TooLong):
            bundles.read(body.encode(), is_lines=is_lines, most=200, longest=10**6)


def test_a_line_that_is_too_long_is_refused_alone() -> None:
    long = '"' + "ß" * 500 + '"'

    read = bundles.read(f"1\n{long}\n2".encode(), is_lines=True, most=5, longest=1_000).things

    assert [type(each) for each in read] == [int, TooLong, int]


def test_elements_are_found_however_deep_or_long_they_are() -> None:
    deep = ["[" * 20 + '"]"' + "]" * 20, '{"a":' * 30 + "[1,2]" + "}" * 30]
    long = [f"[{'[[[[1]]]],' * 100}0]", json.dumps("x,]" * 5_000), f"[{json.dumps('y' * 3_000)}]"]
    # Parts of a few levels, and texts behind them, where what is skipped in one go ends.
    long += [f'[{"1," * n}[["a"],"]"],{{"b":[2]}},"]"]' for n in range(480, 500)]
    texts = [*deep, *long, "1", '{"a":"\\\\"}']

    read = bundles.read(
        f"[NaN, {' , '.join(texts)} ]".encode(), is_lines=False, most=50, longest=1_000
    ).things

    assert read[1:] == [json.loads(text) for text in texts]


def test_twenty_faults_of_a_thing_are_named() -> None:
    (thing,) = bundles.read(
        b'{"' + b"n" * 500 + b'": [' + b"1e999," * 99 + b"1]}", is_lines=False, most=1, longest=2_000
    ).things

    assert len(thing.errors) == 21
    assert thing.errors[-1] == {"loc": (), "msg": "there is more that cannot be kept"}
    assert len(str(thing.errors[0]["loc"][0])) == 100
