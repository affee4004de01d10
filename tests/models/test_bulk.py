"""Many rows in one statement: what is written is what is read, on every database, and nothing is cut in silence."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from django.db import DataError, connection, transaction

from clarion.models import Customer, GatewayAccount, Lane, MailingCount, Message, Tenant, Worker
from clarion.models.bulk import add_to_counts, insert_rows, update_rows
from tests.conftest import Clock
from tests.factories import make_mailing
from tests.outbox.rounds import due_messages, enlist

pytestmark = pytest.mark.django_db

MOMENT = datetime(2029, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
TEXTS = [
    "",
    "null",
    "NULL",
    "true",
    "12",
    '"quoted"',
    "it's",
    "back\\slash \\n \\u0041 \\\\",
    "line\nline\r\n\ttab",
    "\x01\x1f\x7f\x85\u2028",
    "100 % of %s and %(name)s",
    '{"a": [1, null]}',
    "[]",
    "$[0] $1 ?1 :name {{ tag }}",
    "trailing blank ",
    " leading",
    "ПРИВЕТ",
    "👩‍👩‍👧‍👦 🇩🇪 \U0010ffff",
    "e\u0301 is not é",
    "x" * 70_000,
    "👩" * 20_000,
]
NUMBERS = [0, 1, 32_767]


def written(model: type[Any], columns: list[str], rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Write these rows in one call and return what is then read of them, in the same order."""
    update_rows(model, columns, rows)
    found = {row[0]: row for row in model.objects.values_list("pk", *columns)}
    return [found[row[0]] for row in rows]


def ids(tenant: Tenant, clock: Clock, count: int) -> list[int]:
    mailing = due_messages(tenant, clock)
    first = mailing.message_set.get()
    fresh = [
        Message(
            tenant=tenant,
            lane_id=first.lane_id,
            mailing=mailing,
            customer_id=number,
            state=first.state,
            due_at=clock(),
            deadline_at=clock(),
            created_at=clock(),
        )
        for number in range(10**6, 10**6 + count - 1)
    ]
    Message.objects.bulk_create(fresh, batch_size=500)
    return list(Message.objects.order_by("pk").values_list("pk", flat=True))


@pytest.mark.parametrize("count", [1, 1_000])
def test_every_column_of_what_leaves_is_read_as_it_was_written(
    tenant: Tenant, clock: Clock, count: int
) -> None:
    columns = [
        *("state", "reason", "priority", "due_at", "deadline_at", "worker_id", "tries", "counted_tries"),
        *("worker_deaths", "provider_id", "code", "sending_at", "finished_at", "address", "text"),
    ]
    rows = [
        (
            *(pk, "sending", "retry", 1, MOMENT, MOMENT - timedelta(microseconds=number), 2**62 + number),
            *(number, 11, 2, f"id {number}", f"'{number}\\", MOMENT, None, f"7000000{number:04}", "👩" * 9),
        )
        for number, pk in enumerate(ids(tenant, clock, count))
    ]

    assert len(rows) == count
    assert written(Message, columns, rows) == rows


def test_every_text_is_read_as_it_was_written(tenant: Tenant, clock: Clock) -> None:
    rows = list(zip(ids(tenant, clock, len(TEXTS)), TEXTS, strict=True))

    assert written(Message, ["text"], rows) == rows


def test_every_short_text_is_read_as_it_was_written(tenant: Tenant, clock: Clock) -> None:
    short = [text[:255] for text in TEXTS]
    rows = list(zip(ids(tenant, clock, len(short)), short, strict=True))

    assert written(Message, ["provider_id"], rows) == rows


# No address stands twice in a mailing, not even while a statement runs.
@pytest.mark.parametrize(
    ("column", "value", "another"),
    [
        *(("worker_id", 7, 8), ("address", "x", "y")),
        *(("finished_at", MOMENT, MOMENT), ("sending_at", MOMENT, MOMENT)),
    ],
)
def test_nothing_can_be_written_over_something(
    tenant: Tenant, clock: Clock, column: str, value: Any, another: Any
) -> None:
    one, other = ids(tenant, clock, 2)
    written(Message, [column], [(one, value)])

    rows = [(one, None), (other, another)]
    assert written(Message, [column], rows) == rows


def test_a_moment_is_the_same_in_whatever_zone_it_is_said(tenant: Tenant, clock: Clock) -> None:
    elsewhere = MOMENT.astimezone(timezone(timedelta(hours=5, minutes=45)))
    one, other = ids(tenant, clock, 2)

    assert written(Message, ["due_at"], [(one, elsewhere), (other, MOMENT)]) == [
        (one, MOMENT),
        (other, MOMENT),
    ]


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_are_read_as_they_were_written(tenant: Tenant, clock: Clock, number: int) -> None:
    (pk,) = ids(tenant, clock, 1)

    assert written(Message, ["priority", "tries"], [(pk, number, number)]) == [(pk, number, number)]


