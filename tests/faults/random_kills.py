"""Workers are killed at random moments of a mailing."""

import signal
import time
from pathlib import Path

from tests.faults.plans import Figures, Plan
from tests.faults.rig import Rig, Stuck, figures_of

# The share of the mailing in which kills fall: not before there is something to hit, and not so late that the rows
# of one kill are all that the next can meet.
FIRST, LAST = 0.02, 0.9
# A kill comes up to so long after its mark, s: a round takes a fraction of it, so it meets every part of one.
JITTER = 0.05


def random_kills(plan: Plan, folder: Path) -> Figures:
    """Kill `plan.kills` workers by SIGKILL; the supervisor rescues and restarts."""
    figures = figures_of(plan)
    with Rig(plan, folder) as rig:
        marks = sorted(
            rig.rng.randrange(int(FIRST * plan.messages), int(LAST * plan.messages))
            for _ in range(plan.kills)
        )
        crew = rig.start_crew()
        mailing = rig.create_mailing()
        began = time.monotonic()
        try:
            for mark in marks:
                rig.wait_until_taken(mark)
                time.sleep(rig.rng.uniform(0, JITTER))
                rig.strike(signal.SIGKILL)
            rig.wait_until_settled(mailing)
        except Stuck as reason:
            figures.breaches.append(f"stuck: {reason}")
        figures.seconds = time.monotonic() - began
        rig.end(crew)
        rig.judge(mailing, figures)
        rig.count_deaths(figures, asked=plan.kills)
    return figures
