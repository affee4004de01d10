"""Orderly ends cost nothing: workers told to stop, the whole crew told to stop, and a supervisor that is killed."""

import signal
import time
from pathlib import Path

from clarion.models import Mailing, Worker
from tests.faults.plans import Figures, Plan
from tests.faults.rig import PROCESS_PATIENCE, Rig, Stuck, figures_of


def restarts(plan: Plan, folder: Path) -> Figures:
    """Restart single workers `plan.kills` times, then the crew, then let it lose its supervisor."""
    figures = figures_of(plan, bound=0)
    with Rig(plan, folder) as rig:
        mailing = rig.create_mailing()
        began = time.monotonic()
        try:
            _restart(rig, mailing)
        except Stuck as reason:
            figures.breaches.append(f"stuck: {reason}")
        figures.seconds = time.monotonic() - began
        rig.judge(mailing, figures)
        # The crew was started three times.
        rig.count_deaths(figures, asked=plan.kills + 2 * plan.workers)
    if figures.hits or figures.doubtful:
        figures.breaches.append("an orderly end left sends in doubt")
    return figures


def _restart(rig: Rig, mailing: Mailing) -> None:
    plan = rig.plan
    step = plan.messages // (plan.kills + 4)
    crew = rig.start_crew()
    for number in range(1, plan.kills + 1):
        rig.wait_until_taken(number * step)
        rig.strike(signal.SIGTERM)
    rig.wait_until_taken((plan.kills + 1) * step)
    rig.end(crew)

    crew = rig.start_crew()
    rig.wait_until_taken((plan.kills + 2) * step)
    crew.kill()
    crew.wait(PROCESS_PATIENCE)
    orphans = Worker.objects.filter(ended_at=None)
    rig.wait(lambda: not orphans.exists(), "workers outlived their supervisor")

    crew = rig.start_crew()
    rig.wait_until_settled(mailing)
    rig.end(crew)
