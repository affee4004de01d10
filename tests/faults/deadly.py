"""A gateway from another package that kills the worker at one address, as a bug in a C library would."""

import os
import signal
import sys
from pathlib import Path

from clarion.gateways import MessageContent
from clarion.gateways.probe import Probe
from clarion.lib.sending import Receipt

# The address that it does not survive: the seventh customer's, so that others are under way before and after it.
DEADLY_NUMBER = 6


class Deadly(Probe):
    kind = "deadly"

    async def send(self, message: MessageContent) -> Receipt:
        if int(message.to[-7:]) == DEADLY_NUMBER:
            os.kill(os.getpid(), signal.SIGKILL)
        return await super().send(message)


def install(folder: Path) -> None:
    """Make it an installed package of this process and of those it starts."""
    metadata = folder / "deadly-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: deadly\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(f"[clarion.gateways]\ndeadly = {__name__}:Deadly\n")
    sys.path.append(str(folder))
    os.environ["PYTHONPATH"] = str(folder)
