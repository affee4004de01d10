"""How entries are put into calls to AWS, and what of a call that fails reaches the others."""

import asyncio
from collections.abc import Sequence

import pytest

from clarion.lib.aws_entries import BYTES_IN_CALL, Entry, Outcome, deliver, entry_of
from clarion.lib.sending import NotSent, Receipt, Refused, SendError, Throttled


class Calls:
    """Writes down what is called, and raises what is due at a body."""

    def __init__(self, **failing: SendError) -> None:
        self.made: list[list[str]] = []
        self.failing = failing

    async def one(self, entry: Entry) -> Receipt:
        (outcome,) = await self.several([entry])
        assert isinstance(outcome, Receipt)
        return outcome

    async def several(self, entries: Sequence[Entry]) -> list[Outcome]:
        bodies = [entry.body[0] for entry in entries]
        self.made.append(bodies)
        for body in bodies:
            if body in self.failing:
                raise self.failing[body]
        return [Receipt(body) for body in bodies]


def entry(letter: str, size: int = 1, *, is_fifo: bool = False) -> Entry:
    return entry_of(letter * size, {}, group="g", key=letter, is_fifo=is_fifo)


def delivered(calls: Calls, entries: Sequence[Entry | Refused]) -> list[Outcome]:
    return asyncio.run(deliver(entries, one=calls.one, several=calls.several))


LARGE = BYTES_IN_CALL // 2


def test_ten_small_ones_go_in_one_call():
    calls = Calls()

    assert delivered(calls, [entry(letter) for letter in "abcdefghij"]) == [Receipt(x) for x in "abcdefghij"]
    assert calls.made == [list("abcdefghij")]


def test_large_ones_share_a_call_as_long_as_they_fit():
    calls = Calls()

    delivered(calls, [entry("a", LARGE), entry("b", LARGE), entry("c"), entry("d", 4 * LARGE), entry("e")])

    assert sorted(calls.made) == [["a", "b"], ["c"], ["d"], ["e"]]


def test_attributes_count():
    plain = entry_of("body", {}, group="", key="", is_fifo=False)
    named = entry_of("body", {"name": "é"}, group="", key="", is_fifo=False)

    assert named.size() - plain.size() == len("name") + len("String") + 2


def test_a_call_of_several_that_is_refused_is_made_again_one_by_one():
    no = Refused("no")
    calls = Calls(b=no)

    outcomes = delivered(calls, [entry("a"), entry("b"), entry("c"), entry("d", 2 * LARGE)])

    assert outcomes == [Receipt("a"), no, Receipt("c"), Receipt("d")]


def test_a_batch_of_one_call_raises_what_becomes_of_all():
    with pytest.raises(Refused):
        delivered(Calls(b=Refused("no")), [entry("a"), entry("b")])


def test_calls_that_are_not_fifo_fail_each_for_itself():
    slow = Throttled("slow")
    calls = Calls(a=slow)

    outcomes = delivered(calls, [entry("a", LARGE), entry("b", LARGE), entry("c", LARGE)])

    assert outcomes == [slow, slow, Receipt("c")]


def test_in_fifo_nothing_overtakes_a_call_that_failed():
    slow = Throttled("slow")
    calls = Calls(b=slow)
    entries = [entry(letter, 2 * LARGE, is_fifo=True) for letter in "abc"]

    outcomes = delivered(calls, entries)

    assert outcomes[:2] == [Receipt("a"), slow]
    assert (type(outcomes[2]), calls.made) == (NotSent, [["a"], ["b"]])


def test_in_fifo_what_is_refused_for_good_holds_nobody_up():
    no = Refused("no")
    entries = [entry(letter, 2 * LARGE, is_fifo=True) for letter in "abc"]

    assert delivered(Calls(b=no), entries) == [Receipt("a"), no, Receipt("c")]


def test_one_that_was_refused_before_keeps_its_place():
    no = Refused("no")

    assert delivered(Calls(), [entry("a"), no, entry("b")]) == [Receipt("a"), no, Receipt("b")]
    assert delivered(Calls(), [no]) == [no]
