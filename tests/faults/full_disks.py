"""The disk under the data folder fills up while events are posted, and has room again a little later."""

import contextlib
import os
import sqlite3
import time
from pathlib import Path

from django.conf import settings
from django.db import connection

from tests.faults.intake_rig import IntakeRig, intake_figures
from tests.faults.plans import Figures, Plan
from tests.faults.posters import read_ledger
from tests.faults.senders import Stuck
from tests.faults.server_stops import judge_outages

# After so much of what is posted.
MARK = 0.3
# How long it stays full, s.
FULL = 2.0
# A MiB at a time, then what is left.
PIECE = 1024 * 1024


def full_disks(plan: Plan, folder: Path) -> Figures:
    """Fill the file system of the data folder to its last byte, and empty it again."""
    figures = intake_figures(plan)
    # Whose disk is full makes no shared memory either: a process that merely reads would wait for it.
    with IntakeRig(plan, folder) as rig:
        rig.start_webs()
        began = time.monotonic()
        posters = rig.start_posters(visited=True)
        full: list[tuple[float, float]] = []
        try:
            mark = int(plan.events * MARK * 2 / 3)
            rig.wait_until(lambda: rig.acknowledged() >= mark)
            ballast = folder / "ballast"
            fill(ballast)
            full_at = time.monotonic()
            # What the log beside the file has room for already may still be taken.
            give_up = full_at + plan.patience
            while time.monotonic() < give_up and not _refused(rig):
                time.sleep(0.05)
                fill(ballast)
            time.sleep(FULL)
            ballast.unlink()
            full.append((full_at, time.monotonic()))
            rig.finish(posters)
        except Stuck as reason:
            figures.breaches.append(f"stuck: {reason}")
        figures.seconds = time.monotonic() - began
        rig.end_webs()
        answers = list(read_ledger(rig.ledger))
        rig.judge(figures, answers)
        figures.breaches += judge_outages(answers, full, figures)
    connection.close()
    with contextlib.closing(sqlite3.connect(settings.DATABASES["default"]["NAME"])) as database:
        if database.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            figures.breaches.append("the database is damaged")
    return figures


def fill(ballast: Path) -> None:
    """Write until nothing more fits."""
    file = os.open(ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    size = PIECE
    try:
        while size:
            try:
                os.write(file, bytes(size))
            except OSError:
                size //= 2
    finally:
        os.close(file)


def _refused(rig: IntakeRig) -> bool:
    return any(answer.status == 503 for answer in read_ledger(rig.ledger))
