"""What a traced process told the disk and its clients, in order, read from the log of strace.

Written with `-f -y -xx`: every call of every thread, file descriptors with their paths, all bytes in hex.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

# What changes a file, makes it last, or answers a client. Calls of the last line are not understood: met on a file
# of ours they end the run, so that nothing is left out in silence.
CALLS = "openat,pwrite64,write,ftruncate,fsync,fdatasync,unlink,unlinkat,writev,sendto,sendmsg"
UNKNOWN = "pwritev,pwritev2,fallocate,rename,renameat,renameat2,link,linkat,truncate,copy_file_range,sync_file_range"
# No write of a database or of an answer is longer, bytes.
LONGEST = 1_000_000

_CALL = re.compile(rb"(\d+) +(\w+)\((.*)")
_RESUMED = re.compile(rb"(\d+) +<\.\.\. (\w+) resumed>(.*)")
_RESULT = re.compile(rb"(.*)\) += (-?\d+)(?:<((?:\\x[0-9a-f]{2})*)>)?")
_FILE = re.compile(rb"(?:AT_FDCWD|\d+)<((?:\\x[0-9a-f]{2})*)>")
_TEXT = re.compile(rb'"((?:\\x[0-9a-f]{2})*)"')


class Call(NamedTuple):
    """One call that succeeded; calls come in the order of their ends. `began` and `ended`: as which line of the log.

    `name`: write, cut, sync, make, unlink or say; else one that this does not understand. `at` is the offset of a
    write, or the length after a cut.
    """

    name: str
    began: int
    ended: int
    path: str
    at: int = 0
    data: bytes = b""


class NotUnderstood(Exception):
    """A file of ours was changed by a call that this does not know."""


def command(log: Path) -> list[str]:
    """What stands before the command that is to be traced."""
    return [
        *("strace", "-f", "-qq", "-y", "-xx", "--seccomp-bpf", "-s", str(LONGEST)),
        *("-e", f"trace={CALLS},{UNKNOWN}", "-e", "signal=none", "-o", str(log)),
    ]


def read(log: Path, folder: Path, *, without: tuple[str, ...] = ()) -> Iterator[Call]:
    """Return what became of the files of `folder` (and not below it), and what was said to clients.

    Files whose names end in one of `without` are left out.
    """
    begun: dict[bytes, tuple[int, bytes, bytes]] = {}
    with log.open("rb") as lines:
        for place, line in enumerate(lines):
            if (resumed := _RESUMED.match(line)) is not None:
                began, name, text = begun.pop(resumed[1])
                text += resumed[3]
            elif (call := _CALL.match(line)) is not None:
                began, name, text = place, call[2], call[3]
                if text.rstrip().endswith(b"<unfinished ...>"):
                    begun[call[1]] = (place, name, text.rstrip().removesuffix(b"<unfinished ...>").rstrip())
                    continue
            else:
                continue
            ended = _RESULT.match(text)
            if ended is not None and int(ended[2]) >= 0:
                yield from (
                    call
                    for call in _understood(name.decode(), ended, began, place, folder)
                    if not call.path.endswith(without)
                )


def check(calls: Iterable[Call]) -> None:
    """See to it that nothing is left out in silence.

    :raises NotUnderstood:
    """
    for call in calls:
        if call.name.startswith("?"):
            raise NotUnderstood(f"{call.name[2:]} on {call.path}")


def _understood(name: str, ended: re.Match[bytes], began: int, place: int, folder: Path) -> Iterator[Call]:
    text = ended[1]
    told = [_plain(found).decode() for found in _FILE.findall(text)]
    words = [_plain(found) for found in _TEXT.findall(text)]
    if name in ("write", "writev", "sendto", "sendmsg") and told and told[0].startswith("socket:"):
        yield Call("say", began, place, told[0], data=b"".join(words))
        return
    if name in ("openat", "unlink", "unlinkat"):
        path = _plain(ended[3] or b"").decode() if name == "openat" else str(Path(words[0].decode()))
    else:
        path = told[0] if told else ""
    is_folder = path == str(folder)
    if not is_folder and Path(path).parent != folder:
        return
    numbers = [int(number) for number in re.findall(rb"(?<=, )\d+(?=$|,)", text)]
    if name == "pwrite64":
        yield Call("write", began, place, path, numbers[-1], words[0])
    elif name in ("fsync", "fdatasync"):
        yield Call("sync", began, place, path)
    elif name == "ftruncate":
        yield Call("cut", began, place, path, numbers[-1])
    elif name in ("unlink", "unlinkat"):
        yield Call("unlink", began, place, path)
    elif name == "openat" and b"O_TRUNC" in text:
        yield Call("? emptying", began, place, path)
    elif name == "openat" and b"O_CREAT" in text:
        yield Call("make", began, place, path)
    elif name != "openat":
        yield Call(f"? {name}", began, place, path)


def _plain(hexed: bytes) -> bytes:
    return bytes.fromhex(hexed.replace(b"\\x", b"").decode())
