"""A throw-away installation under fire: customers, a sender in a process of its own, workers that die, and time."""

import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Self

from django.db.models import Sum

from clarion import worker
from clarion.flows import accounts, mailings, tenants
from clarion.models import (
    Attempt,
    Customer,
    GatewayAccount,
    Mailing,
    MailingCount,
    Message,
    State,
    Worker,
)
from clarion.outbox import claims
from tests.faults import auditor
from tests.faults.plans import Figures, Plan
from tests.faults.processes import Process, fork, spawn
from tests.faults.senders import LOOK, PROCESS_PATIENCE, Sender, Stuck
from tests.faults.supervised import supervise

# The window of a mailing: no run reaches its end, s.
WINDOW = 3600.0

UNDER_WAY = (State.WAITING, State.SENDING)


class Rig:
    """One installation and what runs on it. Everything it started has ended when the block is left."""

    def __init__(self, plan: Plan, folder: Path, *, gateway: str = "probe") -> None:
        self.plan = plan
        self.rng = Random(plan.seed)
        self.log = folder / "processes.log"
        self._folder = folder
        self._processes: list[Process] = []
        self._hit: set[int] = set()
        self._senders: list[Sender] = []
        self.tenant = tenants.create("shop", now=_now())
        self._make_customers(plan.messages)
        self.sender, self.account = self.add_sender("sender", gateway=gateway)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for row in Worker.objects.filter(ended_at=None):
            self.send_signal(row.pid, signal.SIGKILL)
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.wait(PROCESS_PATIENCE)

    # ------------------------------------------------------------ what is started

    def start_crew(self) -> Process:
        """Start the supervisor with the plan's workers."""
        plan = self.plan
        if plan.forked or plan.without:
            work = partial(supervise, plan.workers, forked=True, lacking=plan.without)
            return self.keep(fork(work, log=self.log))
        return self.keep(spawn("tests.faults.supervised", str(plan.workers), log=self.log))

    def start_worker(self, **changes: object) -> Process:
        """Start one worker that nobody minds, with these settings changed."""
        if self.plan.forked:
            return self.keep(fork(worker.run, log=self.log, **changes))
        return self.keep(spawn("clarion", "worker", log=self.log, **changes))

    @property
    def shortest_lease(self) -> float:
        """Seconds; a started worker checks its settings and takes none below one."""
        return 0.3 if self.plan.forked else 1.1

    def add_sender(self, name: str, *, gateway: str = "probe") -> tuple[Sender, GatewayAccount]:
        """Start one more sender and give the tenant an account with it."""
        sender = Sender(self._folder / f"ledger of {name}", log=self.log, forked=self.plan.forked)
        self.keep(sender.process)
        self._senders.append(sender)
        sender.behave("slow", delay=self.plan.delay)
        account = accounts.add(
            self.tenant,
            name=name,
            gateway=gateway,
            settings={"base_url": sender.base_url, "token": "not-a-secret", "timeout": self.plan.timeout},
            doubt=self.plan.doubt,
            rate=self.plan.rate or None,
            now=_now(),
        )
        return sender, account

    def keep(self, process: Process) -> Process:
        """See to it that this process has ended when the block is left."""
        self._processes.append(process)
        return process

    def _make_customers(self, count: int) -> None:
        rows = []
        for number in range(count):
            row = Customer(tenant=self.tenant, phone=phone(number), created_at=_now())
            row.locate(self.plan.zones[number % len(self.plan.zones)])
            row.relabel(operator_code="000", tag=None)
            rows.append(row)
        Customer.objects.bulk_create(rows, batch_size=5_000)

    def customer_id(self, number: int) -> int:
        """The id of the n-th customer."""
        return Customer.objects.get(tenant=self.tenant, phone=phone(number)).pk

    def create_mailing(self, *, account: str = "", window: float = WINDOW, **more: Any) -> Mailing:
        """Store a mailing to everybody that begins now and lasts for `window` seconds."""
        ends_at = _now() + timedelta(seconds=window)
        draft = mailings.Draft(text="Hello.", starts_at=_now(), ends_at=ends_at, account=account, **more)
        return mailings.create(self.tenant, draft, is_test=False, now=_now())

    # ------------------------------------------------------------ what is done to it

    def strike(self, number: signal.Signals, *, with_rows: bool = False) -> Worker:
        """Send a signal to one of the living workers, drawn at random; wait for one if none lives."""
        self.wait(lambda: bool(self._victims(with_rows)), "no worker came back")
        victim = self.rng.choice(self._victims(with_rows))
        self._hit.add(victim.pk)
        self.send_signal(victim.pid, number)
        return victim

    def spare(self, victim: Worker) -> None:
        """Take a strike back: it may be struck again."""
        self._hit.discard(victim.pk)

    def _victims(self, with_rows: bool) -> list[Worker]:
        living = Worker.objects.filter(ended_at=None).exclude(pk__in=self._hit).order_by("pk")
        if with_rows:
            holders = Message.objects.filter(state=State.SENDING).values("worker_id")
            living = living.filter(pk__in=holders)
        return list(living)

    @staticmethod
    def send_signal(pid: int, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    # ------------------------------------------------------------ what is waited for

    def wait(self, done: Callable[[], bool], otherwise: str, *, patience: float | None = None) -> None:
        """Wait until it is so.

        :raises Stuck: saying `otherwise`
        """
        give_up = time.monotonic() + (self.plan.patience if patience is None else patience)
        while not done():
            if time.monotonic() > give_up:
                raise Stuck(otherwise)
            time.sleep(LOOK)

    def taken(self) -> int:
        """How many sends the senders have taken so far."""
        return sum(sender.taken() for sender in self._senders)

    def wait_until_taken(self, count: int) -> None:
        self.wait_while_moving(lambda: self.taken() >= count)

    def wait_until_settled(self, mailing: Mailing) -> None:
        """Wait until every message has ended or is in doubt, and a mailing without doubts is finished.

        :raises Stuck: when nothing moves any more
        """
        self.wait_while_moving(lambda: _is_settled(mailing))

    def wait_while_moving(
        self, done: Callable[[], bool], progress: Callable[[], object] | None = None
    ) -> None:
        """Wait until it is so; `progress` gives something that changes as long as it may become so.

        :raises Stuck: when nothing moves any more
        """
        progress = progress or _progress
        before, since = progress(), time.monotonic()
        while not done():
            seen = progress()
            if seen != before:
                before, since = seen, time.monotonic()
            elif time.monotonic() - since > self.plan.patience:
                raise Stuck(f"nothing came to an end for {self.plan.patience:g} s")
            # Each look costs the run a little, and a long run bears a later look.
            time.sleep(max(LOOK, self.plan.messages / 1_000_000))

    def end(self, process: Process) -> int:
        """Let a process end as SIGTERM asks it to; return its exit code."""
        process.terminate()
        return process.wait(PROCESS_PATIENCE)

    # ------------------------------------------------------------ what it came to

    def judge(self, mailing: Mailing, figures: Figures, *, too_late: str = "") -> None:
        """Let the senders rest, let what is in doubt reach its deadline, and compare. Nothing may run any more.

        `too_late`: the reason for which messages may have ended without being sent.
        """
        for sender in self._senders:
            sender.wait_until_quiet()
        open_doubts = Message.objects.filter(mailing=mailing, state=State.UNKNOWN).count()
        if open_doubts:
            after = mailing.ends_at + timedelta(seconds=1)
            while claims.expire_unknown(now=after):
                pass
            mailings.finish_due(after)
        mailing.refresh_from_db()
        if mailing.finished_at is None:
            figures.breaches.append("the mailing never finished")
        died = Attempt.objects.filter(message__mailing=mailing, outcome="worker_died")
        figures.hits = len(set(died.values_list("worker_id", flat=True)))
        auditor.judge(mailing, self.ledger(), figures, too_late=too_late)

    def count_deaths(self, figures: Figures, *, asked: int) -> None:
        """A worker that ended without being asked to is a breach: the crew has had too many of them."""
        unasked = Worker.objects.count() - self.plan.workers - asked
        if unasked > 0:
            figures.breaches.append(f"{unasked} workers ended by themselves")

    def ledger(self) -> Counter[int]:
        """Times taken, by message."""
        return sum((sender.ledger() for sender in self._senders), Counter())


def figures_of(plan: Plan, **known: int) -> Figures:
    """Return the figures that the plan itself knows."""
    counts = {"messages": plan.messages, "kills": plan.kills, "bound": plan.kills * plan.in_flight, **known}
    return Figures(scene=plan.scene, doubt=plan.doubt, manner=plan.manner, in_flight=plan.in_flight, **counts)


def phone(number: int) -> str:
    """The number of the n-th customer, from a range that nobody owns."""
    return f"7000{number:07}"


def _progress() -> tuple[int, int]:
    """How many messages there are, and how many of them are on their way no more. Both only ever grow."""
    counts = dict(MailingCount.objects.all().by_state())
    return sum(counts.values()), sum(counts.values()) - sum(counts.get(state, 0) for state in UNDER_WAY)


def _is_settled(mailing: Mailing) -> bool:
    mailing.refresh_from_db()
    if mailing.materialised_at is None:
        return False
    under_way = mailing.counts.filter(state__in=UNDER_WAY)
    if under_way.aggregate(total=Sum("count"))["total"]:
        return False
    doubtful = mailing.counts.filter(state=State.UNKNOWN, count__gt=0).exists()
    return doubtful or mailing.finished_at is not None


def _now() -> datetime:
    return datetime.now(UTC)
