"""The database server stops under load, without a word to its clients, and comes back a little later."""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from clarion.intake import lane
from tests import servers
from tests.faults.intake_rig import IntakeRig, intake_figures
from tests.faults.plans import Figures, Plan
from tests.faults.posters import AGAIN, Answer, read_ledger
from tests.faults.processes import Process
from tests.faults.senders import LOOK, PROCESS_PATIENCE, Stuck
from tests.servers import Server

# After so much of what is posted, each time.
MARKS = (0.2, 0.5)
# How long it stays away, s: long enough for several looks, and for Clarion's rests to grow.
AWAY = 2.0
# So long after the server takes connections again events have to be taken again, s. The longest rest is five seconds.
BACK_WITHIN = 6.0
# Beyond the hub's own patience with a database, s: a busy machine is late with everything.
GRACE = 3.0
# What `pg_ctl stop -m immediate` sends; nothing tells MariaDB the same but a kill.
BRUTAL = {"postgres": signal.SIGQUIT, "mysql": signal.SIGKILL}


def server_stops(plan: Plan, folder: Path) -> Figures:
    """Stop the plan's server as brutally as it can be, twice, and start it again."""
    figures = intake_figures(plan)
    assert plan.server is not None
    fallen: list[tuple[float, float]] = []
    with IntakeRig(plan, folder) as rig:
        rig.start_webs()
        began = time.monotonic()
        posters = rig.start_posters(visited=True)
        server, process = plan.server, None
        try:
            for part in MARKS:
                mark = int(plan.events * part * 2 / 3)
                rig.wait_until(lambda mark=mark: rig.acknowledged() >= mark)
                down_at = time.monotonic()
                _fell(server.pid if process is None else process.pid, server, process)
                time.sleep(AWAY)
                process = _start(rig, server)
                fallen.append((down_at, time.monotonic()))
            rig.finish(posters)
        except Stuck as reason:
            figures.breaches.append(f"stuck: {reason}")
        figures.seconds = time.monotonic() - began
        rig.end_webs()
        answers = list(read_ledger(rig.ledger))
        rig.judge(figures, answers)
        figures.breaches += judge_outages(answers, fallen, figures)
        if process is not None:
            _fell(process.pid, server, process)
    return figures


def judge_outages(
    answers: Sequence[Answer], fallen: Sequence[tuple[float, float]], figures: Figures
) -> list[str]:
    """Whether everybody was told to come again meanwhile, nobody waited too long, and all went on soon after."""
    breaches = []
    for down_at, up_at in fallen:
        meanwhile = [each for each in answers if down_at < each.at - each.seconds and each.at < up_at]
        if not any(each.status == AGAIN and each.numbers for each in meanwhile):
            breaches.append("nobody was told to come again while the database was away")
        next_at = min((each.at for each in answers if each.is_good and each.at > up_at), default=None)
        if next_at is not None:
            figures.back = max(figures.back, next_at - up_at)
    if figures.back > BACK_WITHIN:
        breaches.append(f"events were taken again only {figures.back:.1f} s after the database was back")
    if figures.slowest > lane.PATIENCE + GRACE:
        breaches.append(f"an answer took {figures.slowest:.1f} s")
    return breaches


def _fell(pid: int, server: Server, process: Process | None) -> None:
    os.kill(pid, BRUTAL[server.url.split(":")[0]])
    give_up = time.monotonic() + PROCESS_PATIENCE
    while _answers(server) or (process is not None and process.poll() is None):
        if time.monotonic() > give_up:
            raise Stuck("the server did not stop")
        time.sleep(LOOK)


def _start(rig: IntakeRig, server: Server) -> Process:
    """Start it again, in our own group: whoever ends us ends it."""
    process = rig.keep(servers.start(server.command, Path(server.folder), server.user, apart=False))
    give_up = time.monotonic() + servers.START_SECONDS
    while not _answers(server):
        if process.poll() is not None or time.monotonic() > give_up:
            raise Stuck(f"the server did not come back: {servers.last_words(Path(server.folder))}")
        time.sleep(LOOK)
    return process


def _answers(server: Server) -> bool:
    try:
        return bool(servers.server_version(server.url))
    except Exception as error:
        # Not by their types: Django imports MariaDB's driver under a second name, and with it a second type.
        if type(error).__name__ != "OperationalError":
            raise
        return False
