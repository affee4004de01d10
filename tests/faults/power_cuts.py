"""Power cuts: what the web process told the disk is traced, and the disk is rebuilt as a cut may have left it.

An event counts as acknowledged from the moment at which the web process begins to send the answer. Each rebuilt
database is opened by SQLite as after a crash: it has to be whole, and every event acknowledged by then has to be in it.
"""

import contextlib
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from random import Random

from django.conf import settings
from django.db import connection

from tests.faults import traces
from tests.faults.disks import Disk
from tests.faults.intake_rig import IntakeRig, intake_figures
from tests.faults.plans import Figures, Plan
from tests.faults.posters import read_ledger
from tests.faults.senders import PROCESS_PATIENCE, Stuck
from tests.faults.traces import Call

# The memory that readers of a WAL share is made anew after a crash; locks and their bells hold nothing.
NOT_KEPT = ("-shm", ".turn-next", ".turn-run", ".bell")
_ANSWER = re.compile(
    rb"HTTP/1\.1 20[01] .*?\r\nx-request-id: events:([0-9+]+)\r\n", re.DOTALL | re.IGNORECASE
)


def power_cuts(plan: Plan, folder: Path) -> Figures:
    """Post `plan.events` to a traced web process, then cut the power `plan.cuts` times."""
    figures = intake_figures(plan)
    # As it is on the disk before: everything in the file, nothing beside it.
    connection.close()
    with IntakeRig(plan, folder) as rig:
        connection.close()
        with tempfile.TemporaryDirectory(prefix="clarion-disk-") as copy:
            before = Path(copy) / "data"
            shutil.copytree(folder, before, ignore=lambda _, names: [n for n in names if n.endswith(".bell")])
            began = time.monotonic()
            log = folder.parent / "trace"
            try:
                with _traced_web(rig, log):
                    posters = rig.start_posters()
                    rig.wait_until(lambda: posters.poll() is not None)
            except Stuck as reason:
                figures.breaches.append(f"stuck: {reason}")
            rig.judge(figures)
            acknowledged = {n for each in read_ledger(rig.ledger) if each.is_good for n in each.numbers}
            calls = list(traces.read(log, folder, without=NOT_KEPT))
            traces.check(calls)
            _cut(plan, before, folder, calls, acknowledged, figures)
            figures.seconds = time.monotonic() - began
    return figures


@contextlib.contextmanager
def _traced_web(rig: IntakeRig, log: Path) -> Iterator[None]:
    """Run a web process under strace while the block lasts; it ends as SIGTERM asks it to."""
    port = rig.ports[0]
    command = [*traces.command(log), sys.executable, "-m", "tests.faults.lacking", rig.plan.without, "web"]
    environment = {**os.environ, "CLARION_PORT": str(port), "CLARION_HOST": "127.0.0.1"}
    with rig.log.open("ab") as sink:
        tracer = subprocess.Popen(command, env=environment, stdout=sink, stderr=sink)
    rig.keep(tracer)
    try:
        rig.wait_for_webs()
        yield
    finally:
        for child in Path(f"/proc/{tracer.pid}/task/{tracer.pid}/children").read_text().split():
            os.kill(int(child), signal.SIGTERM)
        tracer.wait(PROCESS_PATIENCE)


def _cut(
    plan: Plan, before: Path, folder: Path, calls: list[Call], acknowledged: set[int], figures: Figures
) -> None:
    """Rebuild the disk at `plan.cuts` moments, drawn at random between the first and the last thing that was said."""
    said = [(call.began, _events_in(call.data)) for call in calls if call.name == "say"]
    said = [(place, numbers) for place, numbers in said if numbers]
    if {number for _, numbers in said for number in numbers} != acknowledged:
        figures.breaches.append("the trace lacks answers: it proves nothing")
        return
    rng = Random(plan.seed)
    ends = [call.ended for call in calls]
    moments = sorted(rng.randrange(said[0][0], ends[-1]) for _ in range(plan.cuts))
    disk = Disk(before, folder, without=NOT_KEPT)
    told = 0
    for moment in moments:
        while told < len(calls) and calls[told].ended <= moment:
            disk.tell(calls[told])
            told += 1
        promised = [
            n for _, numbers in said[: bisect_right(said, moment, key=lambda each: each[0])] for n in numbers
        ]
        figures.cuts += 1
        _look_at(disk.after_a_cut(rng), set(promised), figures)
    if figures.cuts_lost:
        figures.breaches.append(f"{figures.cuts_lost} of {figures.cuts} power cuts lost acknowledged events")
    if figures.cuts_damaged:
        figures.breaches.append(
            f"{figures.cuts_damaged} of {figures.cuts} power cuts left a damaged database"
        )


def _events_in(answer: bytes) -> list[int]:
    found = _ANSWER.match(answer)
    return [int(number) for number in found[1].split(b"+")] if found else []


def _look_at(files: dict[str, bytes], promised: set[int], figures: Figures) -> None:
    """Open what is left, as the next start would."""
    name = Path(settings.DATABASES["default"]["NAME"]).name
    with tempfile.TemporaryDirectory(prefix="clarion-cut-") as place:
        for each, content in files.items():
            (Path(place) / each).write_bytes(content)
        try:
            with contextlib.closing(sqlite3.connect(Path(place) / name)) as database:
                is_whole = database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                rows = database.execute("SELECT seq, event_id FROM clarion_event ORDER BY seq").fetchall()
                head = database.execute("SELECT max(seq) FROM clarion_eventhead").fetchone()[0] or 0
        except sqlite3.DatabaseError:
            figures.cuts_damaged += 1
            return
    is_whole = is_whole and [seq for seq, _ in rows] == list(range(1, head + 1))
    figures.cuts_damaged += not is_whole
    missing = promised - {int(event_id.removeprefix("e-")) for _, event_id in rows}
    figures.lost += len(missing)
    figures.cuts_lost += bool(missing)
