"""Keys change while a hub sends and others read and write what is sealed: nobody notices."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from clarion.lib.secrets import read_keys
from clarion.sandbox import RunningSender, running_sender
from tests.hub import PROJECT, Hub, running_hub, wait_until
from tests.test_cli_alone import clarion

# A hub and ten processes beside it start, on a cold machine one after the other.
pytestmark = [pytest.mark.thorough, pytest.mark.timeout(240)]

DONE, REFUSED = 0, 4
MESSAGES, ROTATIONS = 80, 2
# A second: the mailing lasts as long as the rotations, each of which starts a process.
RATE = 40
ROWS, KILLS = 1_000, 5


def test_a_mailing_and_a_busy_reader_notice_nothing_of_rotations(tmp_path: Path) -> None:
    with running_sender() as sender, running_hub(tmp_path) as hub:
        keys = Path(hub.environment["CLARION_DATA"]) / "secret.keys"
        shop = hub.shop("shop")
        mailing = send(hub, sender)
        with reading(hub, "spare") as figures:
            for _ in range(ROTATIONS):
                rotated = hub.run("-m", "clarion", "secrets", "rotate")
                assert rotated.returncode == DONE, rotated.stderr
            assert wait_until(lambda: counts(shop, mailing) == {"SENT": MESSAGES}, patience=30)

        assert (figures["failed"], len(read_keys(keys))) == (0, ROTATIONS + 1)
        assert min(figures["opened"], figures["changed"], figures["texts"]) > ROTATIONS
        assert hub.logged(event="lane_closed") == []
        assert hub.logged(code="bad_settings") == []

        # The test waits for no minute: the file is as old as if it had.
        assert drop_old(hub).returncode == REFUSED
        os.utime(keys, (keys.stat().st_atime, keys.stat().st_mtime - 120))
        assert drop_old(hub).returncode == DONE
        assert len(read_keys(keys)) == 1
        again = post_mailing(hub)
        assert wait_until(lambda: counts(shop, again) == {"SENT": MESSAGES}, patience=30)


@pytest.mark.long
def test_whoever_does_not_look_at_the_file_again_is_noticed(tmp_path: Path) -> None:
    with running_hub(tmp_path) as hub:
        hub.shop("shop").get("/api/v1/mailings/")
        with reading(hub, "", "fresh_keys") as figures:
            hub.run("-m", "clarion", "secrets", "rotate")

    assert figures["failed"] > 0


@pytest.mark.long
def test_rotations_that_are_killed_shut_nothing_and_are_finished_by_another(tmp_path: Path) -> None:
    keys = tmp_path / "var" / "secret.keys"
    assert clarion("migrate", folder=tmp_path).returncode == DONE
    subprocess.run([sys.executable, "-c", FILL], cwd=PROJECT, env=environment(tmp_path), check=True)

    midway = 0
    for seed in range(KILLS):
        before = keys.read_bytes()
        command = [sys.executable, "-m", "clarion", "secrets", "rotate"]
        rotating = subprocess.Popen(
            command, cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.DEVNULL
        )
        # The first kills come as the file changes, the others while rows are sealed anew.
        wait_until(lambda: keys.read_bytes() != before or rotating.poll() is not None)  # noqa: B023
        time.sleep(seed * 0.02)
        rotating.kill()
        midway += rotating.wait() != DONE
        assert f"opens all {ROWS} accounts" in keys_line(tmp_path)

    finished = clarion("secrets", "rotate", folder=tmp_path)
    os.utime(keys, (0, 0))
    dropped = clarion("secrets", "rotate", "--drop-old", folder=tmp_path)

    assert midway
    assert (finished.returncode, dropped.returncode) == (DONE, DONE), finished.stderr + dropped.stderr
    assert f", 1 key, opens all {ROWS} accounts" in keys_line(tmp_path)


def environment(folder: Path) -> dict[str, str]:
    strangers = {name: value for name, value in os.environ.items() if not name.startswith("CLARION_")}
    return {**strangers, "CLARION_DATA": str(folder / "var"), "DJANGO_SETTINGS_MODULE": "clarion.settings"}


def keys_line(folder: Path) -> str:
    """Return what the doctor says of the keys."""
    looked = clarion("doctor", "--json", folder=folder).stdout.splitlines()
    (line,) = (each for each in map(json.loads, looked) if each["check"] == "keys")
    return str(line["seen"])


def send(hub: Hub, sender: RunningSender) -> int:
    """Give the shop clients and two ways out, the second of them unused, and start a mailing through the first."""
    shop = hub.shop("shop")
    for n in range(MESSAGES):
        client = {"phone": f"7000000{n:04}", "operator_code": "900", "timezone": "UTC"}
        assert shop.post("/api/v1/clients/", client).status == 201
    settings = json.dumps({"base_url": sender.base_url, "token": "canary-7f3a"})
    for name in ("spare", "used"):
        words = ("accounts", "add", "shop", name, "probe", "--settings", settings, "--rate", str(RATE))
        assert hub.run("-m", "clarion", *words).returncode == DONE
    return post_mailing(hub)


def post_mailing(hub: Hub) -> int:
    body = {"start_time": "2026-01-01", "end_time": "2036-01-01", "text": "hello"}
    return int(hub.shop("shop").post("/api/v1/mailings/", body).json()["id"])


def counts(shop: Any, mailing: int) -> dict[str, int]:
    report = shop.get(f"/api/v1/mailings/{mailing}/report").json()
    return {each["status"]: each["count"] for each in report["statuses"]}


def drop_old(hub: Hub) -> subprocess.CompletedProcess[str]:
    return hub.run("-m", "clarion", "secrets", "rotate", "--drop-old")


# Accounts that seal something: ten transactions of a rotation.
FILL = f"""
import django; django.setup()
from datetime import UTC, datetime
from clarion.flows import accounts, tenants
from clarion.models import GatewayAccount
shop = tenants.create("shop", now=datetime.now(UTC))
while GatewayAccount.objects.count() < {ROWS}:
    name = str(GatewayAccount.objects.count())
    accounts.add(shop, name=name, gateway="log", settings={{}}, now=datetime.now(UTC))
"""


@contextmanager
def reading(hub: Hub, account: str, *without: str) -> Iterator[dict[str, int]]:
    """Open and seal in another process while the block lasts; then say how often it went right."""
    environment = {**hub.environment, "DJANGO_SETTINGS_MODULE": "clarion.settings"}
    reader = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.unsealing", account, *without],
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert reader.stdout is not None
    assert reader.stdout.readline() == "ready\n"
    figures: dict[str, int] = {}
    try:
        yield figures
    finally:
        said, _ = reader.communicate()
    # Before it stand the lines of its log.
    figures.update(json.loads(said.splitlines()[-1]))
