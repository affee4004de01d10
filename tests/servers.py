"""Private database servers on loopback, for whoever needs a real one: test legs, fault runs, benchmarks.

`with postgres_server() as url:` starts one from the programs found on this machine, in a temporary folder on
a free port, with the durability it ships with, and stops it after. Needs no container and touches no service.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from pwd import getpwall, getpwnam
from urllib.parse import urlsplit

import psycopg
import pymysql

# Where Debian and Homebrew keep server programs that they leave off the PATH.
PLACES = (
    "usr/lib/postgresql/*/bin",
    "usr/sbin",
    "usr/local/sbin",
    "opt/homebrew/opt/postgresql*/bin",
    "opt/homebrew/opt/mariadb*/bin",
    "usr/local/opt/postgresql*/bin",
    "usr/local/opt/mariadb*/bin",
)
START_SECONDS = 60  # a cold start with crash-safe defaults on a slow disk takes about 10
STOP_SECONDS = 30  # a clean shutdown of a small server takes about 1; past this it is killed
LOGIN = "clarion:clarion"  # guards nothing: the server is private, on loopback, and gone after the run


class Unavailable(Exception):
    """No such server on this machine; the text says why, in words fit for a table."""


@dataclass(frozen=True, slots=True)
class Server:
    """A private server as it runs: its process, and the command, folder and account that start it again."""

    url: str
    pid: int
    command: list[str]
    folder: str
    user: str | None


@contextlib.contextmanager
def postgres_server() -> Iterator[str]:
    """Give the URL of an empty PostgreSQL database: TEST_POSTGRES_URL, or a private server's.

    Raises Unavailable where there is neither.
    """
    if given := os.environ.get("TEST_POSTGRES_URL"):
        yield given
        return
    with private_postgres() as server:
        yield server.url


@contextlib.contextmanager
def private_postgres() -> Iterator[Server]:
    """Run a PostgreSQL of our own, whatever server is given; it may be stopped and started. Raises Unavailable."""
    initdb, postgres = find_programs("postgresql", ("initdb",), ("postgres",))
    with private_folder("postgres") as (folder, user):
        data, port = str(folder / "data"), free_port()
        # --no-sync: the empty cluster need not survive a power cut; the server's own fsync stays on.
        fresh = ["-D", data, "-U", "clarion", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        run_once([initdb, *fresh], folder, user)
        command = [postgres, "-D", data, "-k", str(folder), "-h", "127.0.0.1", "-p", str(port)]
        address = f"postgres://{LOGIN}@127.0.0.1:{port}"
        with running(command, folder, user, signal.SIGINT) as server:  # SIGINT: its fast, clean shutdown
            wait_until_up(server, folder, f"{address}/postgres")
            with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
                connection.execute("CREATE DATABASE clarion")
            yield Server(f"{address}/clarion", server.pid, command, str(folder), user)


@contextlib.contextmanager
def mariadb_server() -> Iterator[str]:
    """Give the URL of an empty MariaDB database with our collation: TEST_MYSQL_URL, or a private server's.

    Raises Unavailable where there is neither.
    """
    if given := os.environ.get("TEST_MYSQL_URL"):
        yield given
        return
    with private_mariadb() as server:
        yield server.url


@contextlib.contextmanager
def private_mariadb() -> Iterator[Server]:
    """Run a MariaDB of our own, whatever server is given; it may be killed and started. Raises Unavailable."""
    setups, servers = ("mariadb-install-db", "mysql_install_db"), ("mariadbd", "mysqld")
    install, mariadbd = find_programs("mariadb-server", setups, servers)
    with private_folder("mysql") as (folder, user):
        data, first, port = folder / "data", folder / "first.sql", free_port()
        name, password = LOGIN.split(":")
        first.write_text(
            f"CREATE USER {name}@'127.0.0.1' IDENTIFIED BY '{password}';\n"
            f"GRANT ALL ON *.* TO {name}@'127.0.0.1';\nCREATE DATABASE clarion;\n"
        )
        run_once([install, "--no-defaults", f"--datadir={data}", "--skip-test-db"], folder, user)
        # The collation that tells `Ab` from `aB`, and `a` from `a `; test databases inherit it.
        text = ["--character-set-server=utf8mb4", "--collation-server=utf8mb4_nopad_bin"]
        place = [f"--datadir={data}", f"--socket={folder}/socket", f"--pid-file={folder}/pid"]
        net = ["--bind-address=127.0.0.1", f"--port={port}", "--skip-name-resolve"]
        command = [mariadbd, "--no-defaults", *place, *net, *text]
        url = f"mysql://{LOGIN}@127.0.0.1:{port}/clarion"
        with running([*command, f"--init-file={first}"], folder, user, signal.SIGTERM) as server:
            wait_until_up(server, folder, url)
            yield Server(url, server.pid, command, str(folder), user)


def server_version(url: str) -> str:
    """Return what the server calls itself; raises the driver's OperationalError if it cannot be reached."""
    if url.startswith("postgres"):
        with psycopg.connect(url, connect_timeout=2) as postgres:
            version = postgres.info.parameter_status("server_version") or "unknown"
            return f"PostgreSQL {version.split()[0]}"  # without the packager's own number
    at = urlsplit(url)
    mariadb = pymysql.connect(
        host=at.hostname,
        port=at.port or 3306,
        user=at.username,
        password=at.password or "",
        connect_timeout=2,
    )
    with mariadb, mariadb.cursor() as cursor:
        cursor.execute("SELECT VERSION()")
        return str((cursor.fetchone() or ["unknown"])[0])


