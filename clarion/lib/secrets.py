"""Secrets at rest and on show: the key file, sealed settings, masked text, and new API keys.

Stores nothing in a database and logs nothing; no repr and no error here holds a secret.
"""

import hashlib
import json
import os
import secrets
import string
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

_BASE62 = string.ascii_letters + string.digits
# 22 characters of 62 are 130.9 bits; OWASP asks for 128 where a fast hash is stored.
_RANDOM_CHARACTERS = 22
# Four characters tell two keys apart. Of anything shorter than 12 they would be more than a third.
_SHOWN = 4
_SHORTEST_SHOWN = 12


class BadKeyFile(Exception):
    """The key file cannot be used. The message names the file and the line, never what stands there."""


class BadSeal(Exception):
    """A sealed text was not made by one of these keys for this owner."""


def load_or_create_keys(path: Path) -> list[bytes]:
    """Return the Fernet keys of the file, the encrypting one first; make the file, with one key, if absent.

    One key in a line; empty lines and lines with `#` are skipped. A new file is readable by its owner only,
    is on the disk when this returns, and appears whole: processes that start together agree on one.

    :raises BadKeyFile: it cannot be read or made, holds no key, or a line is no key
    """
    try:
        if not path.exists():
            _create(path)
    except OSError as error:
        raise BadKeyFile(f"key file {path}: {error.strerror}") from None
    return read_keys(path)


def read_keys(path: Path) -> list[bytes]:
    """Return the keys of a file that is there; makes nothing.

    :raises BadKeyFile: it cannot be read, holds no key, or a line is no key
    """
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise BadKeyFile(f"key file {path}: {getattr(error, 'strerror', None) or 'is not text'}") from None
    keys = []
    for number, line in enumerate(text.splitlines(), start=1):
        key = line.strip().encode()
        if not key or key.startswith(b"#"):
            continue
        try:
            Fernet(key)
        except ValueError:
            raise BadKeyFile(f"key file {path}, line {number}: not a Fernet key (44 characters)") from None
        keys.append(key)
    if not keys:
        raise BadKeyFile(f"key file {path}: holds no key; remove it to have one made, or restore it")
    return keys


def _create(path: Path) -> None:
    # Written beside its place and then linked into it: a link fails where the name is taken, so the first of
    # two processes wins, and nobody can read half a key.
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(file, "wb") as out:
            out.write(Fernet.generate_key() + b"\n")
            out.flush()
            os.fsync(out.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    # What is sealed with a key that a power cut takes away is lost, so the name must be on the disk too.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class Box:
    """Seals small mappings for one owner, by any of several keys; the first key seals, all open."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """`keys` as from `load_or_create_keys`, at least one."""
        self._each = [Fernet(key) for key in keys]
        self._fernet = MultiFernet(self._each)

    def seal(self, mapping: Mapping[str, Any], *, owner: str) -> str:
        """Return the mapping (JSON values) encrypted and bound to its owner, as `gateway_account:<id>`."""
        # Fernet knows no associated data, so the owner stands inside: a sealed text copied to another row,
        # where its content would act under another name, does not open there.
        plain = json.dumps({"owner": owner, "content": dict(mapping)}, separators=(",", ":"))
        return self._fernet.encrypt(plain.encode()).decode("ascii")

    def open(self, text: str, *, owner: str) -> dict[str, Any]:
        """Return what was sealed.

        :raises BadSeal: for another key, another owner, or a changed text
        """
        try:
            plain = json.loads(self._fernet.decrypt(text))
        except (InvalidToken, ValueError):
            raise BadSeal(f"the sealed text of {owner} does not open: another key file, or changed") from None
        if plain["owner"] != owner:
            raise BadSeal(f"a sealed text was found at {owner} that was made for another owner")
        content: dict[str, Any] = plain["content"]
        return content

    def opener(self, text: str) -> int | None:
        """Return the index of the key that opens a sealed text, whosever it is; None: no key does."""
        for index, key in enumerate(self._each):
            with suppress(InvalidToken, ValueError):
                key.decrypt(text)
                return index
        return None

    def resealed(self, text: str) -> str:
        """Return the same, for the same owner, sealed with the first key.

        :raises BadSeal: no key opens it
        """
        try:
            return self._fernet.rotate(text).decode("ascii")
        except (InvalidToken, ValueError):
            raise BadSeal("a sealed text does not open: another key file, or changed") from None


def mask(text: str) -> str:
    """Return a secret as it may be shown: its last four characters, of a short one none, "" for none."""
    if not text:
        return ""
    return "…" + (text[-_SHOWN:] if len(text) >= _SHORTEST_SHOWN else "")


@dataclass(frozen=True, slots=True)
class ApiKeyParts:
    """A new key in the three forms it has: shown once to its owner, stored as a hash, listed by its hint."""

    key: str = field(repr=False)
    key_hash: str = field(repr=False)
    hint: str


def new_api_key(mode: Literal["live", "test"]) -> ApiKeyParts:
    """Return a new random key, `ck_live_…` or `ck_test_…`, safe in a URL and in a shell."""
    prefix = f"ck_{mode}_"
    key = prefix + "".join(secrets.choice(_BASE62) for _ in range(_RANDOM_CHARACTERS))
    return ApiKeyParts(key=key, key_hash=hash_key(key), hint=prefix + mask(key))


def hash_key(text: str) -> str:
    """Return the form in which a key is stored and looked up: SHA-256, 64 hex digits, for any text.

    A fast hash is right here and would be wrong for passwords: these keys are random, so none can be guessed.
    """
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
