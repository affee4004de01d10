"""How many short messages a text is: the unit in which networks carry and senders bill it.

The source is 3GPP TS 23.038 (alphabets, 6.2.1) and TS 23.040 (9.2.3.24.1: what concatenation takes from each part).
A message holds 140 octets: 160 septets of the GSM 7-bit default alphabet, or 70 units of UCS-2 as soon as one
character stands in neither the alphabet nor its extension table. A part of a longer text gives six octets to the
header that joins the parts: 153 septets or 67 units are left.
"""

from collections.abc import Iterable
from typing import NamedTuple

GSM_7, UCS_2 = "GSM-7", "UCS-2"
# Units in a text that is one message, and in each part of a longer one.
SINGLE = {GSM_7: 160, UCS_2: 70}
PART = {GSM_7: 153, UCS_2: 67}

# The code 0x1B, which leads to the extension table, stands for no character.
_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = "\f^{}\\[~]|€"
# A character of the extension table is preceded by the escape.
_SEPTETS = dict.fromkeys(_BASIC, 1) | dict.fromkeys(_EXTENDED, 2)
# The last code point that UCS-2 writes as one unit; those behind it are surrogate pairs.
_LAST_SINGLE = 0xFFFF


class Segments(NamedTuple):
    """What a text takes: `units` are septets of GSM-7 or 16-bit units of UCS-2."""

    encoding: str
    units: int
    segments: int


def measure(text: str) -> Segments:
    """Return what this text takes on a network.

    Nothing at all is no segment: senders refuse an empty message, so nobody bills one.
    """
    septets = [_SEPTETS.get(character) for character in text]
    if None in septets:
        return _measured(UCS_2, [1 if ord(character) <= _LAST_SINGLE else 2 for character in text])
    return _measured(GSM_7, [each for each in septets if each])


def _measured(encoding: str, sizes: list[int]) -> Segments:
    units = sum(sizes)
    if units <= SINGLE[encoding]:
        return Segments(encoding, units, 1 if units else 0)
    return Segments(encoding, units, _parts(sizes, PART[encoding]))


def _parts(sizes: Iterable[int], room: int) -> int:
    """Count the parts when each takes as much as fits; a pair that does not fit goes to the next one whole."""
    parts, left = 0, 0
    for size in sizes:
        if size > left:
            parts, left = parts + 1, room
        left -= size
    return parts
