"""Workers are killed at random moments while events are forwarded to three subscribers, one of whom hangs."""

import signal
import time
from functools import partial
from pathlib import Path

from tests.faults import delivery_auditor
from tests.faults.plans import Figures, Plan
from tests.faults.random_kills import FIRST, JITTER, LAST
from tests.faults.rig import Rig, figures_of
from tests.faults.senders import Stuck
from tests.faults.subscribers import Subscribers


def forwarding_kills(plan: Plan, folder: Path) -> Figures:
    """Kill `plan.kills` workers by SIGKILL while the log grows; the supervisor rescues and restarts."""
    figures = figures_of(plan, events=plan.events)
    with Rig(plan, folder) as rig:
        subscribers = Subscribers(rig, folder)
        silent, hung = subscribers.start_silent("silent")
        all_of_them = plan.events * len(subscribers.healthy)
        marks = sorted(
            rig.rng.randrange(int(FIRST * all_of_them), int(LAST * all_of_them)) for _ in range(plan.kills)
        )
        crew = rig.start_crew()
        began = time.monotonic()
        try:
            for mark in marks:
                subscribers.feed_until(partial(_has_taken, subscribers, mark))
                time.sleep(rig.rng.uniform(0, JITTER))
                rig.strike(signal.SIGKILL)
            subscribers.feed_until(subscribers.have_all)
        except Stuck as reason:
            figures.breaches.append(f"stuck: {reason}")
        figures.seconds = time.monotonic() - began
        # Without this the workers would wait for the answers that do not come.
        silent.end()
        rig.end(crew)
        delivery_auditor.judge(subscribers, silent, hung, figures)
        rig.count_deaths(figures, asked=plan.kills)
    return figures


def _has_taken(subscribers: Subscribers, mark: int) -> bool:
    return subscribers.receiver.taken() >= mark
