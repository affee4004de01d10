"""From an event over HTTP to what people see of it: the log, the reader, the ledger, the gate, the report."""

from typing import Any

import pytest
from django.test import Client

from clarion import worker
from clarion.flows import audit
from clarion.models import GatewayAccount
from clarion.sandbox import RunningSender
from tests.api.calls import made, open_window
from tests.conftest import Clock

pytestmark = pytest.mark.django_db


def test_who_unsubscribes_gets_no_further_mailing_and_a_purchase_is_put_down_to_the_first(
    api: Client, probe: GatewayAccount, sender: RunningSender, clock: Clock
) -> None:
    for number in range(2):
        client = {"phone": f"7000000000{number}", "operator_code": "900", "timezone": "UTC"}
        made(api, "/api/v1/clients/", client)
    first = made(api, "/api/v1/mailings/", {**open_window(), "text": "hello"})
    worker.tick(clock)
    (ann, bob) = api.get(f"/api/v1/mailings/{first['id']}/messages").json()["data"]

    about: dict[str, Any] = {
        "timestamp": clock().isoformat(),
        "email_id": ann["id"],
        "customer_id": ann["client"],
    }
    made(api, "/receive_event/", {**about, "event_type": "email_delivered"})
    made(api, "/receive_event/", {**about, "event_type": "email_open"})
    made(api, "/receive_event/", {**about, "event_type": "email_unsubscribe"})
    bought = {**about, "event_type": "purchase", "product_id": 1, "amount": 19.99, "currency": "EUR"}
    made(api, "/receive_event/", bought)
    worker.tick(clock)
    second = made(api, "/api/v1/mailings/", {**open_window(), "text": "hello again"})
    worker.tick(clock)

    report = api.get(f"/api/v1/mailings/{first['id']}/report").json()
    assert [(each["status"], each["count"]) for each in report["statuses"]] == [("SENT", 1), ("DELIVERED", 1)]
    # Nobody reads a mail in the moment in which it comes.
    assert (report["opened"], report["opened_by_machines"], report["unsubscribed"]) == (0, 1, 1)
    assert (report["purchases"], report["revenue"]) == (1, [{"currency": "EUR", "amount": "19.99"}])
    assert api.get(f"/api/v1/mailings/{second['id']}/report").json()["statuses"] == [
        {"status": "SENT", "count": 1, "reasons": []},
        {"status": "SKIPPED", "count": 1, "reasons": [{"reason": "opted_out", "count": 1}]},
    ]
    (holds,) = api.get(f"/api/v1/customers/{ann['client']}/consents").json()["now"]
    assert (holds["channel"], holds["may"]) == ("sms", False)
    reached = [each["client"] for each in api.get("/api/v1/messages?status=SENT").json()["data"]]
    assert reached == [bob["client"]] * 2
    assert sender.counts()["accepted"] == 3
    assert audit.run(clock()) == []
