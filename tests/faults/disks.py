"""A disk as a power cut may leave it: what was synced is there, of everything later some, some of it torn.

The model is the harshest that POSIX allows: writes of one file reach the disk in any order until it is synced, sector
by sector; a name that was made or removed lasts once its folder is synced, and until then may or may not.
"""

from collections.abc import Sequence
from pathlib import Path
from random import Random

from tests.faults.traces import Call

SECTOR = 512


class Content:
    """What one file holds: for certain, and what was told to the disk since."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data)
        self.later: list[Call] = []

    def settle(self, sync: Call) -> None:
        """Whatever ended before this sync began is there for good."""
        for call in self.later:
            if call.ended < sync.began:
                carry_out(self.data, call)
        self.later = [call for call in self.later if call.ended >= sync.began]

    def after_a_cut(self, rng: Random) -> bytes:
        """One of the ways in which a power cut may leave it."""
        data = bytearray(self.data)
        for call in self.later:
            if rng.random() < 0.5:
                continue
            if call.name == "cut" or rng.random() < 0.5:
                carry_out(data, call)
            else:
                for begin, end in sectors(call):
                    if rng.random() < 0.5:
                        piece = call.data[begin - call.at : end - call.at]
                        carry_out(data, call._replace(at=begin, data=piece))
        return bytes(data)


class Disk:
    """The files of one folder. Told every call in order, it can say at any moment what a power cut would leave."""

    def __init__(self, before: Path, folder: Path, *, without: Sequence[str] = ()) -> None:
        """Begin with what lies in `before`, a copy of `folder`; names that end in one of `without` are left out."""
        self._folder = folder
        self._without = tuple(without)
        found = {str(folder / path.name): path for path in before.iterdir() if path.is_file()}
        self._lasting = {
            name: Content(path.read_bytes()) for name, path in found.items() if self._counts(name)
        }
        # Names as the programs see them, and changes of names since the folder was synced.
        self._names = dict(self._lasting)
        self._later: list[tuple[Call, Content | None]] = []

    def tell(self, call: Call) -> None:
        """Take one call of the traced program."""
        if call.name == "sync" and call.path == str(self._folder):
            for change, content in self._later:
                if change.ended < call.began:
                    rename(self._lasting, change, content)
            self._later = [pair for pair in self._later if pair[0].ended >= call.began]
        elif not self._counts(call.path):
            return
        elif call.name in ("make", "unlink"):
            if call.name == "make" and call.path in self._names:
                return
            content = Content() if call.name == "make" else None
            rename(self._names, call, content)
            self._later.append((call, content))
        elif call.path in self._names:
            if call.name == "sync":
                self._names[call.path].settle(call)
            else:
                self._names[call.path].later.append(call)

    def after_a_cut(self, rng: Random) -> dict[str, bytes]:
        """One of the ways in which a power cut may leave the folder: name and content of each file."""
        names = dict(self._lasting)
        for change, content in self._later:
            if rng.random() < 0.5:
                rename(names, change, content)
        return {Path(path).name: content.after_a_cut(rng) for path, content in names.items()}

    def _counts(self, path: str) -> bool:
        return not path.endswith(self._without)


def carry_out(data: bytearray, call: Call) -> None:
    """Write, or cut, as the call says; what lies between the end and a later place is zeros."""
    end = call.at if call.name == "cut" else call.at + len(call.data)
    if len(data) < end:
        data.extend(bytes(end - len(data)))
    if call.name == "cut":
        del data[call.at :]
    else:
        data[call.at : end] = call.data


def sectors(call: Call) -> list[tuple[int, int]]:
    """Where the pieces of a write begin and end, cut at the borders of sectors."""
    end = call.at + len(call.data)
    borders = range(call.at // SECTOR * SECTOR, end, SECTOR)
    return [(max(begin, call.at), min(begin + SECTOR, end)) for begin in borders]


def rename(names: dict[str, Content], change: Call, content: Content | None) -> None:
    """Let a name mean this content, or nothing."""
    if content is None:
        names.pop(change.path, None)
    else:
        names[change.path] = content
