"""`clarion run` as processes: who dies is started again, who is left alone ends, and a stop loses nothing."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from clarion.sandbox import RunningSender
from clarion.supervisor import PAUSES, PortTaken, probe_port, wait_until_listening
from tests.hub import PATIENCE, STARTS_WITHIN, Hub, is_ready, wait_until
from tests.servers import free_port

ALONE = """
import json, os, threading, time
os.environ["DJANGO_SETTINGS_MODULE"] = "clarion.settings"
import django
django.setup()
from clarion.lib import logs
from clarion.settings import child_environment
from clarion.supervisor import Child, Supervisor

logs.set_up(level="info", form="json")
supervisor = Supervisor([Child("worker", ["worker"])], environment=child_environment(), drain_seconds=5)

def report():
    told = {}
    while True:
        if (pids := supervisor.pids()) and pids != told:
            print(json.dumps({"event": "pids", **pids}), flush=True)
            told = pids
        time.sleep(0.002)

supervisor.run(report)
"""


# Longer than a worker takes to hear of the stop, shorter than it drains: one second.
DRAINED = """
import json, os, signal, threading, time
os.environ["DJANGO_SETTINGS_MODULE"] = "clarion.settings"
import django
django.setup()
from django.core.management import call_command
from clarion.flows import accounts, tenants
from clarion.lib import logs
from clarion.models import Message
from clarion.sandbox import running_sender
from clarion.settings import child_environment
from clarion.supervisor import Child, Supervisor
from clarion.worker import utc_now
from tests.factories import make_customer, make_mailing

call_command("migrate", verbosity=0)
logs.set_up(level="info", form="json")
with running_sender("slow", delay=1.0) as sender:
    tenant = tenants.create("shop", now=utc_now())
    settings = {"base_url": sender.base_url, "token": "not-a-secret"}
    accounts.add(tenant, name="sender", gateway="probe", settings=settings, now=utc_now())
    make_customer(tenant)
    make_mailing(tenant, now=utc_now())

    def stop_when_sent():
        while not sender.counts()["requests"]:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    supervisor = Supervisor([Child("worker", ["worker"])], environment=child_environment(), drain_seconds=20)
    supervisor.run(stop_when_sent)
    states = list(Message.objects.values_list("state", flat=True))
    print(json.dumps({"event": "ended", "states": states, "taken": list(sender.accepted().values())}), flush=True)
"""
ROOT = Path(__file__).parent.parent


class Tree:
    """A process that starts others, and what all of them say. They have ended when nobody can say anything more."""

    def __init__(self, *words: str, environment: dict[str, str]) -> None:
        self.said: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, *words],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._listening = threading.Thread(target=self._listen)
        self._listening.start()

    def told(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in list(self.said) if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def has_ended(self) -> bool:
        """Whether every process of the tree has ended, within a test's patience."""
        self._listening.join(PATIENCE)
        return not self._listening.is_alive()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.said.append(line)


@contextmanager
def tree(*words: str, folder: Path, **settings: object) -> Iterator[Tree]:
    """Run a tree in an installation of its own; what is left of it afterwards is killed by its own group."""
    ours = {"data": folder / "data", "database_url": "", "log_format": "json", **settings}
    environment = {**os.environ, **{f"CLARION_{name.upper()}": str(value) for name, value in ours.items()}}
    running = Tree(*words, environment=environment)
    try:
        yield running
    finally:
        # Children notice that it has ended, and end.
        running.process.kill()
        running.process.wait()
        assert running.has_ended(), "children outlived their supervisor"


@pytest.mark.thorough
@pytest.mark.slow
def test_who_dies_is_started_again_ever_more_slowly(tmp_path: Path) -> None:
    with tree("-c", ALONE, folder=tmp_path) as running:
        for number in range(3):
            assert wait_until(lambda: len(running.told("pids")) > number), running.said  # noqa: B023 - at once
            os.kill(running.told("pids")[number]["worker"], signal.SIGKILL)
        assert wait_until(lambda: len(running.told("pids")) > 3)

    deaths = running.told("child_died")
    assert [death["restart_in_seconds"] for death in deaths] == list(PAUSES[:3])
    assert {(death["child"], death["code"]) for death in deaths} == {("worker", -signal.SIGKILL)}


