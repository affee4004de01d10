"""The ledger over HTTP: what somebody said, what holds now, and which addresses are closed."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from clarion.models import Customer, Suppression, Tenant
from tests.conftest import Clock, client_of
from tests.factories import make_customer
from tests.flows.mails import sent_to, tell
from tests.outbox.rounds import due_messages

pytestmark = pytest.mark.django_db


def consents(api: Client, ref: object, query: str = "") -> dict[str, Any]:
    answer = api.get(f"/api/v1/customers/{ref}/consents{query}")
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def test_history_and_what_holds_now(api: Client, tenant: Tenant, clock: Clock) -> None:
    clock.now = clock.now.replace(microsecond=0)
    customer = make_customer(tenant, external_id="ann")
    event = tell(tenant, "email_unsubscribe", "ann", clock())
    at = clock().isoformat().replace("+00:00", "Z")

    answer = consents(api, "ann")

    assert answer["now"] == [
        {"channel": "email", "class": "marketing", "may": False, "because": "opted_out", "since": at}
    ]
    (line,) = answer["data"]
    assert line == {
        "id": line["id"],
        "channel": "email",
        "class": "marketing",
        "verdict": "opt_out",
        "at": at,
        "who": "recipient",
        "how": "email_unsubscribe",
        "message": None,
        "event": event.seq,
    }
    assert answer["next"] is None
    assert consents(api, customer.pk) == answer


def test_a_reference_may_hold_a_slash(api: Client, tenant: Tenant, clock: Clock) -> None:
    make_customer(tenant, external_id="a/b")
    tell(tenant, "email_unsubscribe", "a/b", clock())

    assert [line["verdict"] for line in consents(api, "a%2Fb")["data"]] == ["opt_out"]
    assert consents(api, "a/b") == consents(api, "a%2Fb")
    assert api.get("/api/v1/customers/a%2Fc/consents").status_code == 404


def test_a_closed_address_is_closed_to_every_class(api: Client, tenant: Tenant, clock: Clock) -> None:
    (message,) = sent_to(due_messages(tenant, clock), clock)
    tell(tenant, "email_bounce", message.customer_id, clock(), email_id=message.pk)

    def held() -> list[tuple[str, str, bool]]:
        return [
            (each["channel"], each["class"], each["may"])
            for each in consents(api, message.customer_id)["now"]
        ]

    assert held() == [("sms", "marketing", False), ("sms", "transactional", False)]
    Customer.objects.filter(pk=message.customer_id).update(phone="70000009999")
    assert held() == []


def test_of_somebody_not_known_yet_the_ledger_speaks_all_the_same(
    api: Client, tenant: Tenant, clock: Clock
) -> None:
    tell(tenant, "email_unsubscribe", "ann", clock())
    tell(tenant, "email_complaint", 998, clock())

    assert consents(api, "ann")["now"][0]["may"] is False
    assert {each["because"] for each in consents(api, 998)["now"]} == {"suppressed"}


def test_of_nobody_there_is_nothing_to_read(
    api: Client, tenant: Tenant, other_tenant: Tenant, clock: Clock
) -> None:
    tell(other_tenant, "email_unsubscribe", "ann", clock())
    quiet = make_customer(tenant)

    for ref in ("ann", "nobody", "a%00b", "x" * 300):
        assert api.get(f"/api/v1/customers/{ref}/consents").status_code == 404
    assert consents(api, quiet.pk) == {"now": [], "data": [], "next": None}


def test_a_long_history_comes_in_pages(api: Client, tenant: Tenant, clock: Clock) -> None:
    customer = make_customer(tenant)
    for minutes in range(3):
        tell(tenant, "email_unsubscribe", customer.pk, clock() + timedelta(minutes=minutes))

    first = consents(api, customer.pk, "?limit=2")
    second = consents(api, customer.pk, f"?limit=2&cursor={first['next']}")

    assert [len(page["data"]) for page in (first, second)] == [2, 1]
    assert first["now"] == second["now"]
    assert second["next"] is None


def test_the_list_of_suppressions(api: Client, tenant: Tenant, other_tenant: Tenant, clock: Clock) -> None:
    (message,) = sent_to(due_messages(tenant, clock), clock)
    tell(tenant, "email_bounce", message.customer_id, clock(), email_id=message.pk)
    tell(tenant, "email_complaint", "ann", clock())
    tell(tenant, "email_bounce", "bob", clock())
    tell(other_tenant, "email_bounce", "ann", clock())
    Suppression.objects.filter(ref="bob").update(lifted_at=clock())

    answer = api.get("/api/v1/suppressions").json()

    seen = [
        (each["address"], each["external_id"], each["reason"], each["channel"]) for each in answer["data"]
    ]
    assert seen == [(message.address, None, "hard_bounce", "sms"), (None, "ann", "complaint", "email")]
    assert answer["next"] is None


def test_both_need_the_scope_of_customers(tenant: Tenant) -> None:
    stranger = client_of(tenant, scopes=["events:read"])

    for path in ("/api/v1/customers/ann/consents", "/api/v1/suppressions"):
        assert stranger.get(path).status_code == 403
