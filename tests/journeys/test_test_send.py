"""Whoever wrote a mailing sees it on a phone of their own first, over real HTTP, long before it starts."""

import pytest

from tests.hub import Shop, wait_until

pytestmark = pytest.mark.slow


def test_a_mailing_is_shown_before_it_starts(shop: Shop) -> None:
    client = {"phone": "70000000001", "operator_code": "900", "tag": "Ann", "timezone": "UTC"}
    shop.post("/api/v1/clients", client)
    window = {"start_time": "9000-01-01", "end_time": "9000-01-02"}
    mailing = shop.post("/api/v1/mailings", {**window, "text": "Hello {{ tag }}"}).json()["id"]

    answer = shop.post(f"/api/v1/mailings/{mailing}/test", {"phone": "70000009999"})
    path = f"/api/v1/messages/{answer.json()['id']}"
    wait_until(lambda: shop.get(path).json()["status"] == "SENT")

    assert answer.status == 202
    message = shop.get(path).json()
    assert (message["status"], message["address"], message["text"]) == ("SENT", "70000009999", "Hello Ann")
    assert shop.get("/api/v1/mailings").json() == {"message_data": [], "total_mailings": 1}