@pytest.mark.thorough
@pytest.mark.slow
def test_ctrl_c_ends_the_children_in_order(tmp_path: Path) -> None:
    with tree("-c", ALONE, folder=tmp_path) as running:
        # There are no tables; the worker is up and waits for a database it can use.
        assert wait_until(lambda: running.told("database_unavailable"), patience=STARTS_WITHIN)

        running.process.send_signal(signal.SIGINT)

        assert running.has_ended()
        assert running.process.wait() == 0
        assert running.told("child_died") == []


def prepare(folder: Path, sender: RunningSender, hub: Hub) -> None:
    """Give the hub's tenant `shop` the stand-in sender and one client."""
    shop = hub.shop("shop")
    assert shop.post("/api/v1/clients/", {"phone": "70000000001", "operator_code": "1", "timezone": "UTC"})
    settings = json.dumps({"base_url": sender.base_url, "token": "not-a-secret"})
    added = hub.run(
        "-m", "clarion", "accounts", "add", "shop", "sender", "probe", "--settings", "-", said=settings
    )
    assert added.returncode == 0, added.stderr


def mail(hub: Hub) -> str:
    """Send a mailing to everybody, now; return where it is."""
    window = {"start_time": "2022-12-02", "end_time": "2099-01-01"}
    made = hub.shop("shop").post("/api/v1/mailings/", {**window, "text": "hello"})
    assert made.status == 201, made.body
    return f"/api/v1/mailings/{made.json()['id']}"


@pytest.mark.thorough
@pytest.mark.slow
def test_a_killed_workers_rows_go_again_at_once_and_a_killed_supervisor_leaves_nobody(
    tmp_path: Path, sender: RunningSender
) -> None:
    port = free_port()
    with tree("-m", "clarion", "run", "--dev", folder=tmp_path, port=port) as running:
        environment = {**os.environ, "CLARION_DATA": str(tmp_path / "data"), "CLARION_DATABASE_URL": ""}
        hub = Hub(port, environment, tmp_path / "log")
        assert wait_until(lambda: is_ready(hub), patience=STARTS_WITHIN), running.said
        prepare(tmp_path, sender, hub)
        sender.switch("hangs")
        mailing = mail(hub)
        assert wait_until(lambda: sender.counts()["requests"] == 1)
        sender.switch("fine")

        os.kill(running.told("worker_started")[0]["pid"], signal.SIGKILL)

        sent = {"message_data": [{"status": "SENT", "count": 1}]}
        assert wait_until(lambda: hub.shop("shop").get(mailing).json() == sent), running.said
        (rescue,) = running.told("rows_rescued")
        assert rescue["rows"] == 1
        # What hung was taken, and taken again: a lost answer under `resend`.
        assert list(sender.accepted().values()) == [2]

        running.process.kill()

        assert running.has_ended()
        assert len(running.told("worker_stopped")) == 1
        assert not wait_until_listening("127.0.0.1", port, patience=0)


@pytest.mark.thorough
def test_asked_to_stop_it_lets_end_what_is_under_way(tmp_path: Path) -> None:
    with tree("-c", DRAINED, folder=tmp_path) as running:
        assert wait_until(lambda: running.told("ended"), patience=STARTS_WITHIN), running.said

    assert running.told("ended") == [{"event": "ended", "states": ["accepted"], "taken": [1]}]
    assert len(running.told("worker_stopped")) == 1
    assert running.told("child_died") == []


def test_a_port_that_is_taken_is_named_with_a_way_out() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(PortTaken, match=rf"Port {port} on 127\.0\.0\.1 is taken .*PORT={port + 1}"):
            probe_port("127.0.0.1", port)
        assert wait_until_listening("127.0.0.1", port, patience=5)

    probe_port("127.0.0.1", port)
    assert not wait_until_listening("127.0.0.1", port, patience=0.1)
