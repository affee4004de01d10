"""Which workers live, as whoever needs one may ask."""

import pytest

from clarion.models import Worker
from clarion.outbox import claims
from tests.conftest import Clock
from tests.outbox.rounds import enlist

pytestmark = pytest.mark.django_db


def test_a_worker_lives_while_its_lease_does(clock: Clock) -> None:
    alive, lapsed, ahead, ended = (enlist(clock) for _ in range(4))
    Worker.objects.filter(pk=lapsed.pk).update(lease_until=claims.lease_clock() - 1)
    Worker.objects.filter(pk=ahead.pk).update(lease_until=claims.lease_clock() + 10_000)
    Worker.objects.filter(pk=ended.pk).update(ended_at=clock())

    assert [worker.pk for worker in claims.living()] == [alive.pk]
