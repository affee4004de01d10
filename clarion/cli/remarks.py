"""What `clarion doctor` has to say: one remark a line, with the command that mends what is not well.

Needs no settings and no Django: they may be what is wrong.
"""

import json
import re
from collections.abc import Iterable
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

OK, WARNING, WRONG = "ok", "warning", "wrong"
COLOURS = {OK: "green", WARNING: "yellow", WRONG: "bold red"}
# The longest state and the longest name of a check.
STATE_WIDTH, CHECK_WIDTH = len(WARNING), len("durability")


class Remark(NamedTuple):
    """What was seen, whether that is well, and the command that mends it; empty where nothing is to be mended."""

    state: str
    seen: str
    mend: str = ""


class Line(NamedTuple):
    """A remark and the check that made it."""

    check: str
    state: str
    seen: str
    mend: str = ""


def ok(seen: str) -> Remark:
    return Remark(OK, seen)


def warning(seen: str, mend: str) -> Remark:
    return Remark(WARNING, seen, mend)


def wrong(seen: str, mend: str) -> Remark:
    return Remark(WRONG, seen, mend)


def broken_setting(sentence: str) -> Line:
    """Return the line for a setting that cannot be read, from the sentence that names it."""
    name = re.search("CLARION_[A-Z_]+", sentence)
    mend = f"unset {name[0]}" if name else "env | grep CLARION_"
    return Line("settings", WRONG, sentence, mend)


def show(lines: Iterable[Line], *, as_json: bool) -> bool:
    """Print each line as it comes, for people or as one JSON object a line; say whether nothing was wrong."""
    out = Console(soft_wrap=True, highlight=False)
    is_well = True
    for line in lines:
        is_well = is_well and line.state != WRONG
        if as_json:
            print(json.dumps(line._asdict()), flush=True)
            continue
        told = Text(f"{line.state:<{STATE_WIDTH}}  ", style=COLOURS[line.state])
        told.append(f"{line.check:<{CHECK_WIDTH}}  {line.seen}", style="default")
        if line.mend:
            told.append(f"\n{'':<{STATE_WIDTH + CHECK_WIDTH + 4}}→ {line.mend}", style="bold")
        out.print(told)
    return is_well
