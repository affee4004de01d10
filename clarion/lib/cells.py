"""Values as cells of a CSV file, such that no spreadsheet takes one for a formula, and that each comes back as it was.

A cell that begins like a formula gets an apostrophe in front (OWASP, "CSV Injection"); one that begins so after
apostrophes of its own gets one more, so that taking one off always gives the value back.
"""

import json
import re

from clarion.lib.comparable import Scalar

_LIKE_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_GUARDED = re.compile("'" + _LIKE_FORMULA.pattern)
# How a spreadsheet is told to leave the digits of a number as they are.
_AS_TEXT = re.compile('="([^"]*)"')


def cell_of(value: Scalar) -> str:
    """Return a value as text: numbers and truth values as JSON has them, null as nothing."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def guard(cell: str) -> str:
    """Return the cell as it is written."""
    return f"'{cell}" if _LIKE_FORMULA.match(cell) else cell


def unguard(cell: str) -> str:
    """Return the cell as it was before `guard`, or what a formula of one text is; any other stays as it is."""
    if as_text := _AS_TEXT.fullmatch(cell):
        return as_text[1]
    return cell[1:] if cell.startswith("'") and _GUARDED.match(cell) else cell
