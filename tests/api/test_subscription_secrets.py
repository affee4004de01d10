"""The secrets of a subscription: seen once where they are made here, never else, kept when what was shown is put."""

from typing import Any

import pytest
from django.test import Client

from clarion.models import IdempotencyRecord, Subscription
from tests.api.calls import ask, made, refusal, wrong_members
from tests.subscribers import PATH, SQS, body, webhook

pytestmark = pytest.mark.django_db

HIDDEN = "********"
SECRET = "whsec_c2FtcGxlIHNlY3JldCBvZiB0aGlydHkgdHdvIGJ5dGVz"


def stored() -> dict[str, Any]:
    return Subscription.objects.get().settings


def test_a_secret_that_is_made_is_seen_once(api: Client) -> None:
    first = made(api, PATH, body())
    again = ask(api, "POST", PATH, body())

    assert first["destination"]["webhook"]["secret"] == stored()["secret"]
    assert first["destination"]["webhook"]["secret"].startswith("whsec_")
    for answer in (again, api.get(f"{PATH}/orders")):
        assert answer.status_code == 200
        assert answer.json()["destination"] == webhook(secret=HIDDEN)
    assert api.get(PATH).json() == [again.json()]


def test_a_secret_that_was_sent_is_never_seen(api: Client) -> None:
    assert made(api, PATH, body(destination=webhook(secret=SECRET)))["destination"] == webhook(secret=HIDDEN)
    assert stored()["secret"] == SECRET


def test_a_repeated_request_gets_the_answer_without_the_secret_that_is_kept_nowhere_in_clear(
    api: Client,
) -> None:
    first = ask(api, "POST", PATH, body(), Idempotency_Key="k")
    again = ask(api, "POST", PATH, body(), Idempotency_Key="k")

    secret = first.json()["destination"]["webhook"]["secret"]
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json()["destination"] == webhook(secret=HIDDEN)
    assert secret.encode() not in bytes(IdempotencyRecord.objects.get().body)


def test_what_was_got_can_be_put_and_its_secrets_stay(api: Client) -> None:
    made(api, PATH, body(destination=webhook(secret=SECRET, headers={"X-Key": "k-1", "X-Other": "o-1"})))
    got = api.get(f"{PATH}/orders").json()
    got["destination"]["webhook"]["headers"]["X-Other"] = "o-2"

    put = ask(api, "PUT", PATH, got)

    assert put.status_code == 200
    assert put.json()["destination"]["webhook"]["headers"] == {"X-Key": HIDDEN, "X-Other": HIDDEN}
    assert (stored()["secret"], stored()["headers"]) == (SECRET, {"X-Key": "k-1", "X-Other": "o-2"})
    assert "oldSecrets" not in stored()


@pytest.mark.parametrize(
    ("destination", "member"),
    [
        (webhook(secret=HIDDEN), "destination.webhook.secret"),
        (webhook(headers={"X-Key": HIDDEN}), "destination.webhook.headers.X-Key"),
        ({"type": "SQS", "sqs": {**SQS["sqs"], "accessSecret": HIDDEN}}, "destination.sqs.accessSecret"),
    ],
)
def test_a_mask_stands_for_nothing_where_nothing_is_kept(
    api: Client, destination: dict[str, Any], member: str
) -> None:
    assert wrong_members(ask(api, "POST", PATH, body(destination=destination))) == {member}
    assert not Subscription.objects.exists()


def test_the_secret_of_one_kind_is_none_of_another(api: Client) -> None:
    made(api, PATH, body(destination=SQS))
    sns = {**SQS["sqs"], "accessSecret": HIDDEN}

    answer = ask(api, "PUT", PATH, body(destination={"type": "SNS", "sqs": sns}))

    assert wrong_members(answer) == {"destination.sqs.accessSecret"}
    assert stored()["accessSecret"] == SQS["sqs"]["accessSecret"]


def test_a_secret_that_is_made_for_another_kind_is_seen_once_too(api: Client) -> None:
    made(api, PATH, body(destination=SQS))

    put = ask(api, "PUT", PATH, body()).json()

    assert put["destination"]["webhook"]["secret"] == stored()["secret"]
    assert api.get(f"{PATH}/orders").json()["destination"] == webhook(secret=HIDDEN)


