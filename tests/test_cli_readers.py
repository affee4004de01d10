"""`clarion readers` and `clarion tenants keep`: what they show, change and refuse."""

import pytest

from clarion.flows import readers
from clarion.flows.reading import read_on
from clarion.models import ParkedEvent, ReaderPosition, Tenant
from tests.conftest import Clock
from tests.flows.recording import NAME, fill, poison, recorder, seen
from tests.test_cli import DONE, FAILED, NOT_FOUND, REFUSED, WRONG_USE, Clarion, clarion, lines

__all__ = ["clarion"]


@pytest.fixture(autouse=True)
def _reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "READERS", (recorder(),))


@pytest.fixture
def parked(tenant: Tenant, clock: Clock) -> None:
    """Six events were read, and the second was parked."""
    fill(tenant, 6, clock())
    for _ in range(8):
        read_on(recorder(poison(2)), clock())
        clock.pass_by(seconds=5)
    fill(tenant, 2, clock())


@pytest.mark.usefixtures("parked")
def test_readers_are_listed_with_what_they_have_not_read(clarion: Clarion) -> None:
    (line,) = lines(clarion("readers", "--json"))
    (same,) = lines(clarion("readers", "list", "--tenant", "shop", "--json"))
    shown = clarion("readers")

    assert {**line, "oldest unread, s": 0} == {
        "reader": NAME,
        "tenant": "shop",
        "position": 6,
        "head": 8,
        "unread": 2,
        "oldest unread, s": 0,
        "parked": 1,
    }
    assert line.keys() == same.keys()
    assert (shown.exit_code, NAME in shown.stdout) == (DONE, True)


@pytest.mark.usefixtures("parked")
def test_parked_events_are_listed_without_what_is_in_them(clarion: Clarion) -> None:
    told = clarion("readers", "parked", "--json")

    (line,) = lines(told)
    assert (line["seq"], line["error"], line["tries"], line["tenant"]) == (2, "ValueError", 3, "shop")
    # Its sentence, that is; the kind is told.
    assert "not-a-secret" not in told.stdout


@pytest.mark.usefixtures("parked")
def test_a_parked_event_is_run_again(
    clarion: Clarion, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = clarion("readers", "rerun", NAME, "--seq", 3)
    monkeypatch.setattr(readers, "READERS", (recorder(poison(2)),))
    fails = clarion("readers", "rerun", NAME)
    monkeypatch.setattr(readers, "READERS", (recorder(),))
    goes = clarion("readers", "rerun", NAME, "--seq", 2, "--tenant", "shop")

    assert (other.exit_code, fails.exit_code, goes.exit_code) == (NOT_FOUND, FAILED, DONE)
    assert (fails.stdout, goes.stdout) == ("0 went, 1 failed again.\n", "1 went, 0 failed again.\n")
    assert (seen(tenant), ParkedEvent.objects.count()) == ([1, 2, 3, 4, 5, 6], 0)


@pytest.mark.usefixtures("parked")
def test_a_parked_event_is_given_up(clarion: Clarion) -> None:
    results = [clarion("readers", "forget", NAME, "--seq", 2, "--tenant", "shop") for _ in range(2)]

    assert [result.exit_code for result in results] == [DONE, NOT_FOUND]


@pytest.mark.usefixtures("parked")
def test_a_reader_is_sent_back(clarion: Clarion) -> None:
    ahead = clarion("readers", "rewind", NAME, "--tenant", "shop", "--to", 7)
    back = clarion("readers", "rewind", NAME, "--tenant", "shop", "--to", 1)

    assert (ahead.exit_code, back.exit_code) == (REFUSED, DONE)
    assert "that is ahead of it" in ahead.stderr
    assert "5 events of shop" in back.stdout
    assert ReaderPosition.objects.get().seq == 1


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("rerun", "nobody"), NOT_FOUND),
        (("rewind", "nobody", "--tenant", "shop", "--to", "0"), NOT_FOUND),
        (("rewind", NAME, "--tenant", "nowhere", "--to", "0"), NOT_FOUND),
        (("rewind", NAME, "--tenant", "shop", "--to", "-1"), WRONG_USE),
        (("rewind", NAME, "--tenant", "shop"), WRONG_USE),
        (("list", "--tenant", "nowhere"), NOT_FOUND),
    ],
)
def test_what_is_not_there_has_its_exit_code(
    clarion: Clarion, tenant: Tenant, words: tuple[str, ...], code: int
) -> None:
    assert clarion("readers", *words).exit_code == code


def test_a_tenant_shows_and_changes_how_long_its_rows_are_kept(clarion: Clarion, tenant: Tenant) -> None:
    before = lines(clarion("tenants", "keep", "shop", "--json"))
    after = lines(clarion("tenants", "keep", "shop", "--events", 30, "--messages", "forever", "--json"))
    undone = lines(clarion("tenants", "keep", "shop", "--events", "default", "--json"))

    assert [(row["rows"], row["for"], row["unit"], row["set for"]) for row in before] == [
        ("events", 400, "days", "installation"),
        ("messages", 400, "days", "installation"),
        ("deliveries", 90, "days", "installation"),
        ("attempts", 90, "days", "installation"),
        ("answers", 24, "hours", "installation"),
    ]
    assert [row["for"] for row in after] == [30, "forever", 90, 90, 24]
    assert (undone[0], undone[1]["for"]) == (before[0], "forever")


@pytest.mark.parametrize(
    "words",
    [
        ("--events", "0"),
        ("--events", "soon"),
        ("--events", "-1"),
        ("--messages", "36501"),
        ("--messages", "99999999999"),
        ("--answers", "23"),
        ("--answers", "forever"),
        ("--attempts", "٣"),
    ],
)
def test_what_cannot_be_kept_so_long_is_refused(
    clarion: Clarion, tenant: Tenant, words: tuple[str, ...]
) -> None:
    assert clarion("tenants", "keep", "shop", *words).exit_code == REFUSED
    tenant.refresh_from_db()
    assert tenant.keep_events_days is tenant.keep_messages_days is tenant.keep_answers_hours is None
