"""The doctor as a process of its own, where nothing is installed or what is there cannot be used."""

import json
from pathlib import Path

import pytest

from tests.test_cli_alone import clarion

DONE, FAILED = range(2)
PAGE = 4096  # bytes, as SQLite makes them

pytestmark = [pytest.mark.slow, pytest.mark.thorough]


def wrong_in(output: str) -> dict[str, dict[str, str]]:
    """Return what was found wrong, by the check that found it."""
    lines = [json.loads(line) for line in output.splitlines()]
    return {line["check"]: line for line in lines if line["state"] == "wrong"}


def test_where_nothing_is_installed_it_says_what_installs_and_makes_nothing(tmp_path: Path) -> None:
    looked = clarion("doctor", "--json", folder=tmp_path)

    wrong = wrong_in(looked.stdout)
    assert (looked.returncode, looked.stderr) == (FAILED, "")
    assert set(wrong) == {"folder", "database", "keys"}
    assert all(line["mend"].endswith(" migrate") for line in wrong.values())
    assert list(tmp_path.iterdir()) == []


def test_what_it_named_installs_and_then_only_a_worker_is_missing(tmp_path: Path) -> None:
    clarion("migrate", folder=tmp_path)

    looked = clarion("doctor", "--deep", "--json", folder=tmp_path)

    lines = [json.loads(line) for line in looked.stdout.splitlines()]
    assert (looked.returncode, wrong_in(looked.stdout)) == (DONE, {})
    assert "workers" in [line["check"] for line in lines if line["state"] == "warning"]
    assert "read from end to end, no damage" in [line["seen"] for line in lines]


def test_a_file_that_is_damaged_inside_is_wrong_when_it_is_read_to_its_end(tmp_path: Path) -> None:
    clarion("migrate", folder=tmp_path)
    file = tmp_path / "var" / "clarion.sqlite3"
    pages = bytearray(file.read_bytes())
    # The last pages: the first ones say what tables there are.
    pages[-3 * PAGE :] = b"\xa5" * (3 * PAGE)
    file.write_bytes(pages)

    looked = clarion("doctor", "--deep", "--json", folder=tmp_path)

    assert looked.returncode == FAILED
    assert "file" in wrong_in(looked.stdout)
    assert "Traceback" not in looked.stderr


@pytest.mark.parametrize(
    "url",
    [
        "postgres://clarion:hunter2@127.0.0.1:1/clarion",
        "mysql://clarion:hunter2@127.0.0.1:1/clarion",
    ],
)
def test_a_server_that_does_not_answer_is_wrong_and_its_password_is_not_shown(
    tmp_path: Path, url: str
) -> None:
    looked = clarion("doctor", "--json", folder=tmp_path, database_url=url)

    database = wrong_in(looked.stdout)["database"]
    assert looked.returncode == FAILED
    assert database["seen"] == "nobody answers at 127.0.0.1:1"
    assert database["mend"].startswith("sudo systemctl start ")
    assert "hunter2" not in looked.stdout + looked.stderr


def test_settings_that_cannot_be_read_are_what_is_wrong(tmp_path: Path) -> None:
    looked = clarion(
        "doctor", "--json", folder=tmp_path, port="0", database_url="heron://clarion:hunter2@x/y"
    )
    told = clarion("doctor", folder=tmp_path, allowed_hosts="hunter2")

    line = wrong_in(looked.stdout)["settings"]
    assert (looked.returncode, told.returncode) == (FAILED, FAILED)
    assert line["mend"] == "unset CLARION_PORT"
    assert "→ unset CLARION_ALLOWED_HOSTS" in told.stdout
    assert "hunter2" not in looked.stdout + looked.stderr + told.stdout + told.stderr
