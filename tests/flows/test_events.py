"""The log of events: numbers without a gap whoever writes at once, each id once, and what a batch merges."""

import json
import re
import threading
from collections.abc import Callable
from datetime import UTC
from typing import Any

import msgspec
import pytest
from django.db import connection, transaction

from clarion.flows import event_forms, events
from clarion.flows.event_forms import LARGEST_EVENT, BadEvent, entity_event
from clarion.flows.events import CONFLICT, KNOWN, STORED, Arrival
from clarion.models import Event, EventHead, Tenant, appending
from tests.conftest import Clock

WRITERS, BATCHES = 6, 25


def arrival(tenant: Tenant, **members: Any) -> Arrival:
    return Arrival(tenant, entity_event({"event_type": "PRODUCT", **members}, UTC))


def kinds(batch: list[Arrival], clock: Clock) -> list[str]:
    return [outcome.kind for outcome in events.append(batch, clock())]


def numbers(tenant: Tenant) -> list[int]:
    return list(Event.objects.of(tenant).order_by("seq").values_list("seq", flat=True))


@pytest.mark.django_db
def test_numbers_go_on_from_one_in_the_order_of_a_batch(tenant: Tenant, clock: Clock) -> None:
    first = events.append([arrival(tenant, id=n) for n in "cab"], clock())
    second = events.append([arrival(tenant, id=n) for n in "fed"], clock())

    assert [outcome.seq for outcome in first + second] == [1, 2, 3, 4, 5, 6]
    assert EventHead.objects.of(tenant).get().seq == 6


@pytest.mark.django_db
def test_known_ids_take_no_number(tenant: Tenant, clock: Clock) -> None:
    events.append([arrival(tenant, id="b")], clock())

    outcomes = events.append([arrival(tenant, id=n) for n in "abc"] + [arrival(tenant, id="b", n=1)], clock())

    assert [outcome.kind for outcome in outcomes] == [STORED, KNOWN, STORED, CONFLICT]
    assert [outcome.seq for outcome in outcomes] == [2, 1, 3, 1]
    assert numbers(tenant) == [1, 2, 3]


@pytest.mark.django_db
def test_an_id_is_the_same_as_a_number_and_as_a_text(tenant: Tenant, clock: Clock) -> None:
    def about(ref: object, other: object) -> Arrival:
        payload = {"entity_id": ref, "key_attributes": {"customer_id": ref, "size": other}}
        return arrival(tenant, id="a", entity_id=ref, event_payload=payload)

    batch = [about(1112, 5), about("1112", 5), about("1112", "5"), about("1113", 5)]

    assert kinds(batch, clock) == [STORED, KNOWN, CONFLICT, CONFLICT]


@pytest.mark.django_db
def test_a_batch_of_only_known_ids_changes_nothing(tenant: Tenant, clock: Clock) -> None:
    batch = [arrival(tenant, id="a"), arrival(tenant, id="a")]

    assert kinds(batch, clock) == [STORED, KNOWN]
    assert kinds(batch, clock) == [KNOWN, KNOWN]
    assert events.append([], clock()) == []
    assert EventHead.objects.of(tenant).get().seq == 1


@pytest.mark.django_db
def test_ids_differ_in_case_and_blanks(tenant: Tenant, clock: Clock) -> None:
    assert kinds([arrival(tenant, id=each) for each in ("a", "A", "a ", "á")], clock) == [STORED] * 4


@pytest.mark.django_db
def test_one_batch_serves_many_tenants(tenant: Tenant, other_tenant: Tenant, clock: Clock) -> None:
    batch = [arrival(each, id=n) for n in range(3) for each in (tenant, other_tenant)]

    assert kinds(batch, clock) == [STORED] * 6
    assert numbers(tenant) == numbers(other_tenant) == [1, 2, 3]


