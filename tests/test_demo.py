"""The demo: what it shows on the way, that it notices what does not add up, and that it leaves nothing behind."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from clarion import worker
from clarion.cli.demo import watching
from clarion.cli.demo.accounts import Books
from clarion.cli.demo.course import MOODS, Course
from clarion.cli.demo.watching import Screen, Sight
from clarion.flows import previews
from clarion.flows.drafts import draft_of
from clarion.models import Customer, GatewayAccount, Import, Lane, Mailing, Tenant
from clarion.models.outgoing import STATUSES
from clarion.outbox import breaker
from clarion.sandbox import RunningSender, running_sender
from tests.conftest import Clock
from tests.drawings import DOCS
from tests.hub import STARTS_WITHIN, wait_until
from tests.outbox.rounds import due_messages
from tests.sandbox.calls import send

# A small demo takes half a minute; a busy machine several times that, s.
LONG = 150


def test_the_sender_turns_bad_half_way_and_is_well_again_in_the_end(sender: RunningSender) -> None:
    leads = Course(sender, bad_from=3)
    leads.follow(100.0)
    seen = [leads.mood]
    send(sender.base_url, 1, 2, 3)
    for at in (101.0, 104.9, 105.1, 108.0, 108.2, 9999.0):
        leads.follow(at)
        seen.append(leads.mood)

    fine, flaky, down, well = MOODS
    assert seen == [fine, flaky, flaky, down, down, well, well]


def test_the_bad_times_are_over_before_the_first_trial() -> None:
    # Half of the first break is random.
    assert sum(mood.seconds or 0 for mood in MOODS) < breaker.FIRST_BREAK.total_seconds() / 2


@pytest.fixture
def mailing(tenant: Tenant, probe: GatewayAccount, clock: Clock) -> Mailing:
    return due_messages(tenant, clock, 3)


@pytest.mark.parametrize(
    ("lane", "says"),
    [
        ({}, "open"),
        ({"slow_since": 6}, "open, at 20% of its speed after the break"),
        ({"closed_at": 1, "closed_until": -9}, "closed for 9 s: HTTP 503"),
        ({"closed_at": 1, "closed_until": 1, "breaks": 1}, "on trial: "),
        ({"closed_at": 1, "closed_until": -29, "breaks": 1}, "on trial: "),
    ],
)
def test_what_is_shown_of_the_account_is_what_its_lane_says(
    mailing: Mailing, clock: Clock, lane: dict[str, int], says: str
) -> None:
    # Times are so many seconds ago.
    times = {
        name: value if name == "breaks" else clock() - timedelta(seconds=value)
        for name, value in lane.items()
    }
    Lane.objects.filter(pk=mailing.account.lane_id).update(**times, closed_because="HTTP 503")

    sight = watching.look(mailing, total=3, sender="fine", now=clock())

    assert sight.account.startswith(says)
    assert (sight.counts, sight.done) == ({"PENDING": 3}, 0)


def test_without_a_terminal_a_line_is_printed_when_something_changes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    screen = Screen(None)
    sights = [
        Sight({}, 9, done, "fine", account)
        for done, account in enumerate(("open", "open", "closed for 3 s: x", "closed for 2 s: x", "open"))
    ]

    for sight in sights:
        screen.show(sight)

    lines = capsys.readouterr().err.splitlines()
    assert [re.findall(r"(\d) of 9", line) for line in lines] == [["0"], ["2"], ["4"]]


@pytest.fixture
def sent(mailing: Mailing) -> Mailing:
    """All of its messages were sent, and it has finished."""
    worker.tick(worker.utc_now)
    mailing.refresh_from_db()
    return mailing


def what_is_wrong(
    capsys: pytest.CaptureFixture[str], mailing: Mailing, sender: RunningSender, **counts: int
) -> list[str]:
    """Let the demo show accounts; return what it complains of."""
    told = previews.preview(mailing.tenant, draft_of(mailing), is_test=False, now=mailing.created_at)
    books = Books(Counter(new=3), Import(**{"created": 3, **counts}), told, mailing, sender)
    is_well = books.show()
    complaints = capsys.readouterr().err.splitlines()
    assert is_well == (not complaints)
    return complaints[:-1]


def test_accounts_that_add_up_are_shown_without_a_complaint(
    sent: Mailing, sender: RunningSender, capsys: pytest.CaptureFixture[str]
) -> None:
    assert what_is_wrong(capsys, sent, sender) == []


def test_clients_that_the_file_does_not_hold_are_noticed(
    sent: Mailing, sender: RunningSender, capsys: pytest.CaptureFixture[str]
) -> None:
    assert what_is_wrong(capsys, sent, sender, created=4, refused=1) == [
        "3 rows of the file are new, and 4 were taken as that.",
        "0 rows of the file are refused, and 1 were taken as that.",
        "There are 4 clients, 3 messages, and a preview of 3.",
    ]


def test_messages_that_the_sender_never_saw_are_noticed(
    sent: Mailing, capsys: pytest.CaptureFixture[str]
) -> None:
    with running_sender() as another:
        complaints = what_is_wrong(capsys, sent, another)

    assert complaints == ["3 messages count as sent, and the sender never took them."]


def test_a_mailing_that_has_not_finished_is_noticed(
    sent: Mailing, sender: RunningSender, capsys: pytest.CaptureFixture[str]
) -> None:
    sent.finished_at = None

    assert what_is_wrong(capsys, sent, sender) == ["The mailing has not finished."]


def test_what_the_preview_did_not_tell_is_noticed(
    sent: Mailing, sender: RunningSender, capsys: pytest.CaptureFixture[str]
) -> None:
    # All have one number, once everything has been sent.
    Customer.objects.of(sent.tenant).update(phone="70000000001")

    complaints = what_is_wrong(capsys, sent, sender)

    assert complaints == ["2 were foretold as same_address_twice, and 0 are."]


def test_what_the_audit_finds_is_said(
    sent: Mailing, sender: RunningSender, capsys: pytest.CaptureFixture[str]
) -> None:
    sent.counts.update(reason="refused")

    (first, second) = what_is_wrong(capsys, sent, sender)

    assert first.startswith(f"mailing {sent.pk}: 0 counted as accepted (no reason), 3 are there")
    assert second.startswith(f"mailing {sent.pk}: 3 counted as accepted refused, 0 are there")


def figures(told: str) -> dict[str, int]:
    """Return the numbers that the demo printed, by the words before or behind them."""
    found = {
        name.strip(): int(number)
        for name, number in re.findall(r"^([^\d\n]+?) +(\d+) *$", told, re.MULTILINE)
    }
    for number, word in re.findall(r"(\d+) (rows|clients|messages|twice|sends)\b", told):
        found[word] = int(number)
    for word, number in re.findall(r"(first try|after others) (\d+)", told):
        found[word] = int(number)
    return found


def check_figures(told: str) -> None:
    """Check that what the demo printed adds up for a reader, too."""
    found = figures(told)
    states = {name: n for name, n in found.items() if name.startswith(STATUSES)}
    assert {"created", "updated", "unchanged", "refused", "total", "SENT"} <= found.keys()
    assert sum(found[name] for name in ("created", "updated", "unchanged", "refused")) == found["rows"]
    assert found["rows in the file"] == found["rows"]
    assert found["created"] == found["clients"] == found["total"] == sum(states.values()) == found["messages"]
    assert found["first try"] + found["after others"] == found["SENT"]


def test_the_figures_of_the_readme_add_up() -> None:
    page = (DOCS.parent / "README.md").read_text()
    told = page.partition("$ make demo\n")[2].partition("```")[0]

    check_figures(told)


@contextlib.contextmanager
def demo(folder: Path, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a demo that keeps its folder below this one, for somebody whose settings name a database elsewhere."""
    strangers = {name: value for name, value in os.environ.items() if not name.startswith("CLARION_")}
    theirs = {"CLARION_DATABASE_URL": "postgres://clarion:hunter2@127.0.0.1:1/clarion", "TMPDIR": str(folder)}
    process = subprocess.Popen(
        [sys.executable, "-m", "clarion", "demo", *words],
        env={**strangers, **theirs},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


def processes_in(folder: Path) -> list[str]:
    """Return the commands of those processes whose environment names this folder."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(folder).encode() in (place / "environ").read_bytes():
                found.append((place / "cmdline").read_text().replace("\0", " "))
    return found


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.timeout(LONG)
def test_a_small_demo_adds_up_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with demo(tmp_path, "--clients", "300", "--seed", "7") as process:
        told, complaints = process.communicate()

    assert process.returncode == 0, told + complaints
    assert "It adds up: 300 rows, " in told
    check_figures(told)
    assert "down: 503 to everything" in complaints
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.timeout(LONG)
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found by /proc")
def test_an_interrupted_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    with demo(tmp_path, "--clients", "20000") as process:
        is_there = wait_until(
            lambda: any("worker" in each for each in processes_in(tmp_path)), patience=STARTS_WITHIN
        )
        assert is_there
        process.send_signal(signal.SIGINT)
        told, complaints = process.communicate()

    assert (process.returncode, "Stopped. Nothing is left behind." in complaints) == (130, True), complaints
    assert "Traceback" not in told + complaints
    assert (processes_in(tmp_path), list(tmp_path.iterdir())) == ([], [])
