"""What has served its time is forgotten in small batches; what has not is kept."""

from datetime import datetime, timedelta

import pytest

from clarion.flows import exports, pruning
from clarion.models import Export, FilePart, IdempotencyRecord, Import, Refusal, StoredFile, Tenant, Worker
from tests.conftest import Clock
from tests.flows.files import read, send
from tests.outbox.rounds import enlist

pytestmark = pytest.mark.django_db

INSTANT = timedelta(microseconds=1)


def keep_answer(tenant: Tenant, digest: str, created_at: datetime) -> None:
    IdempotencyRecord.objects.create(
        tenant=tenant, digest=digest, fingerprint="", status=201, body=b"{}", created_at=created_at
    )


def end_worker(clock: Clock, ended_at: datetime | None) -> int:
    worker = enlist(clock)
    Worker.objects.filter(pk=worker.pk).update(ended_at=ended_at)
    return worker.pk


def test_answers_are_kept_for_24_hours(tenant: Tenant, clock: Clock) -> None:
    day_ago = clock() - timedelta(hours=24)
    keep_answer(tenant, "kept", day_ago)
    keep_answer(tenant, "dropped", day_ago - INSTANT)

    dropped = pruning.prune_due(clock())

    assert dropped == 1
    assert list(IdempotencyRecord.objects.values_list("digest", flat=True)) == ["kept"]


def test_workers_are_named_for_a_week_after_their_end(db: None, clock: Clock) -> None:
    week_ago = clock() - timedelta(days=7)
    kept = {end_worker(clock, None), end_worker(clock, clock()), end_worker(clock, week_ago)}
    end_worker(clock, week_ago - INSTANT)

    dropped = pruning.prune_due(clock())

    assert dropped == 1
    assert set(Worker.objects.values_list("pk", flat=True)) == kept


def test_one_round_drops_one_batch_the_oldest_first(
    tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "BATCH", 2)
    for number in range(5):
        keep_answer(tenant, f"{number}", clock() - timedelta(days=10 - number))

    rounds = [pruning.prune_due(clock())]
    left = set(IdempotencyRecord.objects.values_list("digest", flat=True))
    rounds += [pruning.prune_due(clock()) for _ in range(3)]

    assert (rounds, left) == ([2, 2, 1, 0], {"2", "3", "4"})


def test_a_file_and_its_refused_rows_are_kept_for_a_week_and_its_accounts_for_ever(
    tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "BATCH", 2)
    monkeypatch.setattr(pruning, "PARTS", 2)
    row = read(tenant, "phone\n" + "8000\n" * 3, now=clock())
    assert row.file is not None
    for _ in range(4):
        row.file.append(b"x")
    exports.create(tenant, exports.Wanted("csv"), now=clock())
    while exports.run_due(clock()):
        pass
    clock.pass_by(days=7)
    kept = pruning.prune_due(clock())
    clock.pass_by(seconds=1)

    dropped = [pruning.prune_due(clock()) > 0 for _ in range(12)]

    # Three refusals and five parts, two at a time, and the file; the other's part and the other.
    assert (kept, dropped.count(True)) == (0, 2 + 3 + 1 + 2)
    assert not any(model.objects.exists() for model in (StoredFile, FilePart, Refusal))
    assert (Import.objects.get().file, Import.objects.get().refused) == (None, 3)
    assert (Export.objects.get().file, Export.objects.get().state) == (None, Export.DONE)


def test_what_an_upload_left_that_broke_off_is_dropped_after_a_day(tenant: Tenant, clock: Clock) -> None:
    left = StoredFile.objects.create(tenant=tenant, name="", media_type="", created_at=clock())
    left.append(b"phone")
    waiting = send(tenant, "phone\n", now=clock())
    asked = exports.create(tenant, exports.Wanted("csv"), now=clock())
    clock.pass_by(days=1, seconds=1)

    while pruning.prune_due(clock()):
        pass

    # Waiting for a worker is no breaking off.
    assert set(StoredFile.objects.values_list("pk", flat=True)) == {waiting.file_id, asked.file_id}