@pytest.mark.django_db
def test_a_made_id_that_is_taken_is_made_anew(
    tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = iter([1, 2, 2, 1, 3, 4])
    monkeypatch.setattr(event_forms._ids, "getrandbits", lambda size: next(made))
    events.append([arrival(tenant)], clock())

    outcomes = events.append([arrival(tenant, n=1), arrival(tenant, n=2), arrival(tenant, n=3)], clock())

    assert [outcome.kind for outcome in outcomes] == [STORED] * 3
    assert len({json.loads(outcome.body)["id"] for outcome in outcomes}) == 3
    assert numbers(tenant) == [1, 2, 3, 4]


@pytest.mark.django_db
def test_what_is_rolled_back_gives_its_numbers_back(tenant: Tenant, clock: Clock) -> None:
    with transaction.atomic():
        events.append([arrival(tenant)], clock())
        transaction.set_rollback(True)

    assert events.append([arrival(tenant)], clock())[0].seq == 1


@pytest.mark.django_db
def test_a_batch_too_long_for_one_statement_is_still_one(
    tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appending, "MOST_ROWS", 3)
    monkeypatch.setattr(appending, "MOST_BYTES", 500)
    batch = [arrival(tenant, id=n, text="x" * (400 if n == 4 else 1)) for n in range(10)]

    assert [outcome.seq for outcome in events.append(batch, clock())] == list(range(1, 11))


@pytest.mark.django_db
@pytest.mark.parametrize("sign", ["😀", '"', "\\", "'", "\x01", "ΐ"], ids=ascii)
def test_large_events_go_in_statements_that_every_server_takes(
    tenant: Tenant, clock: Clock, sign: str
) -> None:
    # MariaDB as it ships breaks the connection above 16 MiB.
    size = (LARGEST_EVENT - 1_000) // len(json.dumps(sign, ensure_ascii=sign < " ").encode()[1:-1])
    keys = {"text": sign * size}
    batch = [arrival(tenant, id=n, event_payload={"key_attributes": keys}) for n in range(3)]

    assert kinds(batch, clock) == [STORED] * 3
    assert json.loads(Event.objects.get(seq=3).body) == batch[2].draft.document


def test_a_row_is_never_longer_on_the_wire_than_it_is_weighed() -> None:
    for text in ("plain", '{"a": "b"}', "\"\\'", "😀ß\x01\n", json.dumps({"a": '\\"\n\x01'}), "\x7f\u2028"):
        document = msgspec.json.encode([[text, 5]]).decode()
        # As the driver writes it.
        written = re.sub(r"(['\"\\\n\r\x00\x1a])", r"\\\1", document).encode()
        # Without what stands around it.
        assert len(written) - len(rb"[[\"\",5]]") <= appending.on_the_wire((text,)) - appending.on_the_wire(
            ()
        )


def test_an_event_is_as_long_as_its_bytes() -> None:
    sent = {"event_type": "PRODUCT", "id": 1, "text": "ж" * (LARGEST_EVENT // 2 - 30)}

    assert len(entity_event(sent, UTC).body.encode()) <= LARGEST_EVENT
    with pytest.raises(BadEvent):
        entity_event({**sent, "text": str(sent["text"]) + "ж" * 30}, UTC)


@pytest.mark.django_db
def test_every_column_is_kept(tenant: Tenant, clock: Clock) -> None:
    keys = {"Color": "Red", "size": 41, "is": True, "none": None, "list": []}
    payload = {"operation": "READ", "key_attributes": keys, "base64_encoded_fault_json": "eyJhIjogMX0="}
    sent = arrival(
        tenant, id="Ж", entity_id=5, entity_name="Straße", event_source="SYSTEM", event_payload=payload
    )

    events.append([sent], clock())

    row = Event.objects.get()
    assert (row.event_id, row.kind, row.entity_id, row.entity_name) == ("Ж", "PRODUCT", "5", "strasse")
    assert (row.source, row.operation, row.is_flawed, row.is_test) == ("SYSTEM", "READ", False, False)
    assert (row.received_at, row.happened_at, row.customer_ref) == (clock(), clock(), None)
    assert row.facts == {"Color": "t:red", "size": "t:41", "is": "t:true"}


def at_once(work: Callable[[int], None], count: int) -> None:
    """Run it in so many threads, each with a connection of its own; an error of any is raised."""
    errors: list[BaseException] = []
    begin = threading.Barrier(count)

    def run(number: int) -> None:
        try:
            begin.wait()
            work(number)
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_writers_at_once_leave_no_gap_and_store_each_id_once(
    tenant: Tenant, other_tenant: Tenant, clock: Clock
) -> None:
    """Their ids overlap, so that every way through the recipe is taken; the logs begin with all of them at once."""
    seen: list[tuple[int, str, int]] = []

    def write(number: int) -> None:
        for batch in range(BATCHES):
            mine = [arrival(tenant, id=(batch * 7 + number * 3 + n) % 120) for n in range(5)]
            mine += [arrival(other_tenant, id=f"{number}-{batch}")]
            for sent, outcome in zip(mine, events.append(mine, clock()), strict=True):
                seen.append((sent.tenant.pk, sent.draft.event_id, outcome.seq))

    at_once(write, WRITERS)

    for each in (tenant, other_tenant):
        stored = dict(Event.objects.of(each).values_list("event_id", "seq"))
        assert sorted(stored.values()) == list(range(1, len(stored) + 1))
        assert EventHead.objects.of(each).get().seq == len(stored)
        assert {(event_id, seq) for owner, event_id, seq in seen if owner == each.pk} == set(stored.items())
    assert len(numbers(other_tenant)) == WRITERS * BATCHES


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_reader_beside_writers_sees_every_number_once_and_in_order(tenant: Tenant, clock: Clock) -> None:
    total = WRITERS * BATCHES
    seen: list[int] = []

    def work(number: int) -> None:
        if number == WRITERS:
            while len(seen) < total:
                after = seen[-1] if seen else 0
                seen.extend(events.read_log(tenant, after).values_list("seq", flat=True))
            return
        for batch in range(BATCHES):
            events.append([arrival(tenant, id=f"{number}-{batch}")], clock())

    at_once(work, WRITERS + 1)

    assert seen == list(range(1, total + 1))


@pytest.mark.django_db(transaction=True)
def test_a_hundred_equal_events_at_once_are_one(tenant: Tenant, clock: Clock) -> None:
    found: list[tuple[str, int]] = []

    def write(number: int) -> None:
        for _ in range(10):
            (outcome,) = events.append([arrival(tenant, id="same")], clock())
            found.append((outcome.kind, outcome.seq))

    at_once(write, 10)

    assert sorted(found) == [(KNOWN, 1)] * 99 + [(STORED, 1)]
