"""One message kills every worker that tries it: it ends as dead after three deaths, and nobody else suffers."""

import time
from pathlib import Path

from clarion.models import Message, State
from clarion.models.outgoing import Reason
from clarion.outbox.claims import POISON_DEATHS
from tests.faults import deadly
from tests.faults.plans import Figures, Plan
from tests.faults.rig import Rig, Stuck, figures_of


def poison(plan: Plan, folder: Path) -> Figures:
    """Send a mailing with one deadly address. Its deaths are the kills of this run."""
    deadly.install(folder / "plugins")
    figures = figures_of(plan, kills=POISON_DEATHS, bound=POISON_DEATHS * plan.in_flight)
    with Rig(plan, folder, gateway="deadly") as rig:
        crew = rig.start_crew()
        mailing = rig.create_mailing()
        began = time.monotonic()
        try:
            rig.wait_until_settled(mailing)
        except Stuck as reason:
            figures.breaches.append(f"stuck: {reason}")
        figures.seconds = time.monotonic() - began
        rig.end(crew)
        rig.judge(mailing, figures)
        rig.count_deaths(figures, asked=POISON_DEATHS)
        dead = Message.objects.filter(mailing=mailing, state=State.DEAD, reason=Reason.POISON)
        if plan.doubt == "resend" and list(dead.values_list("customer_id", flat=True)) != [
            rig.customer_id(deadly.DEADLY_NUMBER)
        ]:
            figures.breaches.append(f"{len(dead)} messages ended as poison, not the deadly one alone")
    return figures
