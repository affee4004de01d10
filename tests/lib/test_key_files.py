"""The file of keys while processes use it: read anew when it changed, changed whole, by one at a time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from clarion.lib import key_files
from clarion.lib.key_files import KeyFile
from clarion.lib.secrets import BadKeyFile, BadSeal, Box, read_keys


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "secret.keys"
    file.write_bytes(b"# since May\n" + Fernet.generate_key() + b"\n")
    file.chmod(0o600)
    return file


def put_first(path: Path) -> None:
    with key_files.held(path):
        key_files.put_first(path)


def keep_first(path: Path) -> None:
    with key_files.held(path):
        key_files.keep_first(path)


def test_nothing_is_read_or_made_before_the_first_use(tmp_path: Path) -> None:
    folder = tmp_path / "var"

    keys = KeyFile(folder / "secret.keys", prepare=folder.mkdir)

    assert not folder.exists()
    assert len(keys) == 1
    assert list(keys) == read_keys(folder / "secret.keys")


def test_whoever_has_read_the_file_knows_a_key_that_was_put_into_it_since(path: Path) -> None:
    keys = KeyFile(path)
    before = list(keys)

    put_first(path)

    assert list(keys) == read_keys(path)
    assert keys[1:] == before
    assert keys[0] not in before


def test_a_file_that_is_lost_or_damaged_later_stops_nobody_who_has_read_it(path: Path) -> None:
    keys = KeyFile(path)
    before = list(keys)

    path.write_bytes(b"nonsense\n")
    assert list(keys) == before
    path.unlink()
    assert list(keys) == before

    with pytest.raises(BadKeyFile):
        read_keys(path)


def test_what_was_read_before_its_key_was_taken_away_still_opens_and_nothing_is_sealed_with_it(
    path: Path,
) -> None:
    keys = KeyFile(path)
    text = Box(keys).seal({"a": 1}, owner="it")
    put_first(path)
    bool(keys)

    keep_first(path)

    assert Box(keys).open(text, owner="it") == {"a": 1}
    assert Box(read_keys(path)).opener(Box(keys).seal({}, owner="it")) == 0
    with pytest.raises(BadSeal):
        Box(read_keys(path)).open(text, owner="it")


def test_a_new_key_stands_first_in_a_file_of_its_owner_alone_and_remarks_stay(path: Path) -> None:
    old = path.read_text()
    path.chmod(0o644)

    put_first(path)

    first, rest = path.read_text().split("\n", 1)
    assert rest == old
    assert Fernet(first)
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_all_keys_but_the_first_are_taken_away_and_remarks_stay(path: Path) -> None:
    put_first(path)
    put_first(path)
    first = read_keys(path)[0].decode()

    keep_first(path)

    assert path.read_text() == f"{first}\n# since May\n"


def test_a_first_key_that_stands_there_twice_stays(path: Path) -> None:
    (key,) = read_keys(path)
    path.write_bytes(key + b"\n" + Fernet.generate_key() + b"\n" + key + b"\n")

    keep_first(path)

    assert read_keys(path) == [key]


def test_behind_a_symbolic_link_the_file_itself_is_changed(path: Path) -> None:
    link = path.with_name("link")
    link.symlink_to(path)

    put_first(link)

    assert link.is_symlink()
    assert len(read_keys(path)) == 2


def test_a_file_that_cannot_be_used_is_named_and_stays_as_it_is(path: Path) -> None:
    path.write_bytes(b"canary-password\n")

    with pytest.raises(BadKeyFile, match="line 1") as refusal:
        put_first(path)

    assert "canary" not in str(refusal.value)
    assert path.read_bytes() == b"canary-password\n"
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(BadKeyFile, match="No such file"), key_files.held(path.with_name("absent")):
        pass


def test_of_processes_that_put_keys_in_at_once_none_loses_anothers(path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from clarion.lib import key_files\n"
        "path = Path(sys.argv[1]); sys.stdin.readline()\n"
        "for _ in range(10):\n"
        "    with key_files.held(path): key_files.put_first(path)\n"
    )
    command = [sys.executable, "-c", code, str(path)]
    writers = [subprocess.Popen(command, stdin=subprocess.PIPE, text=True) for _ in range(3)]

    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()

    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert len(set(read_keys(path))) == 31


def test_no_repr_shows_a_key(path: Path) -> None:
    keys = KeyFile(path)

    assert all(key.decode() not in repr(keys) for key in keys)
    assert os.fspath(path) in repr(keys)
