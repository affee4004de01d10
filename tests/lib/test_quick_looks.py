"""What is read at a quick look is what a full look finds, and nothing is good at the one that is odd at the other."""

import json

from hypothesis import given
from hypothesis import strategies as st

from clarion.lib import bundles, keepable, strict_json

# Pieces that stand for every oddity of names, texts, numbers and blanks.
PIECES = st.sampled_from(
    [
        *(
            '{"a":1}',
            '{"a":1,"a":2}',
            '{"a" :1,"a":2}',
            '{"a\\":":1}',
            '{"\\u0061":1,"a":2}',
            '{"b":"c\\":d"}',
        ),
        *(
            '"\\u0000"',
            '"\\\\u0000"',
            '"\\ud800"',
            '"\\ude00"',
            '"\\ud83d\\ude00"',
            '{"\\ud800":1}',
            '{"\\u0000":1}',
        ),
        *(
            str(2**63 - 1),
            str(2**63),
            str(-(2**63)),
            str(2**64 - 1),
            str(10**40),
            "-0",
            "01",
            "1e400",
            "1e5",
            "NaN",
        ),
        *(
            '"1234567890123456789012"',
            "0.1234567890123456789",
            "Infinity",
            "-1.5E-3",
            "true",
            "nul",
            '"\t"',
            "{}",
            "[]",
        ),
        *(
            ":",
            '":',
            '"',
            ",",
            "[",
            "]",
            "{",
            "}",
            " ",
            '{"a":',
            '"a" : ',
            "\n",
            "\x00",
            "\ufeff",
            "é",
            '"é": ',
        ),
    ]
)


def told(thing: object) -> str:
    """Return a thing, or all that is said against it, as a text: what is not equal to itself is the same here."""
    return repr(thing.errors if isinstance(thing, bundles.NotKeepable) else thing)


@given(st.lists(PIECES, max_size=6).map("".join))
def test_a_line_means_what_a_full_look_finds_in_it(text: str) -> None:
    line = text.replace("\n", " ").strip(" \t\r")

    things = bundles.read(line.encode(), is_lines=True, most=2, longest=1_000).things

    for thing in things:
        try:
            found = strict_json.read(line)
        except ValueError:
            assert isinstance(thing, bundles.NotReadable)
            continue
        if errors := keepable.complaints(found):
            assert isinstance(thing, bundles.NotKeepable)
            assert thing.errors == errors
        else:
            assert json.dumps(thing) == json.dumps(found)


@given(st.lists(st.lists(PIECES, max_size=3).map("".join), min_size=1, max_size=3))
def test_an_array_means_what_its_lines_would(texts: list[str]) -> None:
    try:
        for text in texts:
            strict_json.read(text)
    except ValueError:
        return  # so the array would have other elements than these

    array = bundles.read(f"[{','.join(texts)}]".encode(), is_lines=False, most=9, longest=1_000)
    lines = bundles.read(
        "\n".join(text.replace("\n", " ") for text in texts).encode(), is_lines=True, most=9, longest=1_000
    )

    assert [told(each) for each in array.things] == [told(each) for each in lines.things]
