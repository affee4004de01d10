"""Pausing, resuming, cancelling and deleting through the API, and the accounts that add up after each."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from clarion import worker
from clarion.flows import audit
from clarion.models import GatewayAccount, Tenant
from clarion.sandbox import RunningSender
from tests.api.calls import CLIENT, MAILING, OVER, ask, made, open_window, refusal
from tests.conftest import Clock
from tests.factories import make_customer

pytestmark = pytest.mark.django_db


def counts(api: Client, mailing: dict[str, Any]) -> dict[str, int]:
    lines = api.get(f"/api/v1/mailings/{mailing['id']}").json()["message_data"]
    return {line["status"]: line["count"] for line in lines}


def act(api: Client, mailing: dict[str, Any], verb: str) -> Any:
    return ask(api, "POST", f"/api/v1/mailings/{mailing['id']}/{verb}")


@pytest.fixture
def mailing(api: Client, tenant: Tenant, probe: GatewayAccount) -> dict[str, Any]:
    for _ in range(3):
        make_customer(tenant)
    return made(api, "/api/v1/mailings", {**open_window(), "text": "hello"})


def test_a_paused_mailing_waits_and_a_resumed_one_goes_on(
    api: Client, mailing: dict[str, Any], sender: RunningSender, clock: Clock
) -> None:
    # Started at some moment and paused at a later one, so that messages wait already.
    worker.run_flows(clock())
    paused = act(api, mailing, "pause")
    worker.tick(clock)
    while_paused = counts(api, mailing)
    resumed = act(api, mailing, "resume")
    clock.pass_by(seconds=1)
    worker.tick(clock)

    assert [(answer.status_code, answer.json()["status"]) for answer in (paused, resumed)] == [
        (200, "PAUSED"),
        (200, "RUNNING"),
    ]
    assert while_paused == {"PENDING": 3}
    assert counts(api, mailing) == {"SENT": 3}
    assert sender.counts()["accepted"] == 3
    assert audit.run(clock()) == []


def test_a_mailing_paused_before_its_start_does_not_start(
    api: Client, mailing: dict[str, Any], clock: Clock
) -> None:
    act(api, mailing, "pause")
    worker.tick(clock)
    before = counts(api, mailing)

    act(api, mailing, "resume")
    clock.pass_by(seconds=1)
    worker.tick(clock)

    assert (before, counts(api, mailing)) == ({}, {"SENT": 3})


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel"])
def test_doing_it_twice_is_doing_it_once(api: Client, mailing: dict[str, Any], verb: str) -> None:
    first, second = act(api, mailing, verb), act(api, mailing, verb)

    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == second.json()


def test_a_cancelled_mailing_cancels_what_waits(
    api: Client, mailing: dict[str, Any], sender: RunningSender, clock: Clock
) -> None:
    worker.run_flows(clock())

    answer = act(api, mailing, "cancel")
    worker.tick(clock)

    assert (answer.status_code, answer.json()["status"]) == (200, "CANCELLED")
    assert counts(api, mailing) == {"CANCELLED": 3}
    report = api.get(f"/api/v1/mailings/{mailing['id']}/report").json()
    assert report["statuses"][0]["reasons"] == [{"reason": "mailing_cancelled", "count": 3}]
    assert sender.counts()["requests"] == 0
    assert audit.run(clock()) == []


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_a_cancelled_mailing_does_neither_pause_nor_resume(
    api: Client, mailing: dict[str, Any], verb: str
) -> None:
    act(api, mailing, "cancel")

    assert refusal(act(api, mailing, verb), 409)["code"] == "already_over"


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel"])
def test_a_finished_mailing_takes_no_orders(api: Client, tenant: Tenant, clock: Clock, verb: str) -> None:
    make_customer(tenant)
    mailing = made(api, "/api/v1/mailings", {**OVER, "text": "hello"})
    worker.tick(clock)

    assert refusal(act(api, mailing, verb), 409)["code"] == "already_over"
    assert api.get("/api/v1/mailings/list").json()["data"][0]["status"] == "FINISHED"


def test_a_cancelled_mailing_cannot_be_changed(api: Client) -> None:
    mailing = made(api, "/api/v1/mailings", MAILING)
    act(api, mailing, "cancel")

    assert refusal(ask(api, "PUT", f"/api/v1/mailings/{mailing['id']}", MAILING), 409)


def test_a_deleted_mailing_cancels_what_waits_and_goes_on_counting(
    api: Client, mailing: dict[str, Any], sender: RunningSender, clock: Clock
) -> None:
    worker.run_flows(clock())

    answer = ask(api, "DELETE", f"/api/v1/mailings/{mailing['id']}")
    worker.tick(clock)

    assert (answer.status_code, answer.content) == (204, b"")
    assert api.get("/api/v1/mailings").json() == {
        "message_data": [{"status": "CANCELLED", "count": 3}],
        "total_mailings": 0,
    }
    assert sender.counts()["requests"] == 0


def test_nothing_of_a_deleted_mailing_can_be_reached(api: Client, mailing: dict[str, Any]) -> None:
    path = f"/api/v1/mailings/{mailing['id']}"
    ask(api, "DELETE", path)

    for verb in ("pause", "resume", "cancel"):
        refusal(act(api, mailing, verb), 404)
    for part in ("", "/report", "/messages"):
        refusal(api.get(path + part), 404)
    for method, body in (("PUT", MAILING), ("PATCH", {}), ("DELETE", None)):
        refusal(ask(api, method, path, body), 404)
    assert api.get("/api/mailing").json() == api.get("/api/v1/mailings/list").json()["data"] == []


def test_the_report_adds_up(api: Client, mailing: dict[str, Any], clock: Clock) -> None:
    before = api.get(f"/api/v1/mailings/{mailing['id']}/report").json()
    worker.tick(clock)
    clock.pass_by(seconds=1)
    worker.tick(clock)

    after = api.get(f"/api/v1/mailings/{mailing['id']}/report").json()

    assert (before["audience"], before["materialised"], before["started"]) == (None, 0, None)
    assert after["audience"] == after["materialised"] == sum(line["count"] for line in after["statuses"]) == 3
    assert (after["in_doubt"], after["finished"] is not None) == (0, True)


def test_deleting_a_client_cancels_what_waits_for_them_alone(
    api: Client, probe: GatewayAccount, sender: RunningSender, clock: Clock
) -> None:
    gone = made(api, "/api/v1/clients", CLIENT)
    made(api, "/api/v1/clients", {**CLIENT, "phone": "70000000002"})
    mailing = made(api, "/api/v1/mailings", {**open_window(), "text": "hello"})
    worker.run_flows(clock())

    answer = ask(api, "DELETE", f"/api/client/{gone['id']}")
    worker.tick(clock)

    assert answer.status_code == 204
    assert counts(api, mailing) == {"SENT": 1, "CANCELLED": 1}
    row = api.get(f"/api/v1/messages?client={gone['id']}").json()["data"][0]
    assert (row["status"], row["reason"]) == ("CANCELLED", "customer_deleted")
    assert sender.counts()["accepted"] == 1
    assert audit.run(clock()) == []


def test_what_never_ended_in_its_window_times_out(
    api: Client, mailing: dict[str, Any], sender: RunningSender, clock: Clock
) -> None:
    sender.switch("refuses")
    worker.tick(clock)

    sender.switch("fine")
    clock.now += timedelta(hours=2)
    worker.tick(clock)

    assert counts(api, mailing) == {"TIMEOUT": 3}
    assert sender.counts()["accepted"] == 0
