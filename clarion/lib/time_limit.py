"""What a task waits for ends when its time is over: asyncio.timeout in a sixth of its own time, as every request has one."""

import asyncio
from types import TracebackType
from typing import Any, cast


class TimeLimit:
    """`with TimeLimit(seconds):` around awaits of one task.

    :raises TimeoutError: out of the block, when the time is over
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._is_over = False

    def __enter__(self) -> None:
        self._task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._end)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        # Somebody else may have cancelled the task as well, who is to hear of it.
        if self._is_over and self._task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _end(self) -> None:
        self._is_over = True
        self._task.cancel()
