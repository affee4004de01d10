"""From an address to Django's settings: what is accepted, what each server is told, and that no password comes out."""

import traceback
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest

from clarion import checks
from clarion.databases.url import BadDatabaseUrl, database_from_url
from tests.servers import Unavailable, mariadb_server, postgres_server

DATA = Path("data")


def options_of(url: str) -> dict[str, Any]:
    options: dict[str, Any] = database_from_url(url, DATA)["OPTIONS"]
    return options


@pytest.mark.parametrize(
    "url",
    [
        "postgres://clarion:hunter2/more@db.example.com/clarion",
        "mysql://clarion@db.example.com:hunter2/clarion",
        "postgres://clarion:hunter2@[db/clarion",
        "postgres://clarion:hunter2@db.example.com",
        "oracle://clarion:hunter2@db.example.com/clarion",
        "postgres://clarion:hunter2@db.example.com/clarion?connect_timeout=hunter2",
        "sqlite:",
    ],
)
def test_a_mistyped_address_is_refused_and_nothing_repeats_its_password(url: str) -> None:
    with pytest.raises(BadDatabaseUrl, match="CLARION_DATABASE_URL") as caught:
        database_from_url(url, DATA)

    assert "hunter2" not in "".join(traceback.format_exception(caught.value)).replace(url, "")
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("", "data/clarion.sqlite3"),
        ("sqlite:///srv/clarion.db", "/srv/clarion.db"),
        ("sqlite:/srv/clarion.db", "/srv/clarion.db"),
        ("sqlite://folder/clarion.db", "folder/clarion.db"),
        ("sqlite:clarion.db", "clarion.db"),
    ],
)
def test_a_file_may_be_named_in_every_usual_form(url: str, path: str) -> None:
    assert database_from_url(url, DATA)["NAME"] == path


def test_a_timeout_in_the_address_is_a_number_and_other_options_stay_texts() -> None:
    options = options_of("mysql://u@db.example.com/clarion?connect_timeout=5&ssl_ca=007")

    assert (options["connect_timeout"], options["ssl_ca"]) == (5, "007")


def test_an_operators_own_postgresql_options_stand_before_ours() -> None:
    options = options_of("postgres://u@db.example.com/clarion?options=-c%20work_mem%3D8MB")["options"]

    assert options == (
        "-c work_mem=8MB -c lock_timeout=1000 -c idle_in_transaction_session_timeout=15000 -c datestyle=ISO"
    )


@pytest.mark.thorough
@pytest.mark.slow
def test_postgresql_takes_what_it_is_told() -> None:
    try:
        with postgres_server() as url:
            told = options_of(f"{url}?options=-c%20work_mem%3D8MB%20-c%20datestyle%3DGerman")["options"]
            with psycopg.connect(url, options=told) as connection:
                names = ("work_mem", "lock_timeout", "idle_in_transaction_session_timeout", "datestyle")
                values = [(connection.execute(f"SHOW {name}").fetchone() or [""])[0] for name in names]
    except Unavailable as reason:
        pytest.skip(str(reason))

    assert values[:3] == ["8MB", "1s", "15s"]
    assert values[3].startswith("ISO")


@pytest.mark.thorough
@pytest.mark.slow
def test_mariadb_takes_what_it_is_told() -> None:
    try:
        with mariadb_server() as url:
            server = database_from_url(f"{url}?connect_timeout=5", DATA)
            connection = pymysql.connect(
                host=server["HOST"],
                port=int(server["PORT"]),
                user=server["USER"],
                password=server["PASSWORD"],
                connect_timeout=server["OPTIONS"]["connect_timeout"],
                init_command=server["OPTIONS"]["init_command"],
            )
            with connection, connection.cursor() as cursor:
                cursor.execute("SELECT @@innodb_lock_wait_timeout, @@idle_transaction_timeout, VERSION()")
                seen = cursor.fetchone() or ()
    except Unavailable as reason:
        pytest.skip(str(reason))

    assert seen[:2] == (1, 15)
    assert list(checks.too_old(seen[2])) == []


@pytest.mark.parametrize(
    ("version", "complaints"),
    [
        ("10.5.27-MariaDB-1:10.5.27+maria~deb11", 1),
        ("5.5.5-10.4.34-MariaDB", 1),
        ("10.6.20-MariaDB", 0),
        ("11.4.2-MariaDB-log", 0),
        ("8.0.36", 0),
    ],
)
def test_a_mariadb_that_lacks_what_clarion_runs_on_is_refused_by_name(version: str, complaints: int) -> None:
    found = list(checks.too_old(version))

    assert len(found) == complaints
    assert all(version in sentence and "10.6" in hint for sentence, hint in found)
