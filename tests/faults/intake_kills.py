"""Web processes are killed at random moments while events are posted to them."""

import time
from pathlib import Path

from tests.faults.intake_rig import IntakeRig, intake_figures
from tests.faults.plans import Figures, Plan
from tests.faults.senders import Stuck

# The share of the requests in which kills fall: at the end nobody would be left to notice.
FIRST, LAST = 0.02, 0.95
# A kill comes up to so long after its mark, s: a commit takes a fraction of it, so it meets every part of one.
JITTER = 0.01


def intake_kills(plan: Plan, folder: Path) -> Figures:
    """Kill `plan.kills` web processes by SIGKILL, one after the other; what posts to them sends again what broke."""
    figures = intake_figures(plan)
    with IntakeRig(plan, folder) as rig:
        # Every event is in a request; a few of these are batches, so some marks are never reached.
        least = plan.events * 2 // 3
        marks = sorted(rig.rng.randrange(int(FIRST * least), int(LAST * least)) for _ in range(plan.kills))
        rig.start_webs()
        began = time.monotonic()
        if plan.watched:
            rig.start_readers()
        posters = rig.start_posters()
        try:
            for mark in marks:
                rig.wait_until(lambda mark=mark: rig.acknowledged() >= mark)
                time.sleep(rig.rng.uniform(0, JITTER))
                rig.kill_a_web()
            rig.finish(posters)
        except Stuck as reason:
            figures.breaches.append(f"stuck: {reason}")
        figures.seconds = time.monotonic() - began
        rig.end_webs()
        rig.judge(figures)
    return figures
