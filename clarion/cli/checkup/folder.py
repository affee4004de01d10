"""The folders that hold the database file and the keys: there, ours to write, nobody else's to read, roomy, local."""

import os
import shlex
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.db import connection

from clarion.cli.output import program
from clarion.cli.remarks import Remark, ok, warning, wrong
from clarion.lib.disks import file_system, mounts

# SQLite's write-ahead log needs memory that all its processes share, which no file system of another machine has.
FAR_AWAY = {"nfs", "nfs3", "nfs4", "cifs", "smb2", "smb3", "smbfs", "afs", "ceph", "lustre", "glusterfs"}
FAR_AWAY |= {"fuse.glusterfs", "fuse.sshfs", "fuse.s3fs", "fuse.rclone", "davfs", "9p", "vboxsf"}
# Bytes. A mailing to a million people is 250 MB of rows (measured on SQLite), before their texts and attempts …
ROOMY = 10**9
# … and a disk that is full refuses every write, so it is wrong before it is.
FULL = 10**8
GIGABYTE = 10**9


def look() -> Iterator[Remark]:
    data = settings.CLARION.data.resolve()
    database = database_file()
    home = database.parent if database is not None else None
    for folder in dict.fromkeys(filter(None, (data, home))):
        yield from look_at(folder, holds_database=folder == home)


def database_file() -> Path | None:
    """Return the file of the database, there or not; None where a server keeps it."""
    if connection.vendor != "sqlite":
        return None
    return Path(connection.settings_dict["NAME"]).resolve()


def look_at(folder: Path, *, holds_database: bool) -> Iterator[Remark]:
    """Look at one folder; what only SQLite asks of it counts where it holds the database."""
    if not folder.exists():
        yield wrong(f"{folder} is not there: nothing is installed in it", f"{program()} migrate")
        return
    if not folder.is_dir():
        yield wrong(f"{folder} is no folder", f"mv {quoted(folder)} {quoted(folder)}.old")
        return
    faults = [*_access(folder), *(_place(folder) if holds_database else ())]
    yield from faults or [ok(f"{folder}, {_free(folder) / GIGABYTE:.1f} GB free")]


def _access(folder: Path) -> Iterator[Remark]:
    status = folder.stat()
    is_ours = status.st_uid == os.geteuid()
    if not may(folder, os.R_OK | os.W_OK | os.X_OK):
        mend = "chmod u+rwx" if is_ours else f"sudo chown -R {os.geteuid()}"
        yield wrong(f"{folder} cannot be written by this user", f"{mend} {quoted(folder)}")
    elif not is_ours:
        # What root makes there, the owner could not write.
        seen = f"{folder} belongs to user {status.st_uid}, and this is user {os.geteuid()}"
        yield warning(seen, f"sudo -u '#{status.st_uid}' {program()} doctor")
    if status.st_mode & stat.S_IRWXO:
        yield warning(f"{folder} is open to every user of this machine", f"chmod o-rwx {quoted(folder)}")


def _place(folder: Path) -> Iterator[Remark]:
    kind = file_system(folder, mounts())
    if kind in FAR_AWAY:
        seen = f"{folder} is on another machine's disk ({kind}), where SQLite loses data"
        there = "/var/lib/clarion"
        yield wrong(seen, f"cp -a {quoted(folder)} {there} && CLARION_DATA={there} {program()} run")
    free = _free(folder)
    if free < ROOMY:
        seen = f"{free / GIGABYTE:.2f} GB are free in {folder}; {ROOMY / GIGABYTE:.0f} GB should be"
        remark = wrong if free < FULL else warning
        yield remark(seen, f"df -h {quoted(folder)}")


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def may(path: Path, wish: int) -> bool:
    """Whether this user may do this (`os.R_OK` …) with a file or a folder."""
    return os.access(path, wish, effective_ids=os.access in os.supports_effective_ids)


def quoted(path: Path) -> str:
    """Return a path as it stands in a command."""
    return shlex.quote(str(path))
