"""The benchmark as a whole, with next to nothing to do: what it measures must still be there to be measured."""

import subprocess
import sys
from pathlib import Path

import pytest

# What each measurement says at least; rivals say something only where their packages are.
SAID = (
    "one event a request",
    "many events a request",
    "beside an admin page in a loop",
    "the last 100 events of a customer",
    "materialise a mailing",
    "preview with a filter",
    "statistics of all mailings",
    "import a file of new clients",
    "dispatch, one worker process",
)


@pytest.mark.thorough
@pytest.mark.timeout(300)  # a dozen processes, one after the other
def test_every_measurement_ends_with_a_figure(tmp_path: Path) -> None:
    results = tmp_path / "results.md"
    command = ["-m", "bench", "--size", "tiny", "--databases", "sqlite", "--results", str(results)]
    ran = subprocess.run([sys.executable, *command], capture_output=True, text=True)

    assert ran.returncode == 0, ran.stderr[-2000:]
    lines = results.read_text().splitlines()
    assert [words for words in SAID if not any(line.startswith(f"| {words}") for line in lines)] == []
