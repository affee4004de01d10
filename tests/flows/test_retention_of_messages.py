"""The messages of a mailing, its attempts and kept answers are dropped when their time is over; accounts stay right."""

from datetime import timedelta

import pytest
from django.test import Client

from clarion.flows import (
    audit,
    mailings,
    pruning,
    retention,
    traces,
)
from clarion.flows.retention import keep
from clarion.models import (
    Attempt,
    IdempotencyRecord,
    Mailing,
    MailingCount,
    Message,
    Tenant,
)
from clarion.outbox.cycle import Outbox
from tests.conftest import Clock
from tests.factories import make_mailing
from tests.outbox.rounds import due_messages, settle

pytestmark = pytest.mark.django_db

INSTANT = timedelta(microseconds=1)


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "batch", lambda: 4)


def attempt_of(message: Message, clock: Clock) -> Attempt:
    return Attempt.objects.create(
        tenant=message.tenant, message=message, number=1, ended_at=clock(), outcome="Throttled"
    )


def ended(tenant: Tenant, outbox: Outbox, clock: Clock, count: int) -> Mailing:
    """Return a finished mailing with so many messages, the first with an attempt."""
    mailing = due_messages(tenant, clock, count)
    settle(outbox, clock)
    mailings.finish_due(clock())
    if count:
        attempt_of(Message.objects.filter(mailing=mailing).order_by("pk")[0], clock)
    mailing.refresh_from_db()
    assert mailing.finished_at is not None
    return mailing


def test_the_messages_of_a_mailing_are_kept_from_its_end_on_and_then_go_with_their_attempts(
    tenant: Tenant, outbox: Outbox, clock: Clock
) -> None:
    keep(tenant, {"keep_messages_days": 10})
    old = ended(tenant, outbox, clock, 9)
    clock.pass_by(days=10)
    kept = retention.prune_messages(clock())
    young = ended(tenant, outbox, clock, 2)
    clock.now += INSTANT

    steps = 0
    while retention.prune_messages(clock()):
        steps += 1
        # Proved again after every batch.
        assert audit.run(clock()) == []

    old.refresh_from_db()
    assert (kept, steps) == (0, 3)
    assert (old.pruned, old.pruned_at, Message.objects.filter(mailing=old).count()) == (9, clock(), 0)
    assert sum(old.counts.values_list("count", flat=True)) == 9
    assert (young.message_set.count(), Attempt.objects.count()) == (2, 1)
    assert any("9 messages had served their time" in moment.what for moment in traces.of_mailing(old.pk))


def test_a_mailing_that_has_not_finished_keeps_its_messages(tenant: Tenant, clock: Clock) -> None:
    mailing = due_messages(tenant, clock, 2, ends_at=clock() + timedelta(days=1_000))
    clock.pass_by(days=900)

    assert retention.prune_messages(clock()) == 0
    assert mailing.message_set.count() == 2


def test_a_mailing_without_messages_is_looked_at_once(tenant: Tenant, clock: Clock) -> None:
    mailing = make_mailing(tenant, now=clock())
    mailings.start_due(clock())
    mailings.materialise_due(clock())
    mailings.finish_due(clock())
    clock.pass_by(days=401)

    assert [retention.prune_messages(clock()) for _ in range(2)] == [1, 0]
    mailing.refresh_from_db()
    assert (mailing.pruned, audit.run(clock())) == (0, [])


@pytest.mark.parametrize("damage", ["a row is gone", "a count is wrong"])
def test_the_audit_sees_what_does_not_add_up_in_a_pruned_mailing(
    tenant: Tenant, outbox: Outbox, clock: Clock, damage: str
) -> None:
    mailing = ended(tenant, outbox, clock, 9)
    clock.pass_by(days=401)
    retention.prune_messages(clock())
    if damage == "a row is gone":
        Message.objects.filter(pk=mailing.message_set.order_by("-pk")[0].pk).delete()
    else:
        MailingCount.objects.filter(mailing=mailing).update(count=10)

    (finding,) = audit.run(clock())

    assert (finding.kind, finding.rows) == ("pruned", (mailing.pk,))


def test_attempts_are_kept_for_their_days(tenant: Tenant, other_tenant: Tenant, clock: Clock) -> None:
    keep(other_tenant, {"keep_attempts_days": 0})
    for each in (tenant, other_tenant):
        mailing = due_messages(each, clock, 6)
        for message in mailing.message_set.all():
            attempt_of(message, clock)
    clock.pass_by(days=90)
    kept = retention.prune_attempts(clock())
    clock.now += INSTANT

    dropped = [retention.prune_attempts(clock()) for _ in range(3)]

    assert (kept, dropped) == (0, [4, 2, 0])
    assert (Attempt.objects.of(tenant).count(), Attempt.objects.of(other_tenant).count()) == (0, 6)


def test_answers_are_given_again_for_as_long_as_the_tenant_wants(
    tenant: Tenant, other_tenant: Tenant, clock: Clock
) -> None:
    keep(other_tenant, {"keep_answers_hours": 48})
    for each in (tenant, other_tenant):
        IdempotencyRecord.objects.create(
            tenant=each, digest="d", fingerprint="", status=201, body=b"{}", created_at=clock()
        )
    dropped = []
    for hours in (25, 24):
        clock.pass_by(hours=hours)
        dropped.append(pruning.prune_due(clock()))

    assert dropped == [1, 1]


def test_the_api_says_that_messages_have_served_their_time_and_gives_their_counts(
    tenant: Tenant, outbox: Outbox, api: Client, clock: Clock
) -> None:
    mailing = ended(tenant, outbox, clock, 3)
    before = api.get(f"/api/v1/mailings/{mailing.pk}/report").json()
    clock.pass_by(days=401)
    retention.prune_messages(clock())

    listed = api.get(f"/api/v1/mailings/{mailing.pk}/messages")
    after = api.get(f"/api/v1/mailings/{mailing.pk}/report").json()

    assert (listed.status_code, listed.json()["code"]) == (410, "messages_gone")
    assert {**before, "dropped": 3} == after
    assert api.get("/api/v1/messages").json()["data"] == []
    assert api.get(f"/api/v1/mailings/{mailing.pk}").json()["message_data"] == [
        {"status": "SENT", "count": 3}
    ]


@pytest.mark.parametrize(
    ("what", "amount"), [("keep_events_days", 36_501), ("keep_answers_hours", 23), ("keep_answers_hours", 0)]
)
def test_what_cannot_be_kept_so_long_or_so_shortly_is_refused(tenant: Tenant, what: str, amount: int) -> None:
    with pytest.raises(retention.BadRetention):
        keep(tenant, {"keep_messages_days": 1, what: amount})

    tenant.refresh_from_db()
    assert tenant.keep_messages_days is None
