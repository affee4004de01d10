"""A mailing from its creation to its accounts: what may be done when, and what becomes of its messages."""

from datetime import timedelta

import pytest

from clarion.flows import audit, mailings
from clarion.flows.drafts import EndsBeforeStart, NoSuchAccount
from clarion.flows.mailings import AlreadyOver, AlreadyStarted
from clarion.lib.texts import BadText
from clarion.models import Mailing, Message, State, Tenant
from clarion.models.outgoing import RETRY, Reason
from tests.conftest import Clock
from tests.factories import make_customer, make_mailing, statuses
from tests.outbox.rounds import due_messages, enlist, in_flight

pytestmark = pytest.mark.django_db

SLICES = 3  # five messages are swept in three slices of two


@pytest.fixture
def sweeps_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailings, "SWEEP", 2)


def sweep(clock: Clock) -> int:
    """Sweep until nothing is left to sweep; return how many slices it took."""
    slices = 0
    while mailings.sweep_due(clock()):
        slices += 1
    return slices


def hold(mailing: Mailing) -> None:
    """Have every waiting message held, as the gate does while a mailing is paused."""
    rows = mailing.message_set.filter(state=State.WAITING)
    mailing.counts.filter(state=State.WAITING).update(reason=Reason.PAUSED)
    rows.update(reason=Reason.PAUSED, due_at=mailing.ends_at)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"ends_at": "starts_at"}, EndsBeforeStart),
        ({"ends_at": "before"}, EndsBeforeStart),
        ({"account": "nobody's"}, NoSuchAccount),
        ({"text": "Hello {{ tag"}, BadText),
        ({"text": "{% for n in (1..100000) %}{% endfor %}"}, BadText),
        ({"text": "Hello {{ nme }}"}, BadText),
    ],
)
def test_what_cannot_be_a_mailing_is_refused_and_nothing_is_stored(
    tenant: Tenant, clock: Clock, wrong: dict[str, object], error: type[Exception]
) -> None:
    moments = {"starts_at": clock(), "before": clock() - timedelta(seconds=1)}
    fields = {name: moments.get(str(value), value) for name, value in wrong.items()}

    with pytest.raises(error):
        make_mailing(tenant, now=clock(), **{"starts_at": clock(), **fields})

    assert not Mailing.objects.exists()


def test_it_starts_when_its_time_has_come_and_not_before(tenant: Tenant, clock: Clock) -> None:
    starts_at = clock() + timedelta(hours=1)
    mailing = make_mailing(tenant, now=clock(), starts_at=starts_at, ends_at=starts_at + timedelta(hours=1))

    early = mailings.start_due(starts_at - timedelta(microseconds=1))
    on_time = mailings.start_due(starts_at)
    again = mailings.start_due(starts_at)

    mailing.refresh_from_db()
    assert (early, on_time, again) == (0, 1, 0)
    assert (mailing.state, mailing.started_at) == (Mailing.RUNNING, starts_at)


def test_what_is_paused_before_its_start_starts_when_it_is_resumed(tenant: Tenant, clock: Clock) -> None:
    make_customer(tenant)
    mailing = make_mailing(tenant, now=clock())
    mailings.pause(mailing, now=clock())

    paused = mailings.start_due(clock())
    mailings.resume(mailing, now=clock())
    resumed = mailings.start_due(clock())
    mailings.materialise_due(clock())
    sweep(clock)

    assert (paused, resumed, statuses(mailing)) == (0, 1, {State.WAITING: 1})
    assert set(mailing.message_set.values_list("reason", "due_at")) == {("", clock())}
    assert audit.run(clock()) == []


@pytest.mark.parametrize("step", [mailings.cancel, mailings.delete])
def test_what_is_ended_before_its_start_never_starts(tenant: Tenant, clock: Clock, step: object) -> None:
    make_customer(tenant)
    mailing = make_mailing(tenant, now=clock())

    step(mailing, now=clock())  # type: ignore[operator]

    assert mailings.start_due(clock()) == mailings.materialise_due(clock()) == 0
    sweep(clock)
    assert (mailings.finish_due(clock()), statuses(mailing)) == (1, {})


