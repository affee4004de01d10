"""From an audience to messages: who is in, each address once, every slice whole or not at all."""

from datetime import timedelta

import pytest
from django.db import transaction

from clarion.flows import audit, mailings
from clarion.models import Customer, Mailing, Message, State, Tenant, materialising
from clarion.models.outgoing import Reason
from tests.conftest import Clock
from tests.factories import make_customer, make_mailing, statuses

pytestmark = pytest.mark.django_db


@pytest.fixture
def slices_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """So small that five customers are three slices."""
    monkeypatch.setattr(materialising, "SLICE", {})
    monkeypatch.setattr(materialising, "SERVER_SLICE", 2)


def begin(tenant: Tenant, clock: Clock, **fields: object) -> Mailing:
    mailing = make_mailing(tenant, now=clock(), **fields)
    mailings.start_due(clock())
    return mailing


def materialise(mailing: Mailing, clock: Clock) -> int:
    """Materialise to the end; return how many slices it took."""
    slices = 0
    while mailings.materialise_due(clock()):
        slices += 1
    mailing.refresh_from_db()
    return slices


def reached(mailing: Mailing) -> set[int]:
    return set(mailing.message_set.values_list("customer_id", flat=True))


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, {"a", "b", "c", "d"}),
        ({"tag_filter": "VIP"}, {"a", "b"}),
        ({"tag_filter": "vip"}, {"a", "b"}),
        ({"operator_code_filter": "900"}, {"a", "c"}),
        ({"operator_code_filter": "900", "tag_filter": "vIp"}, {"a"}),
        ({"tag_filter": "straße"}, {"d"}),
        ({"tag_filter": "STRASSE"}, {"d"}),
        ({"tag_filter": "nobody"}, set()),
        ({"tag_filter": "V%"}, set()),
    ],
)
def test_the_audience_is_who_matches_every_filter(
    tenant: Tenant,
    other_tenant: Tenant,
    clock: Clock,
    filters: dict[str, str],
    expected: set[str],
) -> None:
    people = {
        "a": make_customer(tenant, operator_code="900", tag="VIP"),
        "b": make_customer(tenant, operator_code="901", tag="vip"),
        "c": make_customer(tenant, operator_code="900", tag=None),
        "d": make_customer(tenant, operator_code="902", tag="Straße"),
    }
    make_customer(other_tenant, operator_code="900", tag="VIP")

    mailing = begin(tenant, clock, **filters)
    materialise(mailing, clock)

    assert reached(mailing) == {people[name].pk for name in expected}
    assert audit.run(clock()) == []


def test_a_fresh_message_is_due_at_once_and_until_the_end_of_the_window(tenant: Tenant, clock: Clock) -> None:
    customer = make_customer(tenant)

    mailing = begin(tenant, clock)
    materialise(mailing, clock)

    row = mailing.message_set.get()
    assert (row.tenant_id, row.customer_id, row.address) == (tenant.pk, customer.pk, customer.phone)
    assert (row.state, row.reason, row.tries, row.text) == (State.WAITING, "", 0, "")
    assert (row.due_at, row.deadline_at, row.created_at) == (clock(), mailing.ends_at, clock())
    assert (row.lane_id, row.finished_at) == (mailing.account.lane_id, None)


def test_of_customers_with_one_address_the_first_gets_the_message(tenant: Tenant, clock: Clock) -> None:
    first, second, third = (make_customer(tenant, phone="70000008001") for _ in range(3))

    mailing = begin(tenant, clock)
    materialise(mailing, clock)

    rows = mailing.message_set.order_by("pk").values_list("customer_id", "state", "reason", "address")
    assert list(rows) == [
        (first.pk, State.WAITING, "", "70000008001"),
        (second.pk, State.SKIPPED, Reason.SAME_ADDRESS, None),
        (third.pk, State.SKIPPED, Reason.SAME_ADDRESS, None),
    ]
    assert set(mailing.message_set.filter(state=State.SKIPPED).values_list("finished_at", flat=True)) == {
        clock()
    }
    assert audit.run(clock()) == []


@pytest.mark.usefixtures("slices_of_two")
def test_an_address_counts_once_across_slices_too(tenant: Tenant, clock: Clock) -> None:
    numbers = ["70000008001", "70000008002", "70000008001", "70000008003", "70000008002", "70000008003"]
    for phone in numbers:
        make_customer(tenant, phone=phone)

    mailing = begin(tenant, clock)
    materialise(mailing, clock)

    assert statuses(mailing) == {State.WAITING: 3, State.SKIPPED: 3}
    assert audit.run(clock()) == []


def test_the_same_address_in_another_mailing_counts_anew(tenant: Tenant, clock: Clock) -> None:
    make_customer(tenant, phone="70000008001")

    several = [begin(tenant, clock) for _ in range(2)]
    for mailing in several:
        materialise(mailing, clock)

    assert [statuses(mailing) for mailing in several] == [{State.WAITING: 1}] * 2


@pytest.mark.usefixtures("slices_of_two")
@pytest.mark.parametrize(("customers", "slices"), [(0, 1), (1, 1), (2, 1), (3, 2), (4, 2), (5, 3)])
def test_slice_by_slice_everybody_is_reached(
    tenant: Tenant, clock: Clock, customers: int, slices: int
) -> None:
    people = {make_customer(tenant).pk for _ in range(customers)}
    mailing = begin(tenant, clock)

    assert materialise(mailing, clock) == slices
    assert reached(mailing) == people
    assert mailing.materialised_at == clock()
    assert audit.run(clock()) == []