def test_fractions_and_truths_are_read_as_they_were_written(tenant: Tenant, clock: Clock) -> None:
    worker, account = enlist(clock), GatewayAccount.objects.of(tenant).filter(is_test=False).get()

    assert written(Worker, ["lease_until"], [(worker.pk, 1.25e9)]) == [(worker.pk, 1.25e9)]
    assert written(GatewayAccount, ["is_test"], [(account.pk, True)]) == [(account.pk, True)]
    assert written(GatewayAccount, ["is_test"], [(account.pk, False)]) == [(account.pk, False)]


def test_rows_that_are_not_named_stay_as_they_are(tenant: Tenant, clock: Clock) -> None:
    named, other = ids(tenant, clock, 2)
    before = Message.objects.filter(pk=other).values().get()

    update_rows(Message, ["text", "tries"], [(named, "new", 5), (named + 10**9, "nobody", 5)])

    assert Message.objects.filter(pk=other).values().get() == before


@pytest.mark.parametrize(("column", "longest"), [("code", 64), ("reason", 40), ("address", 255)])
def test_what_is_too_long_is_refused_and_never_cut(
    tenant: Tenant, clock: Clock, column: str, longest: int
) -> None:
    (pk,) = ids(tenant, clock, 1)

    if connection.vendor == "sqlite":
        pytest.skip("SQLite knows no longest text")

    assert written(Message, [column], [(pk, "é" * longest)]) == [(pk, "é" * longest)]
    with pytest.raises(DataError), transaction.atomic():
        update_rows(Message, [column], [(pk, "é" * (longest + 1))])
    assert Message.objects.filter(pk=pk).values_list(column, flat=True).get() == "é" * longest


def test_many_rows_are_one_statement(
    tenant: Tenant, clock: Clock, django_assert_num_queries: Callable[[int], Any]
) -> None:
    rows = [(pk, "text") for pk in ids(tenant, clock, 500)]

    with django_assert_num_queries(1):
        update_rows(Message, ["text"], rows)


KEY = ("mailing_id", "state", "reason", "tenant_id")


def test_a_counter_is_made_when_it_is_missing_and_moved_when_it_is_there(
    tenant: Tenant, clock: Clock, django_assert_num_queries: Callable[[int], Any]
) -> None:
    mailing, other = make_mailing(tenant, now=clock()), make_mailing(tenant, now=clock())
    rows = [(mailing.pk, "waiting", "", tenant.pk, 5), (other.pk, "waiting", "", tenant.pk, 7)]

    with django_assert_num_queries(2):
        add_to_counts(MailingCount, KEY, rows)
        add_to_counts(
            MailingCount,
            KEY,
            [
                (mailing.pk, "waiting", "", tenant.pk, -3),
                (mailing.pk, "waiting", "retry", tenant.pk, 2),
                (mailing.pk, "sending", "", tenant.pk, 1),
            ],
        )

    found = set(MailingCount.objects.values_list("mailing_id", "state", "reason", "count"))
    assert found == {
        (mailing.pk, "waiting", "", 2),
        (mailing.pk, "waiting", "retry", 2),
        (mailing.pk, "sending", "", 1),
        (other.pk, "waiting", "", 7),
    }


def test_columns_of_a_lane_can_be_emptied(db: None) -> None:
    lane = Lane.objects.create(closed_until=MOMENT, closed_because="refused")

    assert written(Lane, ["closed_until", "closed_because"], [(lane.pk, None, "")]) == [(lane.pk, None, "")]


INSERTED = (
    "tenant",
    "phone",
    "operator_code",
    "operator_key",
    "tag",
    "tag_key",
    "timezone",
    "zone",
    "attributes",
)
INSERTED += ("facts", "created_at")


def inserted(tenant: Tenant, *tags: str | None) -> list[Any]:
    rows = [(tenant.pk, "7", "9", "9", tag, "", "", "", json.dumps({"a": tag}), "{}", MOMENT) for tag in tags]
    insert_rows(Customer, INSERTED, rows)
    return list(Customer.objects.order_by("id").values_list("tag", "attributes", "external_id", "created_at"))


def test_made_rows_hold_what_they_were_given_in_the_order_of_their_ids(tenant: Tenant) -> None:
    tags = [None, *(text for text in TEXTS if len(text) <= 255)]

    assert inserted(tenant, *tags) == [(tag, {"a": tag}, None, MOMENT) for tag in tags]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 63, 64, 65, 127, 200])
def test_however_many_rows_are_made_none_is_missing_and_the_order_stays(tenant: Tenant, count: int) -> None:
    tags = [str(n) for n in range(count)]

    assert [row[0] for row in inserted(tenant, *tags)] == tags


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has no lengths")
def test_a_row_that_does_not_fit_is_no_row_and_none_is_cut(tenant: Tenant) -> None:
    with pytest.raises(DataError), transaction.atomic():
        inserted(tenant, "fits", "x" * 256)

    assert not Customer.objects.exists()
