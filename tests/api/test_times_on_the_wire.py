"""Times: every dialect of the contract in, UTC with Z out, the tenant's zone where none is named."""

import pytest
from django.test import Client

from clarion.models import Tenant
from tests.api.calls import MAILING, SHORT_MAILING, ask, made, wrong_members

pytestmark = pytest.mark.django_db

DIALECTS = [
    ("2022-12-02T16:50:00Z", "2022-12-02T16:50:00Z"),
    ("2022-12-02t16:50:00z", "2022-12-02T16:50:00Z"),
    ("2022-08-26T11:53:37+02:00", "2022-08-26T09:53:37Z"),
    ("2022-08-26T11:53:37-0330", "2022-08-26T15:23:37Z"),
    ("2022-08-26T11:53:37.5Z", "2022-08-26T11:53:37.500000Z"),
    ("2022-08-26T11:53", "2022-08-26T11:53:00Z"),
    ("2028-11-20", "2028-11-20T00:00:00Z"),
    ("25-10-2023T15:33:00", "2023-10-25T15:33:00Z"),
    ("2023-10-25 15:33:00", "2023-10-25T15:33:00Z"),
    ("2023-10-24T11:30:00", "2023-10-24T11:30:00Z"),
    ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
    ("0001-01-01", "0001-01-01T00:00:00Z"),
]
NO_TIMES = [
    "", "now", "2022-13-01", "2022-02-30", "2022-12-02T24:00:00", "2022-12-02T16:50:61Z", "25/10/2023",
    "2022-12-02T16:50:00+25:00", "0000-01-01", "10000-01-01", "-2022-12-02", "٢٠٢٢-12-02", "2022-12-02T16:50:00Z ",
    "0001-01-01T00:00:00+14:00", "2022-12-02T16:50:00[Europe/Berlin]", "x" * 10_000, "2022-12-02\x00", "\ud800",
    1669999800, 1669999800.5, None, True, [], {},
]  # fmt: skip


@pytest.mark.parametrize(("sent", "answered"), DIALECTS)
def test_every_dialect_is_understood(api: Client, sent: str, answered: str) -> None:
    for path, body in (("/api/v1/mailings", MAILING), ("/api/mailing", SHORT_MAILING)):
        assert made(api, path, {**body, "start_time": sent})["start_time"] == answered


@pytest.mark.parametrize(("sent", "answered"), DIALECTS)
def test_what_was_understood_is_kept(api: Client, sent: str, answered: str) -> None:
    mailing = made(api, "/api/v1/mailings", {**MAILING, "start_time": sent})

    assert api.get(f"/api/mailing/{mailing['id']}").json()["start_time"] == answered


@pytest.mark.parametrize("sent", NO_TIMES)
def test_what_is_no_time_is_refused(api: Client, sent: object) -> None:
    body = {**MAILING, "start_time": sent, "end_time": sent}

    assert wrong_members(ask(api, "POST", "/api/v1/mailings", body)) == {"start_time", "end_time"}


@pytest.mark.parametrize(
    ("zone", "sent", "answered"),
    [
        ("Europe/Berlin", "2022-08-26T11:53:37", "2022-08-26T09:53:37Z"),
        ("Europe/Berlin", "2022-12-02", "2022-12-01T23:00:00Z"),
        ("Asia/Kolkata", "25-10-2023T15:33:00", "2023-10-25T10:03:00Z"),
        ("+03:00", "2023-10-25 15:33:00", "2023-10-25T12:33:00Z"),
        ("Europe/Berlin", "2022-08-26T11:53:37Z", "2022-08-26T11:53:37Z"),
        # Skipped by the clocks, and there twice.
        ("Europe/Berlin", "2023-03-26T02:30:00", "2023-03-26T01:30:00Z"),
        ("Europe/Berlin", "2023-10-29T02:30:00", "2023-10-29T00:30:00Z"),
        ("no zone at all", "2022-08-26T11:53:37", "2022-08-26T11:53:37Z"),
    ],
)
def test_no_zone_means_the_tenants(api: Client, tenant: Tenant, zone: str, sent: str, answered: str) -> None:
    Tenant.objects.filter(pk=tenant.pk).update(timezone=zone)

    assert made(api, "/api/v1/mailings", {**MAILING, "start_time": sent})["start_time"] == answered


def test_the_first_and_the_last_moment_can_be_a_window(api: Client) -> None:
    window = {"start_time": "0001-01-01T00:00:00Z", "end_time": "9999-12-31T23:59:59.999999Z"}

    mailing = made(api, "/api/v1/mailings", {**MAILING, **window})

    shown = api.get(f"/api/mailing/{mailing['id']}").json()
    assert {name: shown[name] for name in window} == window


def test_a_moment_that_the_tenants_zone_moves_out_of_the_calendar_is_refused(
    api: Client, tenant: Tenant
) -> None:
    Tenant.objects.filter(pk=tenant.pk).update(timezone="+14:00")
    body = {**MAILING, "start_time": "0001-01-01", "end_time": "9999-12-31T23:00:00-01:00"}

    assert wrong_members(ask(api, "POST", "/api/v1/mailings", body)) == {"start_time", "end_time"}


@pytest.mark.parametrize("zone", ["timezone", "Europe/Atlantis", "", "europe/berlin", "UTC+25"])
def test_a_clients_odd_zone_is_taken_and_named(api: Client, zone: str) -> None:
    body = {"phone": "70000000001", "operator_code": "1", "timezone": zone}

    created = ask(api, "POST", "/api/v1/clients", body)
    replaced = ask(api, "PUT", f"/api/v1/clients/{created.json()['id']}", body)

    assert (created.status_code, created.json()["timezone"]) == (201, zone)
    assert created.headers["Clarion-Warnings"] == replaced.headers["Clarion-Warnings"]
    assert created.headers["Clarion-Warnings"].startswith("timezone:")


@pytest.mark.parametrize("zone", ["Europe/Berlin", "UTC", "+03:00", "UTC+3"])
def test_a_good_zone_earns_no_warning(api: Client, zone: str) -> None:
    answer = ask(
        api, "POST", "/api/v1/clients", {"phone": "70000000001", "operator_code": "1", "timezone": zone}
    )

    assert "Clarion-Warnings" not in answer.headers
