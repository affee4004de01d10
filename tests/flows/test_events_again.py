"""The same id again: with the other kind of key, and while the event that has it is dropped."""

from typing import Any

import pytest
from django.db import OperationalError

from clarion.flows import event_forms, events
from clarion.flows.events import CONFLICT, KNOWN, STORED, Arrival
from clarion.models import Event, Tenant
from tests.conftest import Clock
from tests.flows.test_events import arrival, kinds, numbers

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("first_is_test", [True, False])
def test_what_a_test_key_told_and_what_a_live_one_tells_are_never_the_same_event(
    tenant: Tenant, clock: Clock, first_is_test: bool
) -> None:
    def told(event_id: str, is_test: bool) -> Arrival:
        return Arrival(tenant, arrival(tenant, id=event_id).draft, is_test)

    mine, others = first_is_test, not first_is_test
    assert kinds([told("a", mine)], clock) == [STORED]
    assert kinds([told("a", others), told("a", mine)], clock) == [CONFLICT, KNOWN]
    # In one batch the first one counts.
    assert kinds([told("b", mine), told("b", others), told("b", mine)], clock) == [STORED, CONFLICT, KNOWN]
    assert set(Event.objects.values_list("is_test", flat=True)) == {mine}


def test_what_is_dropped_while_it_is_looked_at_is_stored_again(
    tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a server retention may drop an event after its id was found to be known, and before it was read."""
    made = iter([1])
    monkeypatch.setattr(event_forms._ids, "getrandbits", lambda size: next(made))
    events.append(
        [arrival(tenant, id=f"{1:032x}"), arrival(tenant, id="a"), arrival(tenant, id="b")], clock()
    )
    honest = events._stored

    def drop_first(*given: Any) -> Any:
        monkeypatch.setattr(events, "_stored", honest)
        Event.objects.of(tenant).filter(seq__lte=2).delete()
        return honest(*given)

    monkeypatch.setattr(events, "_stored", drop_first)
    batch = [arrival(tenant, id=each) for each in ("c", "a", "b", "a")]
    outcomes = events.append([*batch, arrival(tenant, id="a", n=1), arrival(tenant)], clock())

    assert [each.kind for each in outcomes] == [STORED, STORED, KNOWN, KNOWN, CONFLICT, STORED]
    assert numbers(tenant) == [3, 4, 5, 6]


def test_a_log_in_which_nothing_stays_takes_no_event_and_says_so(
    tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    events.append([arrival(tenant, id="a")], clock())
    monkeypatch.setattr(events, "_stored", lambda *given: {})

    with pytest.raises(OperationalError):
        events.append([arrival(tenant, id="a"), arrival(tenant, id="b")], clock())

    assert numbers(tenant) == [1]
