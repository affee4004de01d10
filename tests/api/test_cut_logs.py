"""A log that is cut while somebody reads it: nothing is passed over in silence."""

import pytest
from django.test import Client

from clarion.api import events as api_events
from clarion.models import Event, Tenant
from tests.api.calls import refusal
from tests.conftest import Clock
from tests.flows.recording import fill

pytestmark = pytest.mark.django_db


def cut(tenant: Tenant, first: int) -> None:
    Event.objects.of(tenant).filter(seq__lt=first).delete()


def test_a_reader_of_pages_goes_on_behind_what_was_cut(api: Client, tenant: Tenant, clock: Clock) -> None:
    fill(tenant, 6, clock())
    first = api.get("/api/v1/events?after_seq=0&limit=3").json()

    cut(tenant, 4)
    second = api.get(f"/api/v1/events?after_seq=0&limit=3&cursor={first['next']}").json()

    assert [entry["seq"] for entry in first["data"] + second["data"]] == [1, 2, 3, 4, 5, 6]
    cut(tenant, 6)
    late = api.get(f"/api/v1/events?after_seq=0&limit=3&cursor={first['next']}")
    assert (refusal(late, 410)["code"], late.headers["Clarion-First-Seq"]) == ("log_pruned", "6")


def test_what_is_cut_between_the_look_at_the_log_and_the_reading_is_told(
    api: Client, tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tenant, 6, clock())
    honest = api_events._filtered

    def be_cut(*given: object) -> object:
        rows = honest(*given)  # type: ignore[arg-type]
        cut(tenant, 4)
        return rows

    monkeypatch.setattr(api_events, "_filtered", be_cut)

    assert refusal(api.get("/api/v1/events?after_seq=0"), 410)["code"] == "log_pruned"
