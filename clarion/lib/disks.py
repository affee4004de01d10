"""What a folder lies on."""

import re
from pathlib import Path

# One line a mount: id, parent, device, root, where, options …, a dash, the type (proc_pid_mountinfo(5)).
_MOUNTS = Path("/proc/self/mountinfo")
_MOUNT = re.compile(r"^\d+ \d+ \S+ \S+ (\S+) .*? - (\S+) ", re.MULTILINE)
_OCTAL = re.compile(r"\\([0-7]{3})")


def mounts() -> str:
    """Return what the system says of its mounts, on Linux; elsewhere an empty text."""
    return _MOUNTS.read_text() if _MOUNTS.exists() else ""


def file_system(path: Path, mounts: str) -> str:
    """Return the type of the file system (`ext4`, `nfs4`) that this path, without links, lies on; "" if unknown."""
    deepest, found = -1, ""
    for where, kind in _MOUNT.findall(mounts):
        # A blank in a name is written \040.
        place = Path(_OCTAL.sub(lambda octal: chr(int(octal[1], 8)), where))
        # Of two at one place the later one hides the earlier.
        if path.is_relative_to(place) and len(place.parts) >= deepest:
            deepest, found = len(place.parts), kind
    return found