def find_programs(package: str, *programs: Sequence[str]) -> list[str]:
    """Return a path for each program, given by its possible names; LEGS=install installs `package`."""
    paths = [find_program(names) for names in programs]
    if not all(paths) and os.environ.get("LEGS") == "install":
        install_package(package)
        paths = [find_program(names) for names in programs]
    if not all(paths):
        raise Unavailable(f"no {package} here (LEGS=install, as root on Debian, installs it)")
    return [path for path in paths if path]


def find_program(names: Sequence[str]) -> str | None:
    """Return the first one on the PATH or in the usual places, where a newer version comes first."""
    usual = chain.from_iterable(
        sorted(Path("/").glob(place), key=version_in, reverse=True) for place in PLACES
    )
    search = os.pathsep.join([os.environ.get("PATH", os.defpath), *map(str, usual)])
    return next((path for name in names if (path := shutil.which(name, path=search))), None)


def version_in(path: Path) -> list[int]:
    """Return the numbers in a path, so that 15 sorts above 9."""
    return [int(digits) for digits in re.findall(r"\d+", str(path))]


def install_package(package: str) -> None:
    """Install one Debian package; raises Unavailable where that cannot be done."""
    apt = shutil.which("apt-get")
    if os.geteuid() != 0 or not apt:
        raise Unavailable(f"no {package} here, and installing it takes root and apt-get")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", package]):
        done = subprocess.run(
            [apt, *words], env=quiet, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        if done.returncode != 0:
            raise Unavailable(f"apt-get {words[0]} failed: {last_line(done.stderr)}")


@contextlib.contextmanager
def private_folder(account: str) -> Iterator[tuple[Path, str | None]]:
    """Give a folder and the account to run under: `account` or nobody for root, whom servers refuse."""
    with tempfile.TemporaryDirectory(prefix="clarion-") as name:
        user = None
        if os.geteuid() == 0:
            user = account if account in {entry.pw_name for entry in getpwall()} else "nobody"
            shutil.chown(name, user)
        yield Path(name), user


def run_once(command: Sequence[str], folder: Path, user: str | None) -> None:
    """Run a set-up program to its end; raises Unavailable with its last words if it fails."""
    with start(command, folder, user) as program:
        program.wait()
    if program.returncode != 0:
        raise Unavailable(f"{Path(command[0]).name} failed: {last_words(folder)}")


@contextlib.contextmanager
def running(
    command: Sequence[str], folder: Path, user: str | None, stop: signal.Signals
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server while the block lasts; it is stopped by its own pid."""
    server = start(command, folder, user)
    try:
        yield server
    finally:
        server.send_signal(stop)
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def start(
    command: Sequence[str], folder: Path, user: str | None, *, apart: bool = True
) -> subprocess.Popen[bytes]:
    """Start a program as `user`, at home in `folder`, its output in `folder`/log; `apart`: in a group of its own."""
    environment = {**os.environ, "HOME": str(folder), "LC_ALL": "C"}
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            command,
            user=user,
            group=getpwnam(user).pw_gid if user else None,
            extra_groups=[] if user else None,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=apart,  # Ctrl-C reaches us alone, and we stop it in order
        )


def wait_until_up(server: subprocess.Popen[bytes], folder: Path, url: str) -> None:
    """Wait until the server answers; raises Unavailable with its last words if it ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(psycopg.OperationalError, pymysql.err.OperationalError):
            server_version(url)
            return
        time.sleep(0.1)  # between two tries to connect
    raise Unavailable(f"the server did not start: {last_words(folder)}")


def free_port() -> int:
    """Return a TCP port of loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def last_words(folder: Path) -> str:
    """Return the last line of the log in `folder`."""
    return last_line((folder / "log").read_text(errors="replace"))


def last_line(text: str) -> str:
    """Return the last line that says something, at most 200 characters: it stands in a table."""
    return next((line.strip()[:200] for line in reversed(text.splitlines()) if line.strip()), "no output")
