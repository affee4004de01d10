"""Idempotency-Key: one effect and one answer, however often a POST is repeated under it."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from clarion.models import Customer, IdempotencyRecord, Mailing, Tenant
from tests.api.calls import BODIES, CLIENT, MAILING, OVER, ask, made, refusal
from tests.conftest import client_of

pytestmark = pytest.mark.django_db


def keep_for(**age: float) -> None:
    """Let time pass for what is kept."""
    for record in IdempotencyRecord.objects.all():
        record.created_at -= timedelta(**age)
        record.save()


@pytest.mark.parametrize("path", BODIES)
def test_the_same_key_twice_gives_the_same_answer(api: Client, path: str) -> None:
    first = ask(api, "POST", path, BODIES[path], Idempotency_Key="k")
    again = ask(api, "POST", f"{path}/", BODIES[path], Idempotency_Key="k")

    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["Content-Type"] == first.headers["Content-Type"]
    assert ("Idempotent-Replayed" in first.headers, again.headers["Idempotent-Replayed"]) == (False, "true")
    assert len(api.get(path.replace("v1/mailings", "mailing").replace("v1/clients", "client")).json()) == 1


def test_a_warning_is_given_again(api: Client) -> None:
    body = {**OVER, "text": "hello"}

    answers = [ask(api, "POST", "/api/v1/mailings", body, Idempotency_Key="k") for _ in range(2)]

    assert answers[0].headers["Clarion-Warnings"] == answers[1].headers["Clarion-Warnings"] != ""


def test_the_number_of_an_event_is_given_again(api: Client) -> None:
    event = {"event_type": "PRODUCT"}

    answers = [ask(api, "POST", "/api/v1/events", event, Idempotency_Key="k") for _ in range(2)]

    assert [answer.headers["Clarion-Seq"] for answer in answers] == ["1", "1"]
    assert answers[1].headers["Idempotent-Replayed"] == "true"


def test_a_repeated_answer_carries_the_id_of_its_own_request(api: Client) -> None:
    made(api, "/api/v1/clients", CLIENT, Idempotency_Key="k", X_Request_Id="first")

    again = ask(api, "POST", "/api/v1/clients", CLIENT, Idempotency_Key="k", X_Request_Id="second")

    assert again.headers["X-Request-Id"] == "second"


@pytest.mark.parametrize("change", [{"tag": "other"}, {"colour": "red"}])
def test_another_body_under_the_key_is_refused(api: Client, change: dict[str, Any]) -> None:
    made(api, "/api/v1/clients", CLIENT, Idempotency_Key="k")

    answer = ask(api, "POST", "/api/v1/clients", {**CLIENT, **change}, Idempotency_Key="k")

    assert refusal(answer, 422)["code"] == "idempotency_key_reused"
    assert Customer.objects.count() == 1


def test_a_key_holds_for_one_path_and_one_tenant(api: Client, other_tenant: Tenant) -> None:
    made(api, "/api/v1/clients", CLIENT, Idempotency_Key="k")

    other_path = ask(api, "POST", "/api/v1/mailings", MAILING, Idempotency_Key="k")
    other_shop = ask(client_of(other_tenant), "POST", "/api/v1/clients", CLIENT, Idempotency_Key="k")

    assert [answer.status_code for answer in (other_path, other_shop)] == [201, 201]
    assert "Idempotent-Replayed" not in other_path.headers
    assert "Idempotent-Replayed" not in other_shop.headers


def test_a_test_key_and_a_live_key_share_no_answers(api: Client, tenant: Tenant) -> None:
    """Else a test could get the answer of a mailing that went to people, or the other way round."""
    live = made(api, "/api/v1/mailings", MAILING, Idempotency_Key="k")

    test = made(client_of(tenant, is_test=True), "/api/v1/mailings", MAILING, Idempotency_Key="k")

    assert test["id"] != live["id"]


def test_two_keys_of_a_tenant_share_their_answers(api: Client, tenant: Tenant) -> None:
    first = made(api, "/api/v1/clients", CLIENT, Idempotency_Key="k")

    assert made(client_of(tenant), "/api/v1/clients", CLIENT, Idempotency_Key="k") == first


@pytest.mark.parametrize("bad", ["no json", '{"phone": 1}', b"\xff"])
def test_a_wrong_request_may_be_mended_under_its_key(api: Client, bad: Any) -> None:
    refusal(ask(api, "POST", "/api/v1/clients", bad, Idempotency_Key="k"), 400)

    assert ask(api, "POST", "/api/v1/clients", CLIENT, Idempotency_Key="k").status_code == 201
    assert IdempotencyRecord.objects.count() == 1


def test_a_final_refusal_is_kept_as_well(api: Client) -> None:
    mailing = made(api, "/api/v1/mailings", MAILING)
    api.post(f"/api/v1/mailings/{mailing['id']}/cancel")

    answers = [
        ask(api, "POST", f"/api/v1/mailings/{mailing['id']}/pause", Idempotency_Key="k") for _ in range(2)
    ]

    assert [refusal(answers[0], 409)["code"], answers[1].status_code] == ["already_over", 409]
    assert answers[1].headers["Idempotent-Replayed"] == "true"
    assert answers[1].headers["Content-Type"] == "application/problem+json"


def test_an_answer_is_kept_for_a_day(api: Client) -> None:
    first = made(api, "/api/v1/clients", CLIENT, Idempotency_Key="k")

    keep_for(hours=23.9)
    within = made(api, "/api/v1/clients", CLIENT, Idempotency_Key="k")
    keep_for(hours=0.2)
    after = made(api, "/api/v1/clients", CLIENT, Idempotency_Key="k")

    assert within == first
    assert after["id"] != first["id"]
    assert IdempotencyRecord.objects.count() == 1


def test_after_a_day_another_body_may_come_under_the_key(api: Client) -> None:
    made(api, "/api/v1/clients", CLIENT, Idempotency_Key="k")
    keep_for(hours=25)

    assert made(api, "/api/v1/mailings", MAILING, Idempotency_Key="k")
    assert made(api, "/api/v1/clients", {**CLIENT, "tag": "other"}, Idempotency_Key="k")["tag"] == "other"


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "\xe9", "a\x7f", "a\tb"])
def test_what_cannot_be_a_key_is_refused(api: Client, key: str) -> None:
    answer = ask(api, "POST", "/api/v1/clients", CLIENT, Idempotency_Key=key)

    assert refusal(answer, 400)["code"] == "bad_idempotency_key"
    assert not Customer.objects.exists()


@pytest.mark.parametrize(
    "key", ["x" * 255, "8e03978e-40d5-43dd-bc93-6894a57f9324", '"quoted"', "' OR 1=1 --".replace(" ", "")]
)
def test_any_visible_text_can_be_a_key(api: Client, key: str) -> None:
    first = made(api, "/api/v1/clients", CLIENT, Idempotency_Key=key)

    assert made(api, "/api/v1/clients", CLIENT, Idempotency_Key=key) == first


def test_without_a_credential_a_key_keeps_nothing(tenant: Tenant) -> None:
    refusal(ask(Client(), "POST", "/api/v1/clients", CLIENT, Idempotency_Key="k"), 401)

    assert not IdempotencyRecord.objects.exists()


def test_a_key_on_another_method_means_nothing(api: Client) -> None:
    client = made(api, "/api/v1/clients", CLIENT)
    path = f"/api/v1/clients/{client['id']}"

    answers = [ask(api, "PUT", path, {**CLIENT, "tag": tag}, Idempotency_Key="k") for tag in ("a", "b")]

    assert [answer.json()["tag"] for answer in answers] == ["a", "b"]
    assert not IdempotencyRecord.objects.exists()


def test_verbs_of_a_mailing_take_a_key_too(api: Client) -> None:
    mailing = made(api, "/api/v1/mailings", MAILING)
    path = f"/api/v1/mailings/{mailing['id']}"
    paused = ask(api, "POST", f"{path}/pause", Idempotency_Key="k")
    api.post(f"{path}/resume")

    again = ask(api, "POST", f"{path}/pause", Idempotency_Key="k")

    assert (again.content, again.headers["Idempotent-Replayed"]) == (paused.content, "true")
    assert Mailing.objects.get().paused_at is None