def test_it_can_be_changed_until_it_starts(tenant: Tenant, clock: Clock) -> None:
    starts_at = clock() + timedelta(hours=1)
    mailing = make_mailing(tenant, now=clock(), starts_at=starts_at, ends_at=starts_at + timedelta(hours=1))

    mailings.change(mailing, {"text": "Another text"}, now=starts_at - timedelta(microseconds=1))
    # The worker has not come by yet, but the time has come: what it starts must be what was promised.
    with pytest.raises(AlreadyStarted):
        mailings.change(mailing, {"text": "Too late"}, now=starts_at)

    mailing.refresh_from_db()
    assert mailing.text == "Another text"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"text": "{{"}, BadText),
        ({"account": "nobody's"}, NoSuchAccount),
        ({"ends_at": None}, EndsBeforeStart),
    ],
)
def test_a_change_that_cannot_be_changes_nothing(
    tenant: Tenant, clock: Clock, changes: dict[str, object], error: type[Exception]
) -> None:
    starts_at = clock() + timedelta(hours=1)
    mailing = make_mailing(tenant, now=clock(), starts_at=starts_at, ends_at=starts_at + timedelta(hours=1))
    before = Mailing.objects.filter(pk=mailing.pk).values().get()

    with pytest.raises(error):
        mailings.change(mailing, {name: value or clock() for name, value in changes.items()}, now=clock())

    assert Mailing.objects.filter(pk=mailing.pk).values().get() == before


@pytest.mark.usefixtures("sweeps_of_two")
def test_resuming_sets_everything_free_that_was_held(tenant: Tenant, clock: Clock) -> None:
    mailing = due_messages(tenant, clock, 5)
    mailings.pause(mailing, now=clock())
    hold(mailing)
    clock.pass_by(minutes=10)

    mailings.resume(mailing, now=clock())

    assert sweep(clock) == SLICES
    assert set(mailing.message_set.values_list("state", "reason", "due_at")) == {(State.WAITING, "", clock())}
    assert audit.run(clock()) == []


def test_resuming_hurries_no_retry(tenant: Tenant, clock: Clock) -> None:
    mailing = due_messages(tenant, clock)
    later = clock() + timedelta(minutes=5)
    mailing.message_set.update(reason=Reason.RETRY, priority=RETRY, due_at=later)
    mailing.counts.update(reason=Reason.RETRY)
    mailings.pause(mailing, now=clock())

    mailings.resume(mailing, now=clock())
    sweep(clock)

    row = mailing.message_set.get()
    assert (row.reason, row.due_at) == (Reason.RETRY, later)


@pytest.mark.usefixtures("sweeps_of_two")
def test_pausing_again_stops_the_release_and_resuming_again_completes_it(
    tenant: Tenant, clock: Clock
) -> None:
    mailing = due_messages(tenant, clock, 5)
    mailings.pause(mailing, now=clock())
    hold(mailing)
    mailings.resume(mailing, now=clock())
    mailings.sweep_due(clock())

    mailings.pause(mailing, now=clock())
    sweep(clock)
    held = mailing.message_set.filter(reason=Reason.PAUSED).count()
    mailings.resume(mailing, now=clock())
    sweep(clock)

    assert (held, mailing.message_set.filter(reason=Reason.PAUSED).count()) == (3, 0)
    assert audit.run(clock()) == []


def test_pausing_and_resuming_twice_is_doing_it_once(tenant: Tenant, clock: Clock) -> None:
    mailing = due_messages(tenant, clock)
    first = mailings.pause(mailing, now=clock()).paused_at
    clock.pass_by(minutes=1)

    second = mailings.pause(mailing, now=clock()).paused_at
    resumed = [mailings.resume(mailing, now=clock()) for _ in range(2)]
    sweep(clock)

    assert first == second
    assert [each.paused_at for each in resumed] == [None, None]
    assert mailings.resume(mailing, now=clock()).sweep_cursor is None


