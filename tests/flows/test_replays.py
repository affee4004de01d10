"""Events given to a reader again: what it parked, and everything from a number on."""

from typing import Any

import pytest
from django.db import OperationalError

from clarion.flows import readers
from clarion.flows.reading import read_on
from clarion.flows.replays import BadPlace, forget, rerun, rewind
from clarion.models import Event, ParkedEvent, ReaderPosition, Tenant
from tests.conftest import Clock
from tests.flows.recording import NAME, fill, poison, recorder, seen

pytestmark = pytest.mark.django_db


def read_past(tenant: Tenant, clock: Clock, *poisoned: int, count: int = 6) -> None:
    """Have a reader read so many events, with these parked."""
    fill(tenant, count, clock())
    for _ in range(30):
        read_on(recorder(poison(*poisoned)), clock())
        clock.pass_by(seconds=5)
    assert parked(tenant) == list(poisoned)


def parked(tenant: Tenant) -> list[int]:
    return list(ParkedEvent.objects.of(tenant).order_by("seq").values_list("seq", flat=True))


def test_what_goes_when_it_is_run_again_is_parked_no_more(tenant: Tenant, clock: Clock) -> None:
    read_past(tenant, clock, 2, 4)

    outcome = rerun(recorder(poison(4)), ParkedEvent.objects.all(), clock())

    assert (outcome, parked(tenant), seen(tenant)) == ((1, 1), [4], [1, 2, 3, 5, 6])
    again = ParkedEvent.objects.get()
    assert (again.tries, again.tried_at) == (4, clock())


def test_only_the_parked_events_that_are_named_are_run_again(
    tenant: Tenant, other_tenant: Tenant, clock: Clock
) -> None:
    for each in (tenant, other_tenant):
        read_past(each, clock, 2, 4)

    rerun(recorder(), ParkedEvent.objects.of(tenant).filter(seq=2), clock())

    assert (parked(tenant), parked(other_tenant)) == ([4], [2, 4])


def test_a_lost_connection_leaves_it_parked_and_is_no_try(tenant: Tenant, clock: Clock) -> None:
    read_past(tenant, clock, 2)

    def lose(event: Event) -> None:
        raise OperationalError("server closed the connection")

    with pytest.raises(OperationalError):
        rerun(recorder(lose), ParkedEvent.objects.all(), clock())

    assert (ParkedEvent.objects.get().tries, 2 in seen(tenant)) == (3, False)


def test_an_event_that_is_given_up_while_it_fails_again_neither_went_nor_failed(
    tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_past(tenant, clock, 2, 4)
    honest = ParkedEvent.fail

    def give_up(row: ParkedEvent, *given: Any) -> None:
        forget(recorder(), ParkedEvent.objects.filter(seq=2))
        honest(row, *given)

    monkeypatch.setattr(ParkedEvent, "fail", give_up)

    assert rerun(recorder(poison(2, 4)), ParkedEvent.objects.all(), clock()) == (0, 1)
    assert parked(tenant) == [4]


def test_a_parked_event_that_is_given_up_stays_in_the_log(tenant: Tenant, clock: Clock) -> None:
    read_past(tenant, clock, 2)

    assert forget(recorder(), ParkedEvent.objects.all()) == 1
    assert (parked(tenant), Event.objects.of(tenant).filter(seq=2).exists()) == ([], True)


def test_a_reader_that_is_sent_back_reads_everything_behind_that_place_again(
    tenant: Tenant, other_tenant: Tenant, clock: Clock
) -> None:
    for each in (tenant, other_tenant):
        read_past(each, clock, 2, 5)

    again = rewind(recorder(), tenant, 3, clock())
    while read_on(recorder(), clock()):
        pass

    # The one behind it is parked no more, since it comes by it again.
    assert (again, parked(tenant), seen(tenant)) == (3, [2], [1, 3, 4, 4, 5, 6, 6])
    assert (parked(other_tenant), seen(other_tenant)) == ([2, 5], [1, 3, 4, 6])


def test_a_reader_that_was_never_there_is_at_the_beginning(tenant: Tenant, clock: Clock) -> None:
    fill(tenant, 2, clock())

    assert rewind(recorder(), tenant, 0, clock()) == 0


@pytest.mark.parametrize(
    ("to", "words"), [(7, "recorder is at 6 in the log of shop"), (2, "begins at 4: go back to 3 at most")]
)
def test_a_reader_cannot_be_sent_ahead_nor_to_what_is_no_longer_there(
    tenant: Tenant, clock: Clock, to: int, words: str
) -> None:
    read_past(tenant, clock, 5)
    Event.objects.of(tenant).filter(seq__lt=4).delete()

    with pytest.raises(BadPlace, match=words):
        rewind(recorder(), tenant, to, clock())

    assert (ReaderPosition.objects.get(reader=NAME).seq, parked(tenant)) == (6, [5])


def test_in_an_emptied_log_there_is_nowhere_to_go_back_to(tenant: Tenant, clock: Clock) -> None:
    read_past(tenant, clock)
    Event.objects.of(tenant).delete()

    with pytest.raises(BadPlace, match="begins at 7"):
        rewind(recorder(), tenant, 5, clock())
    assert rewind(recorder(), tenant, 6, clock()) == 0


def test_a_reader_that_was_searching_for_an_event_begins_anew_when_it_is_sent_back(
    tenant: Tenant, clock: Clock
) -> None:
    fill(tenant, 4, clock())
    read_on(recorder(poison(3)), clock())
    before = ReaderPosition.objects.get()

    rewind(recorder(), tenant, 0, clock())

    after = ReaderPosition.objects.get()
    assert (before.seq, before.tries) == (2, 1)
    assert (after.seq, after.tries, after.suspect_until, after.retry_at) == (0, 0, None, None)


def test_standings_say_how_far_each_reader_is_in_each_log(
    tenant: Tenant, other_tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "READERS", (recorder(), recorder(name="new")))
    read_past(tenant, clock, 5)
    began = clock()
    fill(tenant, 3, began)

    (mine, new) = readers.standings([tenant])

    assert (mine.reader, mine.tenant, mine.position, mine.head) == (NAME, "shop", 6, 9)
    assert (mine.unread, mine.unread_since, mine.parked) == (3, began, 1)
    assert (new.reader, new.position, new.unread, new.parked) == ("new", 0, 9, 0)
    # A log that has not begun has nothing to be read.
    assert [each.tenant for each in readers.standings()] == ["shop", "shop"]


def test_a_name_that_no_reader_has_is_told_beside_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "READERS", (recorder(), recorder(name="other")))

    assert readers.find("other").name == "other"
    with pytest.raises(readers.NoSuchReader, match="no reader third"):
        readers.find("third")
