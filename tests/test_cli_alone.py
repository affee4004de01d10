"""`clarion` as a process where something is missing: a sentence and an exit code, no traceback, and no trace left."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import load_command_class

from clarion.cli.run import address_of, change_password

DONE, FAILED, WRONG_USE, NOT_FOUND = range(4)

pytestmark = pytest.mark.thorough


def clarion(*words: str, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the command in this folder with these settings alone."""
    strangers = {name: value for name, value in os.environ.items() if not name.startswith("CLARION_")}
    ours = {f"CLARION_{name.upper()}": value for name, value in settings.items()}
    return subprocess.run(
        [sys.executable, "-m", "clarion", *words],
        cwd=folder,
        env={**strangers, **ours},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--help",), DONE),
        (("audit", "--help"), DONE),
        (("audit",), NOT_FOUND),
        (("keys", "list"), NOT_FOUND),
        (("worker",), NOT_FOUND),
        (("web",), NOT_FOUND),
    ],
)
def test_a_look_into_a_wrong_folder_leaves_no_trace(
    tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    result = clarion(*words, folder=tmp_path)

    assert result.returncode == code, result.stderr
    assert list(tmp_path.iterdir()) == []
    if code == NOT_FOUND:
        assert f"Nothing is installed in {tmp_path / 'var'}: clarion migrate" in result.stderr


@pytest.mark.slow
def test_migrating_makes_the_folder_and_the_key(tmp_path: Path) -> None:
    result = clarion("migrate", folder=tmp_path, port="", keys_file="")

    assert result.returncode == DONE, result.stderr
    assert {"clarion.sqlite3", "secret.keys"} <= {file.name for file in (tmp_path / "var").iterdir()}
    assert (tmp_path / "var").stat().st_mode & 0o777 == 0o700


@pytest.mark.slow
def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    result = clarion("migrate", folder=tmp_path, data="file/data")

    assert (result.returncode, len(result.stderr.splitlines())) == (FAILED, 1)
    assert "file/data cannot be made" in result.stderr


@pytest.mark.slow
def test_each_wrong_setting_is_named_in_a_sentence_of_its_own(tmp_path: Path) -> None:
    result = clarion("audit", folder=tmp_path, port="0", in_flight="many")

    assert (result.returncode, result.stdout) == (WRONG_USE, "")
    port, in_flight = result.stderr.splitlines()
    assert port.startswith("CLARION_PORT is wrong: ")
    assert in_flight.startswith("CLARION_IN_FLIGHT is wrong: ")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("allowed_hosts", "hunter2"),
        ("database_url", "postgres://clarion:hunter2/x@db.example.com/clarion"),
        ("database_url_file", "missing"),
    ],
)
def test_a_setting_that_cannot_be_read_is_one_sentence_without_its_value(
    tmp_path: Path, name: str, value: str
) -> None:
    result = clarion("audit", folder=tmp_path, **{name: value})

    assert (result.returncode, len(result.stderr.splitlines())) == (WRONG_USE, 1)
    assert f"CLARION_{name.upper()}" in result.stderr
    assert "hunter2" not in result.stderr


@pytest.mark.slow
def test_a_bad_key_file_stops_the_start_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("hunter2\n")

    result = clarion("migrate", folder=tmp_path, keys_file="keys")

    assert (result.returncode, len(result.stderr.splitlines())) == (WRONG_USE, 1)
    assert "key file keys, line 1" in result.stderr
    assert "hunter2" not in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("url", ["sqlite:empty.sqlite3", "postgres://clarion:hunter2@127.0.0.1:1/clarion"])
def test_a_database_that_cannot_be_used_is_one_sentence_that_names_the_way_out(
    tmp_path: Path, url: str
) -> None:
    (tmp_path / "empty.sqlite3").touch()

    result = clarion("audit", folder=tmp_path, database_url=url)

    assert (result.returncode, len(result.stderr.splitlines())) == (FAILED, 1), result.stderr
    assert "clarion migrate" in result.stderr
    assert "hunter2" not in result.stderr


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),  # noqa: S104 - is shown, not listened on
        ("::", "http://[::1]:8000"),
        ("::1", "http://[::1]:8000"),
        ("clarion.example.com", "http://clarion.example.com:8000"),
    ],
)
def test_the_card_shows_an_address_that_this_machine_can_open(host: str, address: str) -> None:
    assert address_of(host, 8000) == address


def test_the_command_for_another_password_is_one_that_there_is() -> None:
    python, script, verb, user = change_password().split()

    assert (Path(python).exists(), Path(script).exists(), user) == (True, True, "operator")
    assert load_command_class("django.contrib.auth", verb)
