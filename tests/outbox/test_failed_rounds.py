"""A round whose transaction fails: nothing of it stays, and its answers are not lost."""

from collections.abc import Callable, Iterator

import pytest
from django.db import DatabaseError, connection

from clarion.flows import audit
from clarion.models import Attempt, GatewayAccount, Mailing, State, Tenant
from clarion.outbox.cycle import Outbox
from clarion.sandbox import RunningSender
from tests.conftest import Clock
from tests.factories import statuses
from tests.outbox.rounds import due_messages, settle, until_landed

# The database itself refuses to keep an attempt.
NO_ATTEMPTS = {
    "sqlite": [
        "CREATE TRIGGER no_attempts BEFORE INSERT ON clarion_attempt "
        "BEGIN SELECT RAISE(ABORT, 'on purpose'); END"
    ],
    "postgresql": [
        "CREATE FUNCTION no_attempts() RETURNS trigger LANGUAGE plpgsql "
        "AS $$ BEGIN RAISE EXCEPTION 'on purpose'; END $$",
        "CREATE TRIGGER no_attempts BEFORE INSERT ON clarion_attempt EXECUTE FUNCTION no_attempts()",
    ],
    "mysql": [
        "CREATE TRIGGER no_attempts BEFORE INSERT ON clarion_attempt "
        "FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'on purpose'"
    ],
}
ATTEMPTS_AGAIN = {
    "sqlite": "DROP TRIGGER no_attempts",
    "postgresql": "DROP FUNCTION no_attempts CASCADE",
    "mysql": "DROP TRIGGER no_attempts",
}


def tell(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture
def broken_database(transactional_db: None) -> Iterator[Callable[[], None]]:
    """A database that refuses attempts until the function that this returns is called."""
    tell(*NO_ATTEMPTS[connection.vendor])
    is_broken = True

    def mend() -> None:
        nonlocal is_broken
        tell(ATTEMPTS_AGAIN[connection.vendor])
        is_broken = False

    yield mend
    if is_broken:
        mend()


@pytest.mark.django_db(transaction=True)
def test_a_round_that_fails_changes_nothing_and_its_answers_are_recorded_by_the_next(
    broken_database: Callable[[], None],
    tenant: Tenant,
    probe: GatewayAccount,
    sender: RunningSender,
    clock: Clock,
    open_outbox: Callable[..., Outbox],
) -> None:
    sender.switch("refuses", requests=1)
    mailing, outbox = due_messages(tenant, clock, 3), open_outbox(slots=8)
    outbox.cycle(now=clock())
    until_landed(outbox, 2)
    before = everything(mailing)

    for _ in range(2):
        with pytest.raises(DatabaseError, match="on purpose"):
            outbox.cycle(now=clock())

    assert everything(mailing) == before
    assert not outbox.is_empty

    broken_database()
    settle(outbox, clock)

    assert statuses(mailing) == {State.ACCEPTED: 2, State.WAITING: 1}
    assert list(Attempt.objects.values_list("outcome", "is_late")) == [("not_sent", False)]
    assert set(sender.accepted().values()) == {1}
    assert audit.run(clock()) == []


def everything(mailing: Mailing) -> list[object]:
    return [*mailing.message_set.order_by("pk").values(), *mailing.counts.order_by("pk").values()]
