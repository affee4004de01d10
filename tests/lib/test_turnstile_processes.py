"""The turnstile among processes: one at a time, who waits goes first, and any death gives the turn back."""

import fcntl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clarion.lib.turnstile import Turnstile, TurnTimeout
from tests.lib.turns import free, until

# Obeys one word a line. "again" gives the turn back and asks for the next one at once.
OTHER_PROCESS = """
import sys
from clarion.lib.turnstile import Turnstile
turnstile, turn = Turnstile(sys.argv[1]), None
for line in sys.stdin:
    if line.strip() in ("give", "again"):
        turn.release()
    if line.strip() in ("take", "again"):
        turn = turnstile.turn(timeout=30)
    print("did", line, end="", flush=True)
"""


class Other:
    """Another process at the same turnstile."""

    def __init__(self, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", OTHER_PROCESS, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def did(self) -> str:
        """Wait for the answer to the oldest unanswered word."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def does(self, word: str) -> None:
        self.tell(word)
        assert self.did() == f"did {word}"

    def die(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "clarion.sqlite3"


@pytest.fixture
def another(path: Path) -> Iterator[Callable[[], Other]]:
    others: list[Other] = []

    def start() -> Other:
        others.append(Other(path))
        return others[-1]

    yield start
    for other in others:
        other.die()


def someone_is_next(path: Path) -> bool:
    """Whether a process stands first in the queue: its lock on the file can be seen from outside."""
    with open(f"{path}.turn-next", "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


@pytest.mark.slow
def test_processes_pass_one_at_a_time(path: Path, tmp_path: Path) -> None:
    count = tmp_path / "count"
    count.write_text("0")
    code = (
        "import sys; from pathlib import Path; from clarion.lib.turnstile import Turnstile\n"
        "count = Path(sys.argv[2])\n"
        "for _ in range(200):\n"
        "    with Turnstile(sys.argv[1]).turn():\n"
        "        count.write_text(str(int(count.read_text()) + 1))\n"
    )

    workers = [subprocess.Popen([sys.executable, "-c", code, str(path), str(count)]) for _ in range(4)]

    assert [worker.wait() for worker in workers] == [0, 0, 0, 0]
    assert count.read_text() == "800"


def test_a_process_that_waits_goes_before_the_one_that_asks_again(
    path: Path, another: Callable[[], Other]
) -> None:
    greedy, patient = another(), another()
    greedy.does("take")
    patient.tell("take")
    until(lambda: someone_is_next(path))

    greedy.tell("again")

    # Had the greedy one got the turn again, the patient one could not answer before it gives.
    assert patient.did() == "did take"
    patient.does("give")
    assert greedy.did() == "did again"


def test_many_threads_get_no_more_turns_than_one_other_process(path: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = (
        "import sys, threading, time; from clarion.lib.turnstile import Turnstile\n"
        "turnstile, log = Turnstile(sys.argv[1]), open(sys.argv[2], 'a', buffering=1)\n"
        "def work():\n"
        "    for _ in range(int(sys.argv[5])):\n"
        "        with turnstile.turn():\n"
        "            log.write(sys.argv[3])\n"
        "            log.flush()\n"
        "            time.sleep(0.001)\n"  # a turn of the usual length
        "threads = [threading.Thread(target=work) for _ in range(int(sys.argv[4]))]\n"
        "[thread.start() for thread in threads]; [thread.join() for thread in threads]\n"
    )
    many, single = (
        subprocess.Popen([sys.executable, "-c", code, str(path), str(log), *how])
        for how in (("m", "4", "100"), ("s", "1", "100"))
    )

    assert [many.wait(), single.wait()] == [0, 0]

    turns = log.read_text()
    while_both_asked = turns[turns.index("s") : min(turns.rindex("s"), turns.rindex("m"))]
    # In turn would be one to one; the rest is room for moments in which the single one does not ask.
    assert while_both_asked.count("m") <= 2 * while_both_asked.count("s")


def test_waiting_ends_at_its_limit_and_holds_nothing(path: Path, another: Callable[[], Other]) -> None:
    holder = another()
    holder.does("take")

    for limit in (0, 0.05):
        with pytest.raises(TurnTimeout, match=str(path)):
            Turnstile(path).turn(timeout=limit)

    assert not someone_is_next(path)
    holder.does("give")
    assert free(path)


def test_a_process_that_is_killed_with_the_turn_gives_it_back(
    path: Path, another: Callable[[], Other]
) -> None:
    holder = another()
    holder.does("take")
    waiter = another()
    waiter.tell("take")
    until(lambda: someone_is_next(path))

    holder.die()

    assert waiter.did() == "did take"


def test_a_process_that_is_killed_while_waiting_leaves_its_place(
    path: Path, another: Callable[[], Other]
) -> None:
    holder, waiter = another(), another()
    holder.does("take")
    waiter.tell("take")
    until(lambda: someone_is_next(path))

    waiter.die()
    holder.does("give")

    assert free(path)


def test_a_forked_child_has_no_turn_and_cannot_give_its_parents_away(path: Path) -> None:
    code = (
        "import os, sys; from clarion.lib.turnstile import Turnstile, TurnTimeout\n"
        "turnstile = Turnstile(sys.argv[1]); turn = turnstile.turn()\n"
        "if not os.fork():\n"
        "    turn.release()\n"
        "    try: turnstile.turn(timeout=0)\n"
        "    except TurnTimeout: os._exit(7)\n"
        "    os._exit(1)\n"
        "print(os.waitstatus_to_exitcode(os.wait()[1])); turn.release()\n"
        "with turnstile.turn(timeout=0): print('and the parent goes on')\n"
    )

    ended = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)

    assert ended.stdout.split("\n") == ["7", "and the parent goes on", ""], ended.stderr


def test_a_forked_child_keeps_its_own_turn_when_it_drops_the_inherited_one(path: Path) -> None:
    code = (
        "import os, sys; from clarion.lib.turnstile import Turnstile, TurnTimeout\n"
        "turnstile = Turnstile(sys.argv[1]); inherited = turnstile.turn()\n"
        "to_parent, to_child = os.pipe(), os.pipe()\n"
        "if not os.fork():\n"
        "    with turnstile.turn():\n"
        "        inherited.release()\n"
        "        os.write(to_parent[1], b'!'); os.read(to_child[0], 1)\n"
        "    os._exit(0)\n"
        "inherited.release(); os.read(to_parent[0], 1)\n"
        "try: turnstile.turn(timeout=0)\n"
        "except TurnTimeout: print('the child has it')\n"
        "os.write(to_child[1], b'!'); os.wait()\n"
    )

    ended = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)

    assert ended.stdout == "the child has it\n", ended.stderr


def test_a_forked_child_does_not_keep_the_turn_of_a_dead_parent(path: Path) -> None:
    code = (
        "import os, sys; from clarion.lib.turnstile import Turnstile\n"
        "turn = Turnstile(sys.argv[1]).turn()\n"
        "if os.fork():\n"
        "    os._exit(0)\n"
        "print(os.getpid(), flush=True); sys.stdin.read()\n"
    )

    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    assert parent.stdout.readline()  # the child runs
    parent.wait()

    assert free(path)
    parent.communicate()  # ends the child, which reads until then


@pytest.mark.parametrize("in_the_way", [Path.mkdir, Path.touch])
def test_without_a_bell_the_turn_comes_all_the_same(
    path: Path, another: Callable[[], Other], in_the_way: Callable[[Path], None]
) -> None:
    for lock in ("next", "run"):
        in_the_way(path.with_name(f"{path.name}.turn-{lock}.bell"))
    holder, waiter = another(), another()
    holder.does("take")
    waiter.tell("take")
    until(lambda: someone_is_next(path))

    holder.does("give")

    assert waiter.did() == "did take"
