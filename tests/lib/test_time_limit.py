"""A limit of time around what a task awaits."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from clarion.lib.time_limit import TimeLimit

NEVER = 60.0


def run(main: Callable[[], Awaitable[object]]) -> object:
    async def within() -> object:
        return await main()

    return asyncio.run(within())


def test_what_does_not_come_in_time_is_given_up() -> None:
    async def main() -> None:
        with TimeLimit(0.01):
            await asyncio.sleep(NEVER)

    with pytest.raises(TimeoutError):
        run(main)


def test_what_comes_in_time_is_left_alone_afterwards() -> None:
    async def main() -> str:
        with TimeLimit(0.01):
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        return "done"

    assert run(main) == "done"


def test_a_task_goes_on_after_its_time_was_over() -> None:
    async def main() -> str:
        try:
            with TimeLimit(0.01):
                await asyncio.sleep(NEVER)
        except TimeoutError:
            await asyncio.sleep(0.01)
        return "went on"

    assert run(main) == "went on"


def test_who_cancels_the_task_is_heard() -> None:
    async def main() -> None:
        async def limited() -> None:
            with TimeLimit(NEVER):
                await asyncio.sleep(NEVER)

        task = asyncio.create_task(limited())
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        run(main)


def test_another_error_is_itself() -> None:
    async def main() -> None:
        with TimeLimit(NEVER):
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        run(main)
