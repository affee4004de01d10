"""Stand-ins for providers: real servers on loopback, well or badly behaved on demand. Not for production."""

from clarion.sandbox.profiles import NAMES as PROFILES
from clarion.sandbox.profiles import UnknownProfile
from clarion.sandbox.serving import NotLoopback, RunningSender, running_sender, serve
from clarion.sandbox.tally import read_ledger

__all__ = [
    "PROFILES",
    "NotLoopback",
    "RunningSender",
    "UnknownProfile",
    "read_ledger",
    "running_sender",
    "serve",
]
