"""Where things end in a text of JSON, and how many there are in it: told without building anything of it.

Strings are skipped and brackets are counted; whether it is JSON is for its reader to say. No search looks through
more than about a MiB at once, because other threads wait meanwhile.
"""

import re

# Steps that are taken to find the ends of what is nested deeply, long or broken; takes about half a second. 10,000
# elements of 20 levels take 340,000.
MOST_STEPS = 400_000
# An element of so many levels is skipped in one go: programs that read events nest a handful. Of what is nested more
# deeply, or is longer, its parts of a few levels.
_LEVELS, _LEVELS_INSIDE = 12, 3
_STRING = r'"(?:[^"\\]++|\\.)*+"'


def _container(levels: int) -> str:
    inner = f"|{_container(levels - 1)}" if levels else ""
    return rf'[\[{{](?:[^"\[\]{{}}]++|{_STRING}{inner})*+[\]}}]'


# Up to what ends an element. Nothing in it is tried in two ways, so it goes over a text once.
_ELEMENT = re.compile(rf'(?:[^"\[\]{{}},]++|{_STRING}|{_container(_LEVELS)})*+(?=[,\]])', re.DOTALL)
# Some of what is in an element or between two, and the bracket or the comma behind it, where it was all.
_INSIDE = re.compile(rf'(?:[^"\[\]{{}}]++|{_STRING}|{_container(_LEVELS_INSIDE)})*+([\[\]{{}}]?)', re.DOTALL)
_OUTSIDE = re.compile(rf'(?:[^"\[\]{{}},]++|{_STRING})*+([\[\]{{}},]?)', re.DOTALL)
# Of a string that is longer than an element usually is; such a piece takes a few milliseconds.
_PART = re.compile(r'(?:[^"\\]++|\\.){1,100000}+', re.DOTALL)
# A text that is not closed goes to the end: looked for again behind each quote in it, it would take the square of time.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)


class Ends:
    """Finds the ends of an array's elements. `usual`: so many characters an element may have to be skipped in one go."""

    def __init__(self, text: str, usual: int) -> None:
        self._text = text
        self._usual = usual
        self._left = MOST_STEPS

    def of_element(self, begin: int) -> int | None:
        """Return where the comma or the bracket stands that ends the element that begins here.

        None: there is none, or more would have to be looked through than is worth it.
        """
        if found := _ELEMENT.match(self._text, begin, begin + self._usual):
            return found.end()
        return self._step_by_step(begin)

    def _step_by_step(self, at: int) -> int | None:
        depth = 0
        while self._left > 0:
            self._left -= 1
            end, sign = self._some(_INSIDE if depth else _OUTSIDE, at)
            if end == at:
                return None
            at = end
            if depth == 0 and sign in (",", "]"):
                return at - 1
            depth += (sign in ("[", "{")) - (sign in ("]", "}"))
            if depth < 0:
                return None
        return None

    def _some(self, pattern: re.Pattern[str], at: int) -> tuple[int, str]:
        """Return where some of it ends, and the sign it ends with, if it was all up to one."""
        found = pattern.match(self._text, at, at + self._usual)
        if found and found.end() > at:
            return found.end(), found[1]
        return self._behind_string(at), ""

    def _behind_string(self, at: int) -> int:
        """Return where the string that begins here ends, piece by piece; the same place if it does not."""
        if self._text[at : at + 1] != '"':
            return at
        end = at + 1
        while found := _PART.match(self._text, end):
            end = found.end()
        return end + 1 if self._text[end : end + 1] == '"' else at


def signs_beyond(text: str, most: int) -> int | None:
    """Return how deep it is where more than `most` commas or opening brackets stood, outside of strings; None: nowhere."""
    if len(text) <= most or (text.count(",") <= most and text.count("[") + text.count("{") <= most):
        return None
    commas = openings = closings = 0
    for place, token in enumerate(_TOKEN.finditer(text)):
        sign = token[0]
        commas += sign == ","
        openings += sign in ("[", "{")
        closings += sign in ("]", "}")
        # With each of these signs JSON has two strings and a closing bracket at most.
        if commas > most or openings > most or place > 8 * most:
            return openings - closings
    return None
