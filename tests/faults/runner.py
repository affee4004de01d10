"""Carries a plan out: a fresh data folder, a fresh database, one process for the scene, its figures in the end."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import msgspec
import psycopg
import pymysql

from tests.faults import clock
from tests.faults.plans import Figures, Plan


class SceneFailed(Exception):
    """The scene itself broke; the text is the end of its log."""


def carry_out(plan: Plan, *, server: str = "", timeout: float = 900.0) -> Figures:
    """Act the plan out on SQLite, or in a new database of `server` (a postgres:// or mysql:// URL).

    A server that belongs to the plan is used up by it.

    :raises SceneFailed: also when it takes longer than `timeout` seconds
    """
    with (
        tempfile.TemporaryDirectory(prefix="clarion-faults-") as name,
        _room(Path(name) / "data", plan.room),
        contextlib.nullcontext(plan.server.url) if plan.server else _database(server) as url,
    ):
        folder = Path(name)
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "clarion.settings",
            "CLARION_DATA": str(folder / "data"),
            "CLARION_DATABASE_URL": url,
            "CLARION_IN_FLIGHT": str(plan.in_flight),
            "CLARION_LEASE_SECONDS": str(plan.lease),
            "CLARION_LOG_LEVEL": "warning",
            "CLARION_LOG_FORMAT": "json",
            # Receivers of webhooks live on loopback, where strangers may not lead us.
            "CLARION_EGRESS_ALLOW": '["127.0.0.1"]',
        }
        if plan.clock:
            preload = clock.library()
            if preload is None:
                raise SceneFailed("libfaketime is not installed")
            environment |= clock.environment(folder, preload)
        result = folder / "figures.json"
        arguments = [msgspec.json.encode(plan).decode(), str(result)]
        _run([sys.executable, "-m", "tests.faults.scene", *arguments], environment, folder, timeout)
        return msgspec.json.decode(result.read_bytes(), type=Figures)


def _run(command: list[str], environment: dict[str, str], folder: Path, timeout: float) -> None:
    with (folder / "log").open("wb") as log:
        scene = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            code = scene.wait(timeout)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            # Whatever it left behind: workers notice that their supervisor is gone.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(scene.pid, signal.SIGKILL)
            scene.wait()
    if code != 0:
        words = [path.read_text(errors="replace")[-3000:] for path in folder.glob("**/*log")]
        raise SceneFailed(f"ended with {code}\n" + "\n".join(words))


def may_mount() -> bool:
    """Whether this machine lets us give a folder a file system of its own."""
    with tempfile.TemporaryDirectory(prefix="clarion-room-") as name:
        try:
            with _room(Path(name) / "data", 1):
                return True
        except (OSError, subprocess.CalledProcessError):
            return False


@contextlib.contextmanager
def _room(folder: Path, room: int) -> Iterator[None]:
    """Let a folder hold so many MiB while the block lasts; 0: as much as there is."""
    if not room:
        yield
        return
    folder.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None:
        raise OSError("no mount on this machine")
    options = f"size={room}m,mode=700"
    subprocess.run([mount, "-t", "tmpfs", "-o", options, "clarion", folder], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run([umount, "--lazy", folder], check=True, capture_output=True)


@contextlib.contextmanager
def _database(server: str) -> Iterator[str]:
    """Give the URL of a new, empty database beside the one in `server`; without a server, none."""
    if not server:
        yield ""
        return
    name = f"faults_{uuid.uuid4().hex[:12]}"
    _execute(server, f"CREATE DATABASE {name}")
    try:
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    finally:
        # Workers that were killed may not be gone yet, as far as the server knows.
        _execute(server, f"DROP DATABASE {name}" + (" WITH (FORCE)" if server.startswith("postgres") else ""))


def _execute(server: str, statement: str) -> None:
    if server.startswith("postgres"):
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(statement.encode())
        return
    at = urlsplit(server)
    with (
        pymysql.connect(
            host=at.hostname, port=at.port or 3306, user=at.username, password=at.password or ""
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
