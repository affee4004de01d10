"""`clarion secrets rotate` at the terminal: what it says, its exit codes, and that it shows no key."""

import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from clarion.flows import accounts
from clarion.lib.key_files import KeyFile
from clarion.lib.secrets import read_keys
from clarion.models import GatewayAccount, Tenant
from tests.conftest import Clock
from tests.test_cli import DONE, FAILED, REFUSED, WRONG_USE, Clarion, clarion

__all__ = ["clarion"]  # the fixture


@pytest.fixture
def path(settings: Any, tmp_path: Path, tenant: Tenant, clock: Clock) -> Path:
    """A key file of the test's own, with an account that it seals."""
    settings.CLARION = settings.CLARION.model_copy(update={"data": tmp_path, "keys_file": None})
    settings.SECRET_KEYS = KeyFile(tmp_path / "secret.keys")
    GatewayAccount.objects.all().delete()
    accounts.add(tenant, name="log", gateway="log", settings={}, now=clock())
    return tmp_path / "secret.keys"


def test_it_says_what_was_done_and_what_comes_next_and_shows_no_key(clarion: Clarion, path: Path) -> None:
    results = [
        clarion("secrets", "rotate", "--key-only"),
        clarion("secrets", "rotate"),
        clarion("secrets", "rotate"),
    ]

    staged, finished, another = results
    assert [each.exit_code for each in results] == [DONE] * 3
    assert "has a new first key" in staged.stdout
    assert "was not finished, so there is no other key" in finished.stdout
    assert "1 sealed settings were sealed anew" in finished.stdout
    assert "has a new first key" in another.stdout
    assert "secrets rotate --drop-old" in another.stdout
    said = "".join(each.output for each in results)
    assert [key for key in read_keys(path) if key.decode() in said] == []


def test_old_keys_are_dropped_when_they_may_be(clarion: Clarion, path: Path) -> None:
    clarion("secrets", "rotate", "--key-only")
    needed = clarion("secrets", "rotate", "--drop-old")
    clarion("secrets", "rotate")
    early = clarion("secrets", "rotate", "--drop-old")
    os.utime(path, (0, 0))
    dropped = clarion("secrets", "rotate", "--drop-old")
    nothing = clarion("secrets", "rotate", "--drop-old")

    assert [each.exit_code for each in (needed, early, dropped, nothing)] == [REFUSED, REFUSED, DONE, DONE]
    assert "1 sealed settings still need an older key" in needed.stderr
    assert "Try again in a minute" in early.stderr
    assert "1 keys were taken out" in dropped.stdout
    assert "one key, and it stays" in nothing.stdout


def test_what_no_key_opens_is_told_and_everything_else_is_done(
    clarion: Clarion, path: Path, settings: Any
) -> None:
    path.write_bytes(Fernet.generate_key())
    settings.SECRET_KEYS = KeyFile(path)  # of a process that has not known the other

    result = clarion("secrets", "rotate")

    assert result.exit_code == FAILED
    assert "1 sealed settings open with no key of the file" in result.stderr
    assert "doctor" in result.stderr


def test_a_key_file_that_is_gone_or_damaged_is_named(clarion: Clarion, path: Path) -> None:
    path.write_text("canary-password")
    damaged = clarion("secrets", "rotate")
    path.unlink()
    gone = clarion("secrets", "rotate", "--drop-old")
    both = clarion("secrets", "rotate", "--drop-old", "--key-only")

    assert [each.exit_code for each in (damaged, gone, both)] == [WRONG_USE, WRONG_USE, REFUSED]
    assert "line 1" in damaged.stderr
    assert str(path) in gone.stderr
    assert "canary" not in damaged.output
