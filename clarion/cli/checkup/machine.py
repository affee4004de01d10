"""The interpreter, the packages, the time zones and the settings."""

import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from zoneinfo import available_timezones

from django.conf import settings as django_settings

from clarion.checks import development_mode
from clarion.cli.remarks import Remark, ok, warning, wrong
from clarion.settings import PACKAGE, unknown_settings

# What pyproject.toml asks for.
OLDEST_PYTHON = (3, 11)
LOCK = PACKAGE.parent / "requirements" / "core.txt"
PINNED = re.compile(r"^([\w.-]+)==([^\s;]+)( *;)?", re.MULTILINE)


def python() -> Iterator[Remark]:
    seen = f"{platform.python_version()}, {sys.executable}"
    if sys.version_info < OLDEST_PYTHON:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        yield wrong(
            f"{seen}: too old, Clarion needs {wanted}", f"make clean && make core PYTHON=python{wanted}"
        )
    else:
        yield ok(seen)


def packages() -> Iterator[Remark]:
    """What is installed is what was tested; asked in a checkout only, where the lock is."""
    if not LOCK.exists():
        yield ok("installed without a lock, so there is nothing to compare them with")
        return
    differing = list(_differing(LOCK.read_text()))
    if differing:
        yield warning(f"not as locked: {', '.join(differing)}", f"rm -f {sys.prefix}/core.stamp && make core")
    else:
        yield ok("as locked in requirements/core.txt")


def _differing(lock: str) -> Iterator[str]:
    for name, pinned, is_for_some in PINNED.findall(lock):
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            # One with a condition may be for another system.
            if not is_for_some:
                yield f"{name} {pinned} is missing"
            continue
        if installed != pinned:
            yield f"{name} is {installed} instead of {pinned}"


def zones() -> Iterator[Remark]:
    known = len(available_timezones())
    if known:
        yield ok(f"{known} time zones")
    else:
        yield wrong("this machine knows no time zones", f"{sys.executable} -m pip install tzdata")


def settings() -> Iterator[Remark]:
    """They could be read, or nobody would ask here; what is left is a name that no setting has."""
    for name in unknown_settings():
        yield warning(f"{name} is set, and no setting has that name", f"unset {name}")
    for problem in development_mode(None):
        yield wrong(problem.msg, str(problem.hint))
    clarion = django_settings.CLARION
    seen = f"read; web listens on {clarion.host}:{clarion.port}"
    yield ok(f"{seen}, development mode: no key needed" if clarion.dev else seen)
