"""An installation of a test's own, and the doctor that looks at it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from clarion.cli import app
from clarion.lib import logs
from tests.servers import free_port

Said = dict[str, list[dict[str, str]]]
Doctor = Callable[..., Said]


def said_in(output: str) -> Said:
    """Return the lines by the check that made them."""
    said: Said = {}
    for line in output.splitlines():
        said.setdefault(json.loads(line)["check"], []).append(json.loads(line))
    return said


@pytest.fixture
def installation(settings: Any, tmp_path: Path) -> Path:
    """A folder with the keys of this run, and a port that nobody has; the database is the test's."""
    keys = tmp_path / "secret.keys"
    keys.write_bytes(b"\n".join(settings.SECRET_KEYS))
    keys.chmod(0o600)
    tmp_path.chmod(0o700)
    changes = {"data": tmp_path, "keys_file": None, "port": free_port()}
    settings.CLARION = settings.CLARION.model_copy(update=changes)
    return tmp_path


@pytest.fixture
def doctor(db: None, installation: Path) -> Iterator[Doctor]:
    """Return a function that lets the doctor look, and gives what it says; its exit code is checked on the way."""

    def look(*words: str) -> Said:
        result = CliRunner().invoke(app, ["doctor", "--json", *words])
        said = said_in(result.stdout)
        is_wrong = any(line["state"] == "wrong" for lines in said.values() for line in lines)
        assert result.exit_code == int(is_wrong), result.output
        return said

    yield look
    # Each run sends the logs to the standard error that it has.
    logs.set_up(level="warning", form="text")


def only(lines: list[dict[str, str]]) -> tuple[str, str, str]:
    (line,) = lines
    return line["state"], line["seen"], line["mend"]
