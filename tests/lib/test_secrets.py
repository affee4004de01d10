"""Keys at rest, sealed settings and API keys: what opens, what does not, and nothing shows on the way."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from clarion.lib.secrets import (
    BadKeyFile,
    BadSeal,
    Box,
    hash_key,
    load_or_create_keys,
    mask,
    new_api_key,
)

ACCOUNT = "gateway_account:1"
CONFIG = {"token": "canary-7f3a", "port": 25, "options": {"tls": True}}


def test_a_missing_file_is_made_with_one_key_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "secret.keys"

    keys = load_or_create_keys(path)

    assert len(keys) == 1
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_or_create_keys(path) == keys
    assert list(tmp_path.iterdir()) == [path]


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    path = tmp_path / "secret.keys"
    code = (
        "import sys; from pathlib import Path; from clarion.lib.secrets import load_or_create_keys as load\n"
        "sys.stdin.readline(); print(load(Path(sys.argv[1])))"
    )
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]

    for starter in starters:
        assert starter.stdin is not None
        starter.stdin.write("go\n")
        starter.stdin.flush()
    answers = {starter.communicate()[0] for starter in starters}

    assert answers == {f"{load_or_create_keys(path)}\n"}


def test_a_key_file_may_hold_several_keys_and_remarks(tmp_path: Path) -> None:
    new, old = Fernet.generate_key(), Fernet.generate_key()
    path = tmp_path / "secret.keys"
    path.write_bytes(b"# since May\n" + new + b"\n\n  " + old + b"\r\n")

    assert load_or_create_keys(path) == [new, old]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "holds no key"),
        (b"# nothing\n", "holds no key"),
        (b"canary-password\n", "line 1"),
        (b"A" * 43 + b"=\ncanary-password", "line 2"),
        (b"\xff\xfe", "not text"),
    ],
)
def test_a_bad_file_is_named_and_not_repeated(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "secret.keys"
    path.write_bytes(content)

    with pytest.raises(BadKeyFile, match=said) as refusal:
        load_or_create_keys(path)

    assert str(path) in str(refusal.value)
    assert "canary" not in str(refusal.value)
    assert path.read_bytes() == content


@pytest.mark.parametrize("place", ["missing/secret.keys", "."])
def test_a_place_that_can_hold_no_file_is_named(tmp_path: Path, place: str) -> None:
    with pytest.raises(BadKeyFile, match=re.escape(str(tmp_path / place))):
        load_or_create_keys(tmp_path / place)


def test_what_is_sealed_opens_for_its_owner() -> None:
    box = Box([Fernet.generate_key()])

    sealed = box.seal(CONFIG, owner=ACCOUNT)

    assert "canary" not in sealed
    assert box.open(sealed, owner=ACCOUNT) == CONFIG


def test_what_is_sealed_for_one_owner_does_not_open_for_another() -> None:
    box = Box([Fernet.generate_key()])
    sealed = box.seal(CONFIG, owner=ACCOUNT)

    with pytest.raises(BadSeal, match="another owner"):
        box.open(sealed, owner="gateway_account:2")


def test_a_new_first_key_still_opens_what_the_old_one_sealed() -> None:
    new, old = Fernet.generate_key(), Fernet.generate_key()
    sealed = Box([old]).seal(CONFIG, owner=ACCOUNT)

    both = Box([new, old])

    assert both.open(sealed, owner=ACCOUNT) == CONFIG
    assert Box([new]).open(both.seal(CONFIG, owner=ACCOUNT), owner=ACCOUNT) == CONFIG


@pytest.mark.parametrize("damage", ["", "nonsense", "ключ", "\ud800", None])
def test_what_was_not_sealed_with_these_keys_does_not_open(damage: str | None) -> None:
    foreign = Box([Fernet.generate_key()]).seal(CONFIG, owner=ACCOUNT)

    with pytest.raises(BadSeal, match="does not open"):
        Box([Fernet.generate_key()]).open(foreign if damage is None else damage, owner=ACCOUNT)


def test_a_mask_shows_the_end_of_a_long_secret_and_nothing_of_a_short_one() -> None:
    assert mask("sk-abcdefgh1234") == "…1234"
    assert mask("hunter2hunt") == "…"
    assert mask("") == ""


@pytest.mark.parametrize("mode", ["live", "test"])
def test_a_new_key_has_its_mode_in_front_and_128_random_bits(mode: str) -> None:
    parts = new_api_key("live" if mode == "live" else "test")

    random_part = parts.key.removeprefix(f"ck_{mode}_")
    assert re.fullmatch(r"[A-Za-z0-9]+", random_part)
    assert 62 ** len(random_part) >= 2**128
    assert parts.key_hash == hash_key(parts.key)
    assert parts.hint == f"ck_{mode}_…{parts.key[-4:]}"


def test_no_two_keys_are_alike() -> None:
    assert len({new_api_key("live").key for _ in range(100)}) == 100


def test_a_hash_is_sha256_of_any_text() -> None:
    assert hash_key("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert len(hash_key("\ud800é")) == 64


def test_nothing_secret_is_in_a_repr() -> None:
    key = Fernet.generate_key()
    parts = new_api_key("live")

    shown = repr(Box([key])) + repr(parts)

    assert key.decode() not in shown
    assert parts.key not in shown
    assert parts.key_hash not in shown
