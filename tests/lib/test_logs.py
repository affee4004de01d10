"""What a line of log says of an error: its kind, the database's name for it and the way to it, never its sentence."""

import json
import subprocess
import sys
from datetime import UTC, datetime

from clarion.lib.logs import code_of, mistake

PHONE = "70000001234"
LIBRARY = """
import logging
from clarion.lib import logs
logs.set_up(level="info", form="json")
try:
    raise ValueError("70000001234")
except ValueError:
    logging.getLogger("a library").exception("it failed")
"""

MANY = """
import structlog
from clarion.lib import logs
logs.set_up(level={level!r}, form={form!r})
structlog.contextvars.bind_contextvars(request_id="r1")
structlog.get_logger().info("happened", n=1, text="a\\nb")
logs.info_lines("happened", ({{"n": n, "text": "a\\nb"}} for n in (1, 2)))
"""


def caught(error: Exception) -> Exception:
    try:
        raise error
    except Exception as raised:
        return raised


def test_a_mistake_is_named_and_placed_and_not_quoted() -> None:
    said = mistake(caught(KeyError(PHONE)))

    assert (said["error"], said["code"]) == ("KeyError", "")
    assert "in caught" in said["where"]
    assert PHONE not in str(said)


def test_the_code_of_each_database_is_found() -> None:
    postgres, sqlite = Exception(PHONE), Exception(PHONE)
    postgres.__cause__, sqlite.__cause__ = Exception(), Exception()
    postgres.__cause__.sqlstate = "23505"  # type: ignore[attr-defined]
    sqlite.__cause__.sqlite_errorname = "SQLITE_BUSY"  # type: ignore[attr-defined]

    codes = [code_of(error) for error in (postgres, sqlite, Exception(1062, PHONE), Exception(PHONE))]

    assert codes == ["23505", "SQLITE_BUSY", "1062", ""]


def test_what_a_library_logs_of_an_error_is_not_quoted_either() -> None:
    ran = subprocess.run([sys.executable, "-c", LIBRARY], capture_output=True, text=True, check=True)

    assert "ERROR:a library:it failed\nValueError\n" in ran.stderr
    assert "line 6, in <module>" in ran.stderr
    assert PHONE not in ran.stderr


def written(*, level: str, form: str) -> list[str]:
    script = MANY.format(level=level, form=form)
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return ran.stderr.splitlines()


def test_many_lines_at_once_are_the_lines_that_they_would_be_one_by_one() -> None:
    alone, *together = [json.loads(line) for line in written(level="info", form="json")]
    del alone["timestamp"]

    assert [datetime.fromisoformat(line.pop("timestamp")).tzinfo for line in together] == [UTC, UTC]
    assert together == [alone, {**alone, "n": 2}]
    assert ["n=1" in line for line in written(level="info", form="text")] == [True, True, False]


def test_many_lines_at_once_are_as_silent_as_one() -> None:
    assert written(level="warning", form="json") == []
