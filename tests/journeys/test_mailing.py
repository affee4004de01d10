"""A mailing from the POST of a client to accounts that add up, through the real doors."""

import pytest
from django.test import Client

from clarion import worker
from clarion.flows import audit
from clarion.models import GatewayAccount
from clarion.sandbox import RunningSender
from tests.conftest import Clock

pytestmark = pytest.mark.django_db


def post(api: Client, path: str, body: object, status: int = 201) -> dict[str, object]:
    response = api.post(path, body, content_type="application/json")
    assert response.status_code == status, response.content
    return dict(response.json()) if response.content else {}


def test_clients_in_a_mailing_out_every_message_accounted_for(
    api: Client, probe: GatewayAccount, sender: RunningSender, clock: Clock
) -> None:
    for number in range(3):
        client = {"phone": f"7000000000{number}", "operator_code": "900", "tag": "VIP", "timezone": "UTC"}
        post(api, "/api/v1/clients/", client)
    post(api, "/api/v1/clients/", {"phone": "70000000000", "operator_code": "900", "timezone": "UTC"})
    window = {"start_time": "2022-12-02T16:50:00Z", "end_time": "2028-11-20"}
    mailing = post(api, "/api/v1/mailings/", {**window, "text": "hello", "client_tag_filter": "vip"})

    worker.tick(clock)

    report = api.get(f"/api/v1/mailings/{mailing['id']}/report").json()
    assert report["statuses"] == [{"status": "SENT", "count": 3, "reasons": []}]
    assert report["audience"] == report["materialised"] == 3
    assert sender.counts()["accepted"] == 3
    assert audit.run(clock()) == []