@pytest.mark.usefixtures("slices_of_two")
def test_a_slice_looks_no_further_than_so_many_customers_however_few_of_them_match(
    tenant: Tenant, other_tenant: Tenant, clock: Clock
) -> None:
    for number in range(20):
        make_customer(tenant, tag="rare" if number == 19 else "common")
        make_customer(other_tenant, tag="rare")
    mailing = begin(tenant, clock, tag_filter="rare")

    assert materialise(mailing, clock) == 3
    assert len(reached(mailing)) == 1


@pytest.mark.usefixtures("slices_of_two")
def test_an_interrupted_slice_leaves_nothing_and_the_next_begins_where_it_did(
    tenant: Tenant, clock: Clock
) -> None:
    people = [make_customer(tenant).pk for _ in range(5)]
    mailing = begin(tenant, clock)
    mailings.materialise_due(clock())

    with transaction.atomic():
        mailings.materialise_due(clock())
        made = Message.objects.count()
        transaction.set_rollback(True)
    mailing.refresh_from_db()
    after = (mailing.cursor, Message.objects.count(), audit.run(clock()))

    assert (made, after) == (4, (people[1], 2, []))
    assert materialise(mailing, clock) == 2
    assert reached(mailing) == set(people)
    assert audit.run(clock()) == []


@pytest.mark.usefixtures("slices_of_two")
def test_a_cursor_that_went_back_makes_nobody_twice(tenant: Tenant, clock: Clock) -> None:
    people = [make_customer(tenant).pk for _ in range(3)]
    mailing = begin(tenant, clock)
    materialise(mailing, clock)
    Mailing.objects.filter(pk=mailing.pk).update(cursor=people[0], materialised_at=None)

    made = mailings.materialise_due(clock())

    # The database refuses the twin, and with it the whole slice.
    assert made == 0
    assert reached(mailing) == set(people)
    assert Message.objects.count() == 3


@pytest.mark.usefixtures("slices_of_two")
def test_customers_who_come_after_the_start_are_not_in(tenant: Tenant, clock: Clock) -> None:
    mailing = make_mailing(tenant, now=clock())
    early = make_customer(tenant)
    mailings.start_due(clock())
    for _ in range(4):
        make_customer(tenant)

    materialise(mailing, clock)

    assert reached(mailing) == {early.pk}


@pytest.mark.usefixtures("slices_of_two")
def test_customers_who_leave_before_their_slice_are_not_in(tenant: Tenant, clock: Clock) -> None:
    people = [make_customer(tenant) for _ in range(4)]
    mailing = begin(tenant, clock)
    mailings.materialise_due(clock())
    Customer.objects.of(tenant).filter(pk=people[3].pk).delete()

    materialise(mailing, clock)

    assert reached(mailing) == {customer.pk for customer in people[:3]}


def test_a_window_that_is_over_makes_every_message_a_timeout(tenant: Tenant, clock: Clock) -> None:
    for phone in ("70000008001", "70000008002", "70000008001"):
        make_customer(tenant, phone=phone)
    long_ago = clock() - timedelta(days=900)

    mailing = begin(tenant, clock, starts_at=long_ago, ends_at=long_ago + timedelta(hours=1))
    materialise(mailing, clock)
    finished = mailings.finish_due(clock())

    rows = set(mailing.message_set.values_list("state", "reason", "finished_at"))
    assert rows == {
        (State.EXPIRED, Reason.WINDOW_OVER, clock()),
        (State.SKIPPED, Reason.SAME_ADDRESS, clock()),
    }
    assert (statuses(mailing), finished) == ({State.EXPIRED: 2, State.SKIPPED: 1}, 1)
    assert audit.run(clock()) == []


@pytest.mark.usefixtures("slices_of_two")
def test_a_window_that_ends_between_two_slices_ends_for_all(tenant: Tenant, clock: Clock) -> None:
    for _ in range(3):
        make_customer(tenant)
    mailing = begin(tenant, clock)
    mailings.materialise_due(clock())
    clock.now = mailing.ends_at

    materialise(mailing, clock)
    mailings.close_due(clock())
    while mailings.sweep_due(clock()):
        pass

    assert set(mailing.message_set.values_list("state", "reason")) == {(State.EXPIRED, Reason.WINDOW_OVER)}
    assert mailings.finish_due(clock()) == 1
    assert audit.run(clock()) == []


@pytest.mark.usefixtures("slices_of_two")
def test_a_paused_mailing_is_made_ready_all_the_same(tenant: Tenant, clock: Clock) -> None:
    for _ in range(3):
        make_customer(tenant)
    mailing = begin(tenant, clock)
    mailings.pause(mailing, now=clock())

    materialise(mailing, clock)

    assert statuses(mailing) == {State.WAITING: 3}


@pytest.mark.usefixtures("slices_of_two")
def test_cancelling_ends_the_materialising(tenant: Tenant, clock: Clock) -> None:
    for _ in range(5):
        make_customer(tenant)
    mailing = begin(tenant, clock)
    mailings.materialise_due(clock())
    mailings.cancel(mailing, now=clock())

    assert materialise(mailing, clock) == 0
    mailings.sweep_due(clock())

    assert statuses(mailing) == {State.CANCELLED: 2}
    assert mailings.finish_due(clock()) == 1
    assert audit.run(clock()) == []
