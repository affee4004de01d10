"""How many short messages a text is: the alphabet of 3GPP TS 23.038, and no pair torn apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.lib.segments import GSM_7, UCS_2, Segments, measure

# The rows of the table in 3GPP TS 23.038, 6.2.1; 0x1B is the escape.
BASIC = [
    "@£$¥èéùìòÇ\nØø\rÅå",
    "Δ_ΦΓΛΩΠΨΣΘΞÆæßÉ",
    " !\"#¤%&'()*+,-./",
    "0123456789:;<=>?",
    "¡ABCDEFGHIJKLMNO",
    "PQRSTUVWXYZÄÖÑÜ§",
    "¿abcdefghijklmno",
    "pqrstuvwxyzäöñüà",
]
EXTENDED = "^{}\\[~]|€\f"


@pytest.mark.parametrize("row", BASIC)
def test_a_character_of_the_basic_alphabet_is_one_septet(row):
    assert len("".join(BASIC)) == 127
    assert measure(row) == Segments(GSM_7, len(row), 1)


@pytest.mark.parametrize("character", EXTENDED)
def test_a_character_of_the_extension_table_is_two_septets(character):
    assert measure(character) == Segments(GSM_7, 2, 1)


@pytest.mark.parametrize("character", ["ç", "Я", "`", "ё", "–", "“", "\t", "\xa0", "á"])
def test_one_character_outside_of_both_makes_all_of_it_ucs_2(character):
    assert measure(f"Ann{character}") == Segments(UCS_2, 4, 1)


@pytest.mark.parametrize(
    ("text", "encoding", "units", "segments"),
    [
        ("", GSM_7, 0, 0),
        ("a" * 160, GSM_7, 160, 1),
        ("a" * 161, GSM_7, 161, 2),
        ("a" * 306, GSM_7, 306, 2),
        ("a" * 307, GSM_7, 307, 3),
        ("€" * 80, GSM_7, 160, 1),
        ("Я" * 70, UCS_2, 70, 1),
        ("Я" * 71, UCS_2, 71, 2),
        ("Я" * 134, UCS_2, 134, 2),
        ("Я" * 135, UCS_2, 135, 3),
        ("👋" * 35, UCS_2, 70, 1),
        ("a" * 69 + "👋", UCS_2, 71, 2),
    ],
)
def test_a_part_of_a_longer_text_has_less_room(text, encoding, units, segments):
    assert measure(text) == Segments(encoding, units, segments)


def test_the_escape_and_its_character_stay_in_one_part():
    # 76 pairs and one septet that nobody can use, twice: 306 septets would be two parts, were pairs torn apart.
    assert measure("€" * 153) == Segments(GSM_7, 306, 3)
    assert measure("a" * 152 + "€" + "a" * 152) == Segments(GSM_7, 306, 3)
    assert measure("a" * 151 + "€" + "a" * 153) == Segments(GSM_7, 306, 2)


def test_both_halves_of_a_surrogate_pair_stay_in_one_part():
    assert measure("👋" * 67) == Segments(UCS_2, 134, 3)
    assert measure("a" + "👋" * 66 + "a") == Segments(UCS_2, 134, 2)


@given(st.text(max_size=700))
def test_the_units_are_those_of_the_encoding_on_the_wire(text):
    measured = measure(text)

    if measured.encoding == UCS_2:
        assert measured.units == len(text.encode("utf-16-be")) // 2
    else:
        assert measured.units == len(text) + sum(text.count(each) for each in EXTENDED)


@given(st.text(alphabet=st.sampled_from("aя€{👋\n"), max_size=700))
def test_the_parts_are_as_many_as_a_packer_fills_who_tears_no_pair_apart(text):
    measured = measure(text)
    is_ucs_2 = measured.encoding == UCS_2
    room = (70, 67) if is_ucs_2 else (160, 153)

    def size(part: str) -> int:
        return (
            len(part.encode("utf-16-be")) // 2 if is_ucs_2 else len(part) + sum(c in EXTENDED for c in part)
        )

    parts = [""] if text else []
    for character in text:
        most = room[0] if size(text) <= room[0] else room[1]
        if size(parts[-1] + character) > most:
            parts.append("")
        parts[-1] += character

    assert measured.segments == len(parts)
    assert "".join(parts) == text
