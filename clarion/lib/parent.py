"""A process that ends with the one that started it, however that one ended."""

import os
import signal
import threading


def end_with(fd: int | None) -> None:
    """Send this process SIGTERM when the other end of the pipe `fd` is closed; None: there is nobody to follow.

    Nothing is ever written to the pipe, so reading from it returns only when its last writer is gone.
    """
    if fd is not None:
        threading.Thread(target=_wait, args=(fd,), name="parent", daemon=True).start()


def _wait(fd: int) -> None:
    os.read(fd, 1)
    os.kill(os.getpid(), signal.SIGTERM)
