"""`make bench`: run every measurement, print the table, write bench/results.md."""

import argparse
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from bench.installation import installation, running_sandbox

RESULTS = Path(__file__).parent / "results.md"
HEAD = "| database | messages | materialise, s | dispatch, msgs/s | one at a time, msgs/s | ratio |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--databases", nargs="*", default=["sqlite", "postgres"])
    arguments = parser.parse_args()
    lines = [HEAD, "|---|---|---|---|---|---|"]
    for database in arguments.databases:
        lines.append(_line(_measure(database, arguments.messages)))
    text = "\n".join([*_about(), "", *lines, ""])
    print(text)
    RESULTS.write_text(text)


def _measure(database: str, messages: int) -> dict[str, object]:
    with installation(database) as environment, running_sandbox(environment) as base_url:
        environment["DJANGO_SETTINGS_MODULE"] = "clarion.settings"
        command = [sys.executable, "-m", "bench.mailing", str(messages), base_url]
        ran = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
        return dict(json.loads(ran.stdout.splitlines()[-1]))


def _line(figures: dict[str, object]) -> str:
    ours, theirs = figures["dispatch_per_second"], figures["one_at_a_time_per_second"]
    ratio = f"{float(str(ours)) / float(str(theirs)):.1f}"
    cells = [figures[name] for name in ("database", "messages", "materialise_seconds")]
    return "| " + " | ".join(map(str, [*cells, ours, theirs, ratio])) + " |"


def _about() -> list[str]:
    return [
        "# What was measured",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, Python {platform.python_version()}; load, sender, database",
        "and worker share the machine. The sender is `clarion sandbox`, one worker process, durable settings everywhere.",
        "The rival reads, sends and commits one message at a time, on 8 threads with kept connections.",
    ]


if __name__ == "__main__":
    main()
