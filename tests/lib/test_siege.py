"""The siege: a corpus of hostile targets is tried on the HTTP client, and nothing of it gets anywhere."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import uvloop

from clarion.lib.egress import Denied, Egress
from tests.lib.besieging import HARMLESS, Siege, Target, besiege, targets

ROOT = Path(__file__).parents[2]
ALL = list(targets())

# An address of loopback, or the one that Linux takes for it, as strace writes it.
AT_HOME = re.compile(r'"(?:127\.[0-9.]+|0\.0\.0\.0|::1?|::ffff:(?:127\.[0-9.]+|0\.0\.0\.0))"')


@pytest.mark.parametrize("loop", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def test_no_hostile_target_is_connected(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    siege = besiege(ALL, loop=loop)

    assert len(ALL) >= 200
    assert (siege.trapped, siege.strayed) == (0, [])
    # `url`: not http at all, which no guard has to say.
    assert set(siege.outcomes) == {"egress", "url"}, siege.examples


def test_a_good_address_beside_a_bad_one_would_be_taken_if_it_were_alone() -> None:
    egress = Egress(HARMLESS)
    mixed = [target for target in ALL if set(target.answers) & set(HARMLESS)]

    assert len(mixed) == 6
    for target in mixed:
        egress.admit(target.host, set(target.answers) & set(HARMLESS))
        with pytest.raises(Denied):
            egress.admit(target.host, target.answers)


@pytest.mark.parametrize("target", ALL, ids=lambda target: target.text)
def test_what_is_hostile_by_its_looks_is_told_before_any_look_up(target: Target) -> None:
    objections = [Egress(plain_http=True).objection(url) for url in target.urls(4711)]

    assert all(objections) or (target.answers and not any(objections))


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.parametrize(
    ("without", "is_missed"),
    [(("objections",), False), (("egress",), True), (("objections", "egress"), True)],
)
def test_either_guard_holds_what_it_can_and_without_both_the_traps_catch(
    without: Sequence[str], is_missed: bool
) -> None:
    siege = in_a_process(*without)

    # The operator opened what is harmless: only in the form of some targets something was wrong.
    strayed = set(siege.strayed) - set(HARMLESS)
    assert [siege.trapped > 0, len(strayed) > 0] == [is_missed] * 2, siege
    assert siege.outcomes["egress"] if "egress" not in without else siege.outcomes["HTTP 200"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.thorough
def test_the_kernel_is_asked_for_no_connection_at_all(tmp_path: Path) -> None:
    log = tmp_path / "strace"
    strace = ["strace", "-f", "-qq", "-e", "trace=connect", "-o", str(log)]

    siege = in_a_process(wrapped=strace)

    assert sum(siege.outcomes.values()) > 600
    assert calls(log) == []


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.thorough
def test_without_any_guard_nothing_of_the_siege_leaves_this_machine(tmp_path: Path) -> None:
    log = tmp_path / "strace"
    strace = ["strace", "-f", "-qq", "-e", "trace=%network", "-o", str(log)]

    siege = in_a_process("objections", "egress", wrapped=strace)

    assert len(siege.strayed) > 200
    connected = calls(log)
    assert len(connected) >= siege.trapped > 0
    assert [line for line in connected if not AT_HOME.search(line)] == []
    # Nor is a name server asked, or anybody else by a datagram.
    assert re.findall(r"send(?:to|msg|mmsg)\(.*(?:sin6?_port).*", log.read_text()) == []


def in_a_process(*without: str, wrapped: Sequence[str] = ()) -> Siege:
    """Try the targets in a process of its own, without these protections."""
    command = [*wrapped, sys.executable, "-m", "tests.lib.besieging", *without]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    return Siege(**json.loads(done.stdout))


def calls(log: Path) -> list[str]:
    """Return the calls for a connection that strace wrote down, but for those within this machine's file system."""
    return [line for line in re.findall(r"connect\(.*", log.read_text()) if "AF_UNIX" not in line]
