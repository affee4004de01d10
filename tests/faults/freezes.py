"""A worker is stopped past its lease (SIGSTOP), its rows go to others, and then it goes on as if nothing had been."""

import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.db import OperationalError, connection

from clarion.lib.turnstile import Turnstile, TurnTimeout
from clarion.models import Message, State, Worker
from clarion.outbox import claims
from tests.faults.plans import Figures, Plan
from tests.faults.rig import Rig, Stuck, figures_of

# A worker that is stopped inside a transaction holds everybody up and can be declared dead by nobody: then it is let
# go at once, and stopped again. A round is mostly waiting for answers, so a few strikes are enough.
STRIKES = 50
# Between two strikes, and how long a transaction stands still that is taken to be the stopped one's, s: a round lasts
# a tenth of it, and the others still renew their leases in time.
BREATH = 0.1
# Open transactions that wait for their client, for so many seconds already.
STANDING_STILL = {
    "postgresql": (
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction' "
        "AND state_change < clock_timestamp() - make_interval(secs => %s * 0.9)"
    ),
    "mysql": (
        "SELECT 1 FROM information_schema.innodb_trx AS t JOIN information_schema.processlist AS p "
        "ON p.id = t.trx_mysql_thread_id WHERE p.command = 'Sleep' AND p.time_ms > %s * 900"
    ),
}


def freezes(plan: Plan, folder: Path) -> Figures:
    """Freeze `plan.kills` workers, one after the other."""
    figures = figures_of(plan)
    with Rig(plan, folder) as rig:
        crew = rig.start_crew()
        mailing = rig.create_mailing()
        began = time.monotonic()
        try:
            for number in range(1, plan.kills + 1):
                rig.wait_until_taken(plan.messages * number // (plan.kills + 2))
                figures.breaches += _freeze(rig, is_last=number == plan.kills)
            rig.wait_until_settled(mailing)
        except Stuck as reason:
            figures.breaches.append(f"stuck: {reason}")
        figures.seconds = time.monotonic() - began
        rig.end(crew)
        rig.judge(mailing, figures)
        rig.count_deaths(figures, asked=plan.kills)
        if not figures.late:
            figures.breaches.append("no late answer is on record")
    return figures


def _freeze(rig: Rig, *, is_last: bool) -> Iterator[str]:
    """Freeze one worker until its rows are others'; yield what it does wrong when it goes on."""
    victim = _stop_outside_transactions(rig)
    held = Message.objects.filter(state=State.SENDING, worker_id=victim.pk)
    ids = list(held.values_list("pk", flat=True))
    try:
        rig.wait(lambda: _is_declared_dead(victim), "the frozen worker was not declared dead")
        if is_last and rig.plan.doubt == "resend":
            # Its answers shall meet rows that somebody else is sending: the hardest case to tell apart. What was
            # rescued goes after everything else, so there is nothing left then that it might take.
            others = Message.objects.filter(pk__in=ids, state=State.SENDING).exclude(worker_id=victim.pk)
            rig.wait(others.exists, "nobody took over what the frozen worker held")
    finally:
        rig.send_signal(victim.pid, signal.SIGCONT)
    took: set[int] = set()
    rig.wait(lambda: _has_ended(victim, took), "the worker that was declared dead never ended")
    if took:
        yield f"{len(took)} messages were taken by a worker that was declared dead"


def _has_ended(victim: Worker, took: set[int]) -> bool:
    took.update(Message.objects.filter(state=State.SENDING, worker_id=victim.pk).values_list("pk", flat=True))
    try:
        os.kill(victim.pid, 0)
    except ProcessLookupError:
        return True
    return False


def _stop_outside_transactions(rig: Rig) -> Worker:
    for _ in range(STRIKES):
        victim = rig.strike(signal.SIGSTOP, with_rows=True)
        if (
            not _holds_others_up()
            and Message.objects.filter(state=State.SENDING, worker_id=victim.pk).exists()
        ):
            return victim
        rig.send_signal(victim.pid, signal.SIGCONT)
        rig.spare(victim)
        time.sleep(BREATH)
    raise Stuck("no worker could be stopped between two transactions")


def _holds_others_up() -> bool:
    """Whether somebody's transaction stands still: the stopped worker's, for nobody else's does."""
    if connection.vendor == "sqlite":
        try:
            with Turnstile(settings.DATABASES["default"]["NAME"]).turn(timeout=BREATH):
                return False
        except TurnTimeout:
            return True
    time.sleep(BREATH)
    with connection.cursor() as cursor:
        cursor.execute(STANDING_STILL[connection.vendor], [BREATH])
        return cursor.fetchone() is not None


def _is_declared_dead(victim: Worker) -> bool:
    """Do what the sweep of every worker does every five seconds, without waiting for those."""
    try:
        claims.rescue_lapsed(now=datetime.now(UTC))
    except OperationalError:
        return False  # a transaction of somebody else's keeps its rows; tried again
    return Worker.objects.exclude(ended_at=None).filter(pk=victim.pk).exists()
