"""What a path lies on is the deepest mount above it, the last of several."""

from pathlib import Path

import pytest

from clarion.lib.disks import file_system, mounts

MOUNTS = r"""22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:26 / /srv rw,relatime shared:5 - nfs4 files.example.com:/srv rw,vers=4.2
31 30 254:1 / /srv/local rw,relatime - xfs /dev/vdb rw
32 22 0:40 / /mnt/two\040words rw - cifs //files.example.com/two rw
33 22 0:41 / /mnt/again rw - ext4 /dev/vdc rw
34 33 0:42 / /mnt/again rw master:3 propagate_from:2 - fuse.sshfs files.example.com: rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/clarion", "ext4"),
        ("/srv", "nfs4"),
        ("/srv/clarion/data", "nfs4"),
        ("/srv/local/clarion", "xfs"),
        ("/srv-of-another", "ext4"),
        ("/mnt/two words/clarion", "cifs"),
        ("/mnt/again/clarion", "fuse.sshfs"),
    ],
)
def test_a_path_lies_on_the_deepest_mount_above_it(path: str, kind: str) -> None:
    assert file_system(Path(path), MOUNTS) == kind


def test_where_the_system_says_nothing_nothing_is_known() -> None:
    assert file_system(Path("/srv"), "") == ""


@pytest.mark.skipif(not mounts(), reason="this system has no /proc/self/mountinfo")
def test_this_machines_own_mounts_can_be_read(tmp_path: Path) -> None:
    assert file_system(tmp_path.resolve(), mounts())
