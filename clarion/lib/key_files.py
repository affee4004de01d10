"""A file of keys that changes while processes run: read anew by whoever uses it, changed by one at a time.

`secrets` says what stands in it and what is sealed with it. No error and no repr here holds a key.
"""

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import overload

from cryptography.fernet import Fernet

from clarion.lib.secrets import BadKeyFile, load_or_create_keys, read_keys

# What tells one state of the file from another: its number, its length, and when it was written.
State = tuple[int, int, int]


class KeyFile(Sequence[bytes]):
    """The keys of a file as they are now: the file is looked at whenever they are asked for, and read when it changed.

    At the first use it is made if it is absent; `prepare` makes its folder. Once read, keys stay known, behind those of the
    file: one that is gone or damaged later stops nothing that runs, and what was read from the database just before a key
    was taken away still opens.

    :raises BadKeyFile: at the first use, as `load_or_create_keys`
    """

    def __init__(self, path: Path, *, prepare: Callable[[], object] = lambda: None) -> None:
        self._path = path
        self._prepare = prepare
        self._known: tuple[State | None, list[bytes]] = (None, [])

    def __repr__(self) -> str:
        return f"<keys of {self._path}>"

    def __len__(self) -> int:
        return len(self._keys())

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        return self._keys()[index]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._keys())

    def _keys(self) -> list[bytes]:
        state, keys = self._known
        if not keys:
            self._prepare()
            keys = load_or_create_keys(self._path)
            self._known = (None, keys)
        # Looked at before it is read: what changes in between is seen the next time.
        with suppress(OSError, BadKeyFile):
            found = _state(os.stat(self._path))
            if found != state:
                now = read_keys(self._path)
                keys = [*now, *(key for key in keys if key not in now)]
                self._known = (found, keys)
        return keys


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Let nobody else change the file meanwhile; another who wants to waits.

    :raises BadKeyFile: it is not there, or cannot be opened
    """
    while True:
        try:
            file = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise BadKeyFile(f"key file {path}: {error.strerror}") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            # Whoever had it may have put another file in its place.
            if _is_at(file, path):
                yield
                return
        finally:
            os.close(file)


def put_first(path: Path) -> None:
    """Make a new key and put it before the others, which stay with their remarks. To be called while it is `held`.

    :raises BadKeyFile: it cannot be read or written; it is as it was
    """
    _rewrite(path, lambda lines: [Fernet.generate_key().decode(), *lines])


def keep_first(path: Path) -> None:
    """Take away every key but the first; remarks stay. To be called while it is `held`.

    :raises BadKeyFile: it cannot be read or written; it is as it was
    """
    first, *others = (key.decode() for key in read_keys(path))
    # The first may stand there twice.
    dropped = set(others)

    def without(lines: list[str]) -> list[str]:
        kept = [line for line in lines if line.strip() not in dropped]
        return kept if first not in dropped else [first, *kept]

    _rewrite(path, without)


def _rewrite(path: Path, change: Callable[[list[str]], list[str]]) -> None:
    """Put a new file in the place of the old, in one step and on the disk, for the same owner alone."""
    # Behind a symbolic link the file itself is changed.
    path = path.resolve()
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        read_keys(path)
        owner = path.stat()
        lines = change(path.read_text(encoding="ascii").splitlines())
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(file, "w", encoding="ascii") as out:
                # A key that the web process may not read is worse than none.
                os.fchown(out.fileno(), owner.st_uid, owner.st_gid)
                out.write("".join(f"{line}\n" for line in lines))
                out.flush()
                os.fsync(out.fileno())
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except OSError as error:
        raise BadKeyFile(f"key file {path}: {error.strerror}") from None


def _sync_folder(folder: Path) -> None:
    # What is sealed with a key that a power cut takes away is lost, so the new file must have its name on the disk.
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except FileNotFoundError:
        return False


def _state(seen: os.stat_result) -> State:
    return seen.st_ino, seen.st_size, seen.st_mtime_ns
