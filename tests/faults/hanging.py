"""Two accounts, and one of their senders never answers: how fast the other one still goes."""

import time
from pathlib import Path

from clarion.models import Mailing, Message, State
from clarion.outbox import lanes
from tests.faults.plans import Figures, Plan
from tests.faults.rig import Rig, figures_of
from tests.faults.senders import Sender, Stuck

# What the account that works keeps of what it reaches alone; and where others keep the machine busy, too.
LEAST_KEPT, LEAST_SEEN = 0.8, 0.6
# How much of the mailing has left before the other one begins.
BEFORE = 0.05


def hanging(plan: Plan, folder: Path) -> Figures:
    """Send a mailing alone; then again beside one to a sender that hangs, from the beginning or after a while."""
    figures = figures_of(plan, kills=0, bound=0)
    with Rig(plan, folder) as rig:
        silent, _ = rig.add_sender("silent")
        crew = rig.start_crew()
        began = time.monotonic()
        try:
            alone = _speed(rig, rig.create_mailing(account="sender"))
            beside = _speed(rig, _beside_a_silent_one(rig, silent))
        except Stuck as reason:
            figures.breaches.append(f"stuck: {reason}")
        else:
            figures.kept = beside / alone
            if figures.kept < (LEAST_KEPT if plan.alone else LEAST_SEEN):
                figures.breaches.append(
                    f"{beside:.0f} a second went beside one that hangs, {alone:.0f} alone"
                )
        figures.seconds = time.monotonic() - began
        # Without this the worker would wait for the answers that do not come.
        silent.go_away(plan.patience)
        rig.end(crew)
        doubled = sum(times - 1 for times in rig.sender.ledger().values())
        if doubled:
            figures.breaches.append(f"{doubled} duplicates beside a sender that hangs")
        rig.count_deaths(figures, asked=0)
    return figures


def _beside_a_silent_one(rig: Rig, silent: Sender) -> Mailing:
    if rig.plan.manner == "hangs later":
        # By then it has earned every slot that one account may hold.
        rig.create_mailing(account="silent")
        rig.wait_until_taken(rig.taken() + rig.plan.messages // 2)
        silent.behave("hangs", accepts=False)
        return rig.create_mailing(account="sender")
    silent.behave("hangs", accepts=False)
    if rig.plan.manner == "hangs second":
        mailing = rig.create_mailing(account="sender")
        rig.wait_until_taken(rig.taken() + int(rig.plan.messages * BEFORE))
        rig.create_mailing(account="silent")
        return mailing
    other = rig.create_mailing(account="silent")
    held = Message.objects.filter(mailing=other, state=State.SENDING)
    its_part = rig.plan.in_flight // lanes.UNPROVEN
    rig.wait(lambda: held.count() >= its_part, "the account that hangs never had its slots")
    return rig.create_mailing(account="sender")


def _speed(rig: Rig, mailing: Mailing) -> float:
    """Wait until the mailing is sent; return how many of its messages came in a second since it was asked for."""
    rig.wait_until_settled(mailing)
    ids = set(Message.objects.filter(mailing=mailing, state=State.ACCEPTED).values_list("pk", flat=True))
    times = [each.at for each in rig.sender.requests() if each.message_id in ids]
    if len(times) != rig.plan.messages:
        raise Stuck(f"{len(times)} of {rig.plan.messages} messages arrived")
    return len(times) / (times[-1] - mailing.created_at.timestamp())
