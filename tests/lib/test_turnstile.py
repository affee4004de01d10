"""The turnstile among the threads of a process: one at a time, who waits goes first, nothing is kept."""

import os
import threading
import time
from pathlib import Path

import pytest

from clarion.lib.turnstile import Turnstile
from tests.lib.turns import free, until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "clarion.sqlite3"


def test_threads_pass_one_at_a_time(path: Path) -> None:
    inside = 0
    most = 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(200):
            with Turnstile(path).turn():
                inside += 1
                most = max(most, inside)
                time.sleep(0)  # lets another thread in, if anything does
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most == 1
    assert free(path)


def test_a_thread_that_waits_goes_before_the_one_that_asks_again(path: Path) -> None:
    turnstile = Turnstile(path)
    order = []

    def wait() -> None:
        with turnstile.turn():
            order.append("patient")

    turn = turnstile.turn()
    patient = threading.Thread(target=wait)
    patient.start()
    until(turnstile._gate._next.locked)  # it stands first: nothing outside shows that

    turn.release()
    with turnstile.turn():
        order.append("greedy")
    patient.join()

    assert order == ["patient", "greedy"]


def test_a_thread_that_has_the_turn_has_it_and_the_last_release_counts(path: Path) -> None:
    with Turnstile(path).turn():
        with Turnstile(path).turn(timeout=0):
            assert not free(path)
        assert not free(path)
    assert free(path)


def test_a_release_counts_once(path: Path) -> None:
    outer = Turnstile(path).turn()
    inner = Turnstile(path).turn()

    inner.release()
    inner.release()

    assert not free(path)
    outer.release()
    assert free(path)


def test_another_thread_may_give_the_turn_back(path: Path) -> None:
    turn = Turnstile(path).turn()

    thread = threading.Thread(target=turn.release)
    thread.start()
    thread.join()

    assert free(path)


def test_a_forgotten_turn_is_given_back(path: Path) -> None:
    turnstile = Turnstile(path)
    turn = turnstile.turn()
    assert not free(path)

    del turn

    assert free(path)


def test_an_error_inside_gives_the_turn_back(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Turnstile(path).turn():
        _ = 1 / 0

    assert free(path)


def test_two_names_of_a_file_are_one_turnstile(path: Path, tmp_path: Path) -> None:
    path.touch()
    link = tmp_path / "link"
    link.symlink_to(path)

    with Turnstile(path).turn():
        assert not free(link)


def test_a_folder_that_is_not_there_is_an_error_and_holds_nothing(path: Path) -> None:
    turnstile = Turnstile(path.parent / "later" / path.name)

    with pytest.raises(FileNotFoundError):
        turnstile.turn()

    os.mkdir(path.parent / "later")
    turnstile.turn(timeout=0).release()