@pytest.mark.usefixtures("sweeps_of_two")
@pytest.mark.parametrize("step", [mailings.cancel, mailings.delete])
def test_ending_it_cancels_what_waits_and_lets_end_what_is_under_way(
    tenant: Tenant, clock: Clock, step: object
) -> None:
    mailing, worker = due_messages(tenant, clock, 6), enlist(clock)
    in_flight(mailing, worker, clock)
    kept = mailing.message_set.first()
    assert kept is not None
    others = mailing.message_set.exclude(pk=kept.pk)
    mailing.counts.filter(state=State.SENDING).update(count=1)
    mailing.counts.filter(state=State.WAITING).update(count=5)
    others.update(state=State.WAITING, worker_id=None)

    step(mailing, now=clock())  # type: ignore[operator]
    slices = sweep(clock)

    assert (slices, statuses(mailing)) == (SLICES, {State.SENDING: 1, State.CANCELLED: 5})
    assert set(others.values_list("reason", "finished_at")) == {(Reason.MAILING_CANCELLED, clock())}
    assert mailings.finish_due(clock()) == 0
    assert audit.run(clock()) == []


def test_a_deleted_mailing_is_out_of_sight_and_its_messages_go_on_counting(
    tenant: Tenant, clock: Clock
) -> None:
    mailing = due_messages(tenant, clock, 2)

    mailings.delete(mailing, now=clock())
    sweep(clock)

    assert not Mailing.objects.of(tenant).alive().exists()
    assert mailing.counts.by_state() == [(State.CANCELLED, 2)]


@pytest.mark.usefixtures("sweeps_of_two")
def test_at_its_end_what_still_waits_expires(tenant: Tenant, clock: Clock) -> None:
    mailing = due_messages(tenant, clock, 5)
    before = mailings.close_due(mailing.ends_at - timedelta(microseconds=1))
    clock.now = mailing.ends_at

    closed = [mailings.close_due(clock()) for _ in range(2)]
    slices = sweep(clock)

    assert (before, closed, slices) == (0, [1, 0], SLICES)
    rows = set(mailing.message_set.values_list("state", "reason", "finished_at"))
    assert rows == {(State.EXPIRED, Reason.WINDOW_OVER, clock())}
    assert audit.run(clock()) == []


def test_a_paused_mailing_ends_at_its_end_too(tenant: Tenant, clock: Clock) -> None:
    mailing = due_messages(tenant, clock, 2)
    mailings.pause(mailing, now=clock())
    hold(mailing)
    clock.now = mailing.ends_at

    mailings.close_due(clock())
    sweep(clock)

    assert statuses(mailing) == {State.EXPIRED: 2}
    assert mailings.finish_due(clock()) == 1


def test_it_is_finished_once_and_only_when_nothing_is_under_way(tenant: Tenant, clock: Clock) -> None:
    mailing, worker = due_messages(tenant, clock), enlist(clock)
    waiting = mailings.finish_due(clock())
    in_flight(mailing, worker, clock)
    sending = mailings.finish_due(clock())
    mailing.message_set.update(state=State.ACCEPTED)
    mailing.counts.filter(count__gt=0).update(state=State.ACCEPTED)

    finished = [mailings.finish_due(clock()), mailings.finish_due(clock() + timedelta(days=1))]

    mailing.refresh_from_db()
    assert (waiting, sending, finished) == (0, 0, [1, 0])
    assert mailing.finished_at == clock()
    assert audit.run(clock()) == []


def test_what_is_over_can_only_be_deleted(tenant: Tenant, clock: Clock) -> None:
    mailing = due_messages(tenant, clock)
    Message.objects.update(state=State.ACCEPTED)
    mailing.counts.update(state=State.ACCEPTED)
    mailings.finish_due(clock())

    for step in (mailings.pause, mailings.resume, mailings.cancel):
        with pytest.raises(AlreadyOver):
            step(mailing, now=clock())
    mailings.delete(mailing, now=clock())

    assert sweep(clock) == 0
    assert statuses(mailing) == {State.ACCEPTED: 1}
