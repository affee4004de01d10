"""One text for every value, such that texts compare as the values do: by code point, on every database alike.

Databases disagree about case, about trailing blanks, about 1 and 1.0, and about what a number is in JSON. Of plain
texts in the order of their code points they all think the same. The first letter says what a value is, so values of
two kinds are never equal and never on one scale.
"""

import struct

from clarion.lib.strict_json import is_broken

# What JSON can say of one thing, without its lists and objects.
Scalar = str | int | float | bool | None

TEXT, NUMBER, TRUTH = "t:", "n:", "b:"
# Longer ones are documents, which nobody compares.
LONGEST_TEXT = 255
# Of a value, where it has a name.
LONGEST_NAME = 64
# Whole numbers up to here are exact in a double, so in every program that reads JSON (RFC 8259, section 6). Beyond it
# every double is whole, so this bounds those as well.
LARGEST_NUMBER = 2**53
_SIGN, _ALL = 1 << 63, (1 << 64) - 1


def fold(text: str) -> str:
    """Return the form in which texts are compared: their case does not matter."""
    return text.casefold()


def comparable(value: Scalar, *, folded: bool = True) -> str | None:
    """Return the comparable form; None for null, which is no value.

    A text ignores its case, unless it is not `folded`. A number is its double, so 1 and 1.0 are one, and so are 0
    and -0.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return TEXT + (fold(value) if folded else value)
    if isinstance(value, bool):
        return f"{TRUTH}{value:d}"
    return NUMBER + _in_order(float(value))


def complaint(value: object) -> str | None:
    """Return what keeps a value from being compared, as a sentence; None for one that can be."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        return complaint_of_text(value, LONGEST_TEXT)
    if not isinstance(value, int | float):
        return "must be a text, a number, true, false or null"
    # Said like this it is true of what is no number as well.
    if not abs(value) <= LARGEST_NUMBER:
        return f"must be a number from -{LARGEST_NUMBER} to {LARGEST_NUMBER}"
    return None


def complaint_of_text(text: str, longest: int) -> str | None:
    """Return what keeps a text from being kept by every database, or None."""
    if len(text) > longest:
        return f"must have at most {longest} characters"
    if "\x00" in text:
        return "must not contain the NUL character"
    if is_broken(text):
        return "must be valid Unicode: there is half of a surrogate pair in it"
    return None


def after(prefix: str) -> str | None:
    """Return the first text behind all that begin with `prefix`; None when there is none, as behind the empty one."""
    stem = prefix.rstrip("\U0010ffff")
    if not stem:
        return None
    following = ord(stem[-1]) + 1
    # Halves of surrogate pairs are no characters.
    return stem[:-1] + chr(0xE000 if following == 0xD800 else following)


def _in_order(number: float) -> str:
    """Write a double so that texts sort as the numbers do: 16 hexadecimal digits."""
    # + 0.0 makes -0 the 0 that it equals.
    (bits,) = struct.unpack(">Q", struct.pack(">d", number + 0.0))
    # Doubles are sign and magnitude: positive ones already sort, negative ones sort backwards.
    return f"{bits ^ _ALL if bits & _SIGN else bits | _SIGN:016x}"
