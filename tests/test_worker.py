"""The worker as a process: what breaks in it ends it whole, what it holds it holds to the end, and what it logs."""

import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import OperationalError, transaction

from clarion import worker
from clarion.flows import pruning
from clarion.models import IdempotencyRecord, Tenant
from tests.conftest import Clock
from tests.outbox.rounds import due_messages, enlist

ROOT = Path(__file__).parent.parent
PREPARED = """
import os
os.environ.update(CLARION_DATA={folder!r}, CLARION_DATABASE_URL="", CLARION_LEASE_SECONDS="1.2")
os.environ["DJANGO_SETTINGS_MODULE"] = "clarion.settings"
import django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from clarion import worker
from clarion.lib import logs
from clarion.models import Worker
from clarion.outbox import claims
logs.set_up(level="info", form="json")
"""
BROKEN_FLOW = """
import signal
from clarion.flows import tenants
from tests.factories import make_customer, make_mailing
def flow(now):
    raise KeyError("a mistake of ours")
tenant = tenants.create("shop", now=worker.utc_now())
make_customer(tenant)
mailing = make_mailing(tenant, now=worker.utc_now())
def stop_when_sent(now):
    if mailing.message_set.filter(state="accepted"):
        os.kill(os.getpid(), signal.SIGTERM)
    return 0
worker.DATABASE_PAUSE = 0.01
worker.FLOWS = (flow, *worker.FLOWS, stop_when_sent)
worker.run()
print(mailing.message_set.get().state, Worker.objects.get().ended_at is not None)
"""
BROKEN_LEASE = """
def renew(*_, **__):
    raise KeyError("a mistake of ours")
claims.renew = renew
try:
    worker.run()
finally:
    print(Worker.objects.get().ended_at is not None)
"""
DECLARED_DEAD = """
def declare(now):
    return Worker.objects.filter(ended_at=None).update(ended_at=now)
worker.FLOWS = (declare,)
worker.run()
"""
BROKEN_OUTBOX = """
def dispatch(**_):
    raise KeyError("a mistake of ours")
worker.Dispatch = dispatch
worker.run()
"""
SLOW_END = """
import signal, threading, time
from clarion.flows import accounts, tenants
from clarion.sandbox import running_sender
from tests.factories import make_customer, make_mailing
with running_sender("slow", delay=2.5) as sender:
    tenant = tenants.create("shop", now=worker.utc_now())
    settings = {"base_url": sender.base_url, "token": "not-a-secret"}
    accounts.add(tenant, name="sender", gateway="probe", settings=settings, now=worker.utc_now())
    make_customer(tenant)
    mailing = make_mailing(tenant, now=worker.utc_now())
    def stop_when_sent():
        while not sender.counts()["requests"]:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)
    threading.Thread(target=stop_when_sent).start()
    worker.run()
print(mailing.message_set.get().state, Worker.objects.get().lease_until > claims.lease_clock())
"""


def run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    code = PREPARED.format(folder=str(folder)) + script
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)


@pytest.mark.slow
def test_a_mistake_in_a_flow_keeps_nothing_else_from_being_sent(tmp_path: Path) -> None:
    ended = run(BROKEN_FLOW, tmp_path)

    assert (ended.returncode, ended.stdout) == (0, "accepted True\n"), ended.stderr
    assert '"step":"flow"' in ended.stderr
    assert "KeyError" in ended.stderr
    # What a mistake says may be a value; the line of the program that made it is enough.
    assert "a mistake of ours" not in ended.stderr


@pytest.mark.thorough
@pytest.mark.slow
def test_a_mistake_in_the_renewal_of_the_lease_ends_the_process_with_an_error(tmp_path: Path) -> None:
    ended = run(BROKEN_LEASE, tmp_path)

    # It let go of what it held, as at any other end.
    assert (ended.returncode, ended.stdout) == (1, "True\n"), ended.stderr
    assert '"loop":"lease"' in ended.stderr


@pytest.mark.thorough
@pytest.mark.slow
def test_a_mistake_in_the_outbox_leaves_no_process_that_renews_a_lease_and_sends_nothing(
    tmp_path: Path,
) -> None:
    ended = run(BROKEN_OUTBOX, tmp_path)

    assert ended.returncode == 1, ended.stderr
    assert '"loop":"outbox"' in ended.stderr


@pytest.mark.thorough
@pytest.mark.slow
def test_a_worker_that_was_declared_dead_ends_with_an_error(tmp_path: Path) -> None:
    ended = run(DECLARED_DEAD, tmp_path)

    assert ended.returncode == 1, ended.stderr
    assert "worker_declared_dead" in ended.stderr


@pytest.mark.thorough
@pytest.mark.slow
def test_the_lease_is_held_to_the_end_of_the_last_send(tmp_path: Path) -> None:
    ended = run(SLOW_END, tmp_path)

    assert ended.stdout == "accepted True\n", ended.stderr
    assert "worker_declared_dead" not in ended.stderr


@pytest.mark.django_db(transaction=True)
def test_what_the_database_says_of_a_value_does_not_reach_the_log(
    tenant: Tenant, clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "DATABASE_PAUSE", 0.0)
    message = due_messages(tenant, clock).message_set.get()

    def make_a_twin() -> int:
        message.pk, message.customer_id = None, message.customer_id + 1
        with transaction.atomic():
            message.save(force_insert=True)
        return 1

    assert worker._survive("twin", make_a_twin) is None
    said = capsys.readouterr().err
    # The database is there; it is the step that is wrong.
    assert "step_failed" in said
    assert "database_unavailable" not in said
    assert "IntegrityError" in said
    assert message.address not in said


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_away_is_called_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "DATABASE_PAUSE", 0.0)

    def step() -> int:
        raise OperationalError("gone")

    assert worker._outlive("step", step) is None
    assert "database_unavailable" in capsys.readouterr().err


@pytest.mark.django_db(transaction=True)
def test_one_round_of_housekeeping_forgets_every_batch_of_what_is_due(
    tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "BATCH", 2)
    long_ago = clock() - timedelta(days=2)
    for number in range(7):
        IdempotencyRecord.objects.create(
            tenant=tenant, digest=f"{number}", fingerprint="", status=201, body=b"{}", created_at=long_ago
        )

    worker.WorkerProcess(enlist(clock), threading.Event())._keep_house()

    assert not IdempotencyRecord.objects.exists()
