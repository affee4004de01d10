"""A throw-away installation whose web processes take events and die; who posts and who reads lives in other processes.

What they write down lies beside the data folder, which may be full.
"""

import importlib
import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random
from typing import Self

from clarion import worker
from clarion.cli import run
from clarion.flows import callers, tenants
from clarion.flows import readers as hub_readers
from clarion.supervisor import wait_until_listening
from tests.faults import intake_auditor, readers, without
from tests.faults.plans import Figures, Plan
from tests.faults.posters import Answer, Orders, post_all, read_ledger
from tests.faults.processes import Process, fork, spawn
from tests.faults.senders import LOOK, PROCESS_PATIENCE, Stuck
from tests.flows.recording import recorder
from tests.servers import free_port

# With a log line for each request the run would measure the log.
QUIET = {"log_level": "warning", "host": "127.0.0.1"}


class IntakeRig:
    """One installation under posts. Everything it started has ended when the block is left."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.rng = Random(plan.seed)
        self.data = folder
        self.log = folder.parent / "processes.log"
        self.ledger = folder.parent / "ledger"
        self.tenants = [tenants.create(f"shop-{n}", now=_now()) for n in range(plan.tenants)]
        self._keys = tuple(self._key(n) for n in range(plan.tenants))
        self._processes: list[Process] = []
        self._webs: list[Process] = []
        self.ports = tuple(free_port() for _ in range(plan.webs))
        self._reader: Process | None = None
        self._worker: Process | None = None
        self._read_up_to = self._acknowledged = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.wait(PROCESS_PATIENCE)

    @property
    def seen(self) -> Path:
        """What the reader has seen."""
        return self.ledger.with_name("seen")

    # ------------------------------------------------------------ what is started

    def start_webs(self) -> None:
        if self.plan.forked or self.plan.without:
            importlib.import_module("clarion.asgi")  # once, instead of in every copy
        self._webs = [self.keep(self._web(port)) for port in self.ports]
        self.wait_for_webs()

    def start_posters(self, *, visited: bool = False) -> Process:
        """Begin to post; the process ends when everything is acknowledged."""
        plan = self.plan
        orders = Orders(
            events=plan.events,
            clients=plan.clients,
            ports=self.ports,
            keys=self._keys,
            overlapping=plan.overlapping,
            seed=plan.seed,
            visited=visited,
        )
        return self.keep(fork(partial(post_all, orders, self.ledger), log=self.log))

    def start_readers(self) -> None:
        """Begin to read the logs, from their beginning: over HTTP, and as the hub's own readers do."""
        self._worker = self.keep(fork(_read, log=self.log))
        self._reader = self.keep(
            fork(partial(readers.read_on, self.ports, self._keys, self.seen), log=self.log)
        )

    def keep(self, process: Process) -> Process:
        """See to it that this process has ended when the block is left."""
        self._processes.append(process)
        return process

    def _web(self, port: int) -> Process:
        plan = self.plan
        if plan.forked or plan.without:
            return fork(partial(_web, plan.without), log=self.log, port=port, **QUIET)
        return spawn("clarion", "web", log=self.log, port=port, **QUIET)

    def _key(self, number: int) -> str:
        scopes = ["events:write", "events:read"]
        _, key = callers.create_key(
            self.tenants[number], name="poster", scopes=scopes, is_test=False, now=_now()
        )
        return key

    # ------------------------------------------------------------ what is done to it

    def kill_a_web(self) -> None:
        """Kill one of the web processes by SIGKILL, drawn at random, and start it again at its port."""
        number = self.rng.randrange(len(self._webs))
        os.kill(self._webs[number].pid, signal.SIGKILL)
        self._webs[number].wait(PROCESS_PATIENCE)
        self._webs[number] = self.keep(self._web(self.ports[number]))
        self.wait_for_webs()

    def end_webs(self) -> None:
        """Let the web processes end as SIGTERM asks them to."""
        for process in self._webs:
            process.terminate()
        for process in self._webs:
            process.wait(PROCESS_PATIENCE)

    # ------------------------------------------------------------ what is waited for

    def wait_for_webs(self) -> None:
        for port in self.ports:
            if not wait_until_listening("127.0.0.1", port, patience=PROCESS_PATIENCE):
                raise Stuck("the web process did not start")

    def acknowledged(self) -> int:
        """How many requests were acknowledged so far."""
        if self.ledger.exists():
            with self.ledger.open("rb") as ledger:
                ledger.seek(self._read_up_to)
                news = ledger.read()
            self._read_up_to += len(news)
            self._acknowledged += news.count(b"\t201\t") + news.count(b"\t200\t")
        return self._acknowledged

    def wait_until(self, done: Callable[[], bool]) -> None:
        """Wait until it is so.

        :raises Stuck: when nothing was acknowledged for the plan's patience
        """
        before, since = self.acknowledged(), time.monotonic()
        while not done():
            if (now := self.acknowledged()) != before:
                before, since = now, time.monotonic()
            elif time.monotonic() - since > self.plan.patience:
                raise Stuck(f"no event was acknowledged for {self.plan.patience:g} s")
            time.sleep(LOOK)

    def finish(self, posters: Process) -> None:
        """Wait until everything is posted, and the reader has come to the end of the logs."""
        self.wait_until(lambda: posters.poll() is not None)
        if self._reader is not None:
            reader = self._reader
            readers.end_at(self.seen, dict(enumerate(self._heads())))
            self._wait_for(lambda: reader.poll() is not None, "the reader did not come to the end of the log")
        if self._worker is not None:
            self._wait_for(
                lambda: intake_auditor.lag_of(self.tenants) == 0,
                "the worker did not come to the end of the log",
            )
            self._worker.terminate()
            self._worker.wait(PROCESS_PATIENCE)

    def _wait_for(self, done: Callable[[], bool], otherwise: str) -> None:
        give_up = time.monotonic() + self.plan.patience
        while not done():
            if time.monotonic() > give_up:
                raise Stuck(otherwise)
            time.sleep(0.05)  # to look costs a query

    def _heads(self) -> list[int]:
        return [intake_auditor.head_of(tenant) for tenant in self.tenants]

    # ------------------------------------------------------------ what it came to

    def judge(self, figures: Figures, answers: list[Answer] | None = None) -> None:
        """Compare the logs with what was acknowledged. Nothing may run any more."""
        found = list(read_ledger(self.ledger)) if answers is None else answers
        intake_auditor.judge(self.plan, self.tenants, found, figures)
        if self._reader is not None:
            intake_auditor.judge_reader(self.tenants, self.seen, figures)
        if self._worker is not None:
            intake_auditor.judge_worker(self.tenants, figures)


def intake_figures(plan: Plan) -> Figures:
    """Return the figures that the plan itself knows."""
    return Figures(scene=plan.scene, doubt="", manner=plan.manner, kills=plan.kills)


def _web(lacking: str) -> None:
    if lacking:
        without.switch_off(lacking)
    run.web()


def _read() -> None:
    hub_readers.READERS = (recorder(),)
    worker.run()


def _now() -> datetime:
    return datetime.now(UTC)