def test_a_new_secret_is_seen_once_and_the_old_one_signs_too(api: Client) -> None:
    old = made(api, PATH, body())["destination"]["webhook"]["secret"]

    rotated = ask(api, "POST", f"{PATH}/orders/rotate-secret", {}, Idempotency_Key="k")

    new = rotated.json()["destination"]["webhook"]["secret"]
    assert (rotated.status_code, stored()["secret"]) == (200, new)
    assert new != old == stored()["oldSecrets"][0]["secret"]
    shown = api.get(f"{PATH}/orders").json()
    assert shown["destination"]["webhook"]["oldSecrets"][0]["secret"] == HIDDEN
    assert ask(api, "PUT", PATH, shown).status_code == 200
    assert (stored()["secret"], stored()["oldSecrets"][0]["secret"]) == (new, old)
    replayed = ask(api, "POST", f"{PATH}/orders/rotate-secret", {}, Idempotency_Key="k")
    assert replayed.json()["destination"]["webhook"]["secret"] == HIDDEN


def test_a_destination_without_a_secret_of_ours_has_none_to_make_anew(api: Client) -> None:
    made(api, PATH, body(destination=SQS))

    assert refusal(ask(api, "POST", f"{PATH}/orders/rotate-secret", {}), 409)["code"] == "no_secret"


@pytest.mark.parametrize(
    ("before", "after", "member"),
    [
        (
            webhook(headers={"Authorization": "Bearer sesame"}),
            webhook(url="https://other.example.net/", headers={"Authorization": HIDDEN}),
            "destination.webhook.headers.Authorization",
        ),
        (
            webhook(headers={"Authorization": "Bearer sesame"}),
            webhook(url="https://shop.example.com:8443/", headers={"Authorization": HIDDEN}),
            "destination.webhook.headers.Authorization",
        ),
        (SQS, {**SQS, "sqs": {**SQS["sqs"], "accessSecret": HIDDEN, "region": "eu-west-2"}}, "accessSecret"),
        (
            SQS,
            {**SQS, "sqs": {**SQS["sqs"], "accessSecret": HIDDEN, "endpoint": "https://aws.example.net"}},
            "accessSecret",
        ),
    ],
)
def test_a_secret_that_is_kept_does_not_go_to_another_place(
    api: Client, before: dict[str, Any], after: dict[str, Any], member: str
) -> None:
    made(api, PATH, body(destination=before))
    kept = stored()

    answer = ask(api, "PUT", PATH, body(destination=after))

    (name,) = wrong_members(answer)
    assert (name.endswith(member), stored()) == (True, kept)
    assert "send it again" in answer.content.decode()


def test_secrets_stay_behind_another_path_of_the_same_host_and_what_only_signs_stays_anywhere(
    api: Client,
) -> None:
    made(api, PATH, body(destination=webhook(secret=SECRET, headers={"X-Key": "k-1"})))
    there = webhook(url="https://SHOP.example.com:443/other", secret=HIDDEN, headers={"X-Key": HIDDEN})
    elsewhere = webhook(url="https://other.example.net/", secret=HIDDEN, headers={"X-Key": "k-2"})

    for destination, key in ((there, "k-1"), (elsewhere, "k-2")):
        assert ask(api, "PUT", PATH, body(destination=destination)).status_code == 200
        assert (stored()["secret"], stored()["headers"]) == (SECRET, {"X-Key": key})


def test_one_that_no_key_opens_neither_hides_the_others_nor_stays_so(api: Client) -> None:
    for ref in ("lost", "other"):
        made(api, PATH, body(id=ref))
    copied = Subscription.objects.get(ref="other").sealed_settings
    Subscription.objects.filter(ref="lost").update(sealed_settings=copied)

    assert [each["destination"] for each in api.get(PATH).json()] == [
        {"type": "WEBHOOK", "webhook": {}},
        webhook(secret=HIDDEN),
    ]
    assert "PUT it again" in api.get(f"{PATH}/lost").headers["Clarion-Warnings"]
    assert refusal(ask(api, "POST", PATH, body(id="lost")), 409)["code"] == "id_taken"
    assert refusal(ask(api, "POST", f"{PATH}/lost/rotate-secret", {}), 409)["code"] == "no_secret"
    masked = ask(api, "PUT", PATH, body(id="lost", destination=webhook(secret=HIDDEN)))
    assert wrong_members(masked) == {"destination.webhook.secret"}

    put = ask(api, "PUT", PATH, body(id="lost")).json()

    kept = Subscription.objects.get(ref="lost").settings
    assert put["destination"] == webhook(secret=kept["secret"])
