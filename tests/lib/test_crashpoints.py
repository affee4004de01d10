"""A crash point kills its process, and only when it was told to. Each case is a process of its own."""

import subprocess
import sys

import pytest

from clarion.lib.crashpoints import KILLED, UnknownPoint, arm, crashpoint

PASSING_THREE_TIMES = """
import sys
from clarion.lib.crashpoints import arm, crashpoint
{arming}
try:
    for number in (1, 2, 3):
        crashpoint("cycle.before_commit")
        print(number, flush=True)
finally:
    print("cleaned up", flush=True)
"""


def passing(arming: str) -> tuple[int, list[str]]:
    code = PASSING_THREE_TIMES.format(arming=arming)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout.splitlines()


def test_an_armed_point_kills_the_process_without_cleaning_up() -> None:
    assert passing('arm("cycle.before_commit")') == (KILLED, [])


def test_a_point_can_be_armed_for_a_later_time() -> None:
    assert passing('arm("cycle.before_commit", after=3)') == (KILLED, ["1", "2"])


@pytest.mark.parametrize("arming", ["", 'arm("cycle.after_commit")'])
def test_a_point_that_is_not_armed_does_nothing(arming: str) -> None:
    assert passing(arming) == (0, ["1", "2", "3", "cleaned up"])


def test_an_undeclared_point_is_an_error_in_any_mode() -> None:
    with pytest.raises(UnknownPoint, match=r"cycle\.befor_commit"):
        crashpoint("cycle.befor_commit")
    with pytest.raises(UnknownPoint, match=r"cycle\.before_commit"):
        arm("cycle.befor_commit")


def test_a_point_cannot_be_armed_for_the_past() -> None:
    with pytest.raises(ValueError, match="first time"):
        arm("cycle.before_commit", after=0)
