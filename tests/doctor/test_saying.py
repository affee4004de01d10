"""How the doctor says what it found: of a hub that is well, to people and to programs, and of its own mistakes."""

import re
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from typer.testing import CliRunner

from clarion.cli import app
from clarion.cli.checkup import machine, port
from clarion.cli.doctor import _ask
from clarion.flows import tenants
from clarion.models import GatewayAccount, Lane
from tests.conftest import Clock
from tests.doctor.conftest import Doctor, said_in
from tests.drawings import DOCS
from tests.hub import Hub


@pytest.mark.slow
def test_a_hub_in_development_mode_is_known_whatever_its_names_are(hub: Hub, settings: Any) -> None:
    changes = {"port": hub.port, "allowed_hosts": ["clarion.example.com"]}
    settings.CLARION = settings.CLARION.model_copy(update=changes)

    (remark,) = port.look()

    assert (remark.state, remark.seen.endswith("our web process, which is ready")) == ("ok", True)


@pytest.mark.slow
def test_a_hub_that_runs_is_well(hub: Hub) -> None:
    result = hub.run("-m", "clarion", "doctor", "--json")

    said = said_in(result.stdout)
    asked = {"python", "packages", "zones", "settings", "folder", "port", "database", "durability", "keys"}
    asked |= {"migrations", "clock", "accounts", "lanes", "workers", "mailings", "readers"}
    assert (result.returncode, result.stderr) == (0, "")
    assert asked <= said.keys()
    assert "our web process, which is ready" in said["port"][0]["seen"]
    assert "1 alive" in said["workers"][0]["seen"]
    assert [line for lines in said.values() for line in lines if line["state"] == "wrong"] == []
    # Whatever is not well comes with a command, and what is well needs none.
    assert all((line["state"] == "ok") != bool(line["mend"]) for lines in said.values() for line in lines)


def test_people_read_a_line_for_each_check_and_the_command_below_it(
    doctor: Doctor, installation: Path
) -> None:
    (installation / "secret.keys").chmod(0o644)

    told = CliRunner().invoke(app, ["doctor"]).stdout

    assert "ok       python      " in told
    assert f"wrong    keys        every user of this machine may use {installation}" in told
    assert f"→ chmod 600 {installation / 'secret.keys'}" in told


@pytest.mark.skipif(connection.vendor != "sqlite", reason="the page shows SQLite")
def test_the_page_shows_what_it_says(
    doctor: Doctor, installation: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    page = (DOCS / "operations.md").read_text()
    shown = page.partition("$ .venv/bin/clarion doctor\n")[2].partition("```")[0]
    (installation / "secret.keys").chmod(0o644)
    tenants.create("default", now=clock())
    log = GatewayAccount.objects.get(name="log")
    until = clock() + timedelta(minutes=5)
    Lane.objects.filter(pk=log.lane_id).update(closed_until=until, closed_because="HTTP 401")
    monkeypatch.setattr(sys, "argv", [".venv/bin/clarion"])

    told = CliRunner().invoke(app, ["doctor"]).stdout

    assert alike(told) == alike(shown)


def alike(told: str) -> list[str]:
    """Return the lines without what differs from machine to machine and from moment to moment.

    And without the folder's: the tests' database is in another one than their keys.
    """
    places = re.sub(r"(?<![\w.])/[\w./-]+", "(a place)", told)
    lines = re.sub(r"\d[\w.:-]*", "(a number)", places).splitlines()
    return [line for line in lines if line.split()[1:2] != ["folder"]]


def test_a_misspelt_setting_is_named(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLARION_DATABSE_URL", "postgres://clarion:hunter2@db.example.com/clarion")

    line = doctor()["settings"][0]

    assert (line["state"], line["mend"]) == ("warning", "unset CLARION_DATABSE_URL")
    assert "hunter2" not in line["seen"]


def test_a_package_that_differs_from_the_lock_is_named() -> None:
    lock = "django==1.0 \\\n    --hash=sha256:0\nheron==1 \\\nheron-for-windows==2 ; sys_platform == 'win32' \\\n"

    django, heron = machine._differing(lock)

    assert django.startswith("django is 5.")
    assert heron == "heron 1 is missing"


def test_a_check_that_breaks_is_a_line_and_the_others_go_on() -> None:
    def broken() -> Iterator[Any]:
        raise ValueError("hunter2")
        yield

    ((check, state, seen, mend),) = list(_ask("heron", broken))

    assert (check, state, seen) == ("heron", "wrong", "This could not be looked at: ValueError.")
    assert mend.startswith("CLARION_LOG_LEVEL=debug ")
