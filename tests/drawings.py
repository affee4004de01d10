"""The parts of docs/ that are drawn from the code: states, settings, problems. `python -m tests.drawings` writes
them, `make docs` does so too, and tests/test_docs.py compares them.
"""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import django
from pydantic import SecretStr

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clarion.settings")
django.setup()

from clarion.api.catalogue import CATALOGUE  # noqa: E402 - models come after the set-up
from clarion.models.outgoing import NEXT, OPEN_STATES, STATUS, STATUSES, State  # noqa: E402
from clarion.settings import Settings  # noqa: E402

DOCS = Path(__file__).parent.parent / "docs"
# <!-- drawn: name --> … <!-- end -->
PLACE = re.compile(r"(<!-- drawn: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def redrawn(text: str) -> str:
    """Return the text with every drawing in it as the code has it now."""
    return PLACE.sub(lambda found: f"{found[1]}\n{DRAWINGS[found[2]]()}\n\n{found[3]}", text)


def states() -> str:
    """Draw which state may follow which; a state that leads to the end is final."""
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> waiting"]
    for state in State.values:
        followers = [follower for follower in State.values if follower in NEXT[state]]
        lines += [f"    {state} --> {follower}" for follower in followers or ["[*]"]]
    return "\n".join([*lines, "```"])


def statuses() -> str:
    """Draw what callers read for each state."""
    rows = []
    for status in STATUSES:
        behind = [state for state in State.values if STATUS[state] == status]
        is_open = any(state in OPEN_STATES for state in behind)
        rows.append((status, ", ".join(f"`{state}`" for state in behind), "yes" if is_open else "no"))
    return _table(("callers read", "state", "on its way"), rows)


def settings() -> str:
    """Draw what an operator may set."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(default, SecretStr):
            default = default.get_secret_value()
        # As the environment would have it: lists and truth values are JSON.
        shown = json.dumps(default) if isinstance(default, bool | list) else default
        cell = "" if shown in ("", None) else f"`{shown}`"
        rows.append((f"`CLARION_{name.upper()}`", cell, field.description))
    return _table(("setting", "default", "meaning"), rows)


def problems() -> str:
    """Draw every code of a problem."""
    rows = [
        (f"`{code}`", ", ".join(map(str, meaning.statuses)), meaning.means, meaning.remedy)
        for code, meaning in CATALOGUE.items()
    ]
    return _table(("code", "status", "what happened", "what to do"), rows)


DRAWINGS: dict[str, Callable[[], str]] = {
    "states": states,
    "statuses": statuses,
    "settings": settings,
    "problems": problems,
}


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    for path in DOCS.rglob("*.md"):
        path.write_text(redrawn(path.read_text()))
