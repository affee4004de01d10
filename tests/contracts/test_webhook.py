"""The webhook's own part: what a receiver can verify, rotation, headers, and where it never goes."""

import asyncio
import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from clarion import destinations
from clarion.destinations import Parcel
from clarion.lib.http import HttpClient
from clarion.lib.sending import Gone, InDoubt, Misconfigured, NotSent, Receipt, Refused, SendError, Throttled
from tests.contracts.parcels import AT, outcome_of, parcel
from tests.sandbox.scripted import Request, Script, answer, answering, scripted

Webhook = destinations.find("webhook")
HOUR = timedelta(hours=1)
# The verifier has a clock of its own, and takes what is at most five minutes off it.
NOW = datetime.now(UTC)


def secret_of(byte: bytes, length: int = 32) -> str:
    return "whsec_" + base64.b64encode(byte * length).decode()


OLD, NEW, NEWEST = secret_of(b"o"), secret_of(b"n"), secret_of(b"x")


def sent(
    settings: Mapping[str, Any], what: Parcel, script: Script | None = None
) -> tuple[Receipt | SendError, Request]:
    """Send one parcel to a path of a server on loopback; return the outcome and the request."""

    async def run() -> tuple[Receipt | SendError, Request]:
        async with scripted(script or answering(answer(200))) as server, HttpClient() as http:
            whole = {"url": f"{server.url}/hooks?a=%20b&c", "secret": NEW, **settings}
            outcome = await outcome_of(Webhook(Webhook.Config.model_validate(whole), http), what)
            (request,) = server.requests
            return outcome, request

    return asyncio.run(run())


def verified(request: Request, secret: str, **changed: str) -> object:
    headers = {name: request.headers[name] for name in request.headers if name.startswith("webhook-")}
    body = changed.pop("body", request.body.decode())
    changes = {f"webhook-{name}": value for name, value in changed.items()}
    return Verifier(secret).verify(body, {**headers, **changes})


def test_a_receiver_can_verify_what_came():
    receipt, request = sent({}, parcel(at=NOW))

    assert receipt == Receipt(code="200")
    assert (request.method, request.path) == ("POST", "/hooks?a=%20b&c")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == "dlv_1"
    assert request.headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    assert verified(request, NEW) == {"type": "ORDER", "text": "nobody's business: Привет"}


@pytest.mark.parametrize("length", [24, 32, 64])
def test_a_secret_has_24_to_64_bytes(length):
    secret = secret_of(b"k", length)
    _, request = sent({"secret": secret}, parcel(at=NOW))

    assert verified(request, secret)
    for wrong in (secret_of(b"k", 23), secret_of(b"k", 65)):
        with pytest.raises(ValidationError):
            Webhook.Config(url="https://example.com/", secret=wrong)


@pytest.mark.parametrize(
    "changed",
    [
        {"body": '{"type":"ORDER","text":"another"}'},
        {"body": '{"type":"ORDER","text":"nobody\'s business: Привет"} '},
        {"id": "dlv_2"},
        {"timestamp": str(int(NOW.timestamp()) + 1)},
        {"signature": "v1,bm90IGEgc2lnbmF0dXJl"},
    ],
)
def test_what_was_changed_on_the_way_is_found_out(changed):
    _, request = sent({}, parcel(at=NOW))

    with pytest.raises(WebhookVerificationError):
        verified(request, NEW, **changed)


def test_another_secret_verifies_nothing():
    _, request = sent({}, parcel(at=NOW))

    with pytest.raises(WebhookVerificationError):
        verified(request, OLD)


# ---------------------------------------------------------------- rotation


def test_a_secret_is_made_where_none_is_sent():
    one, other = (Webhook.completed({"url": "https://example.com/"}, None, NOW) for _ in range(2))

    assert len(base64.b64decode(one["secret"].removeprefix("whsec_"))) == 32
    assert one["secret"] != other["secret"]
    assert one == {"url": "https://example.com/", "secret": one["secret"]}
    assert Webhook.completed({"url": "https://example.com/", "secret": None}, one, NOW) == one


def test_after_a_rotation_both_secrets_sign_for_a_day():
    stored = {"url": "https://example.com/", "secret": OLD}
    settings = Webhook.completed({**stored, "secret": NEW}, stored, NOW - 23 * HOUR)
    settings.pop("url")

    _, request = sent(settings, parcel(at=NOW))

    assert len(request.headers["webhook-signature"].split(" ")) == 2
    assert verified(request, OLD) == verified(request, NEW)


def test_a_day_later_the_old_secret_signs_no_more():
    stored = {"url": "https://example.com/", "secret": OLD}
    settings = Webhook.completed({**stored, "secret": NEW}, stored, NOW - 24 * HOUR)
    settings.pop("url")

    _, request = sent(settings, parcel(at=NOW))

    assert verified(request, NEW)
    with pytest.raises(WebhookVerificationError):
        verified(request, OLD)


def test_rotating_twice_in_a_day_keeps_each_for_its_own_day():
    settings: dict[str, Any] = {"secret": OLD}
    settings = Webhook.completed({"secret": NEW}, settings, NOW)
    settings = Webhook.completed({"secret": NEWEST}, settings, NOW + 10 * HOUR)

    assert [each["secret"] for each in settings["oldSecrets"]] == [NEW, OLD]
    later = Webhook.completed({"secret": NEWEST}, settings, NOW + 25 * HOUR)
    assert [each["secret"] for each in later["oldSecrets"]] == [NEW]
    assert "oldSecrets" not in Webhook.completed({"secret": NEWEST}, settings, NOW + 35 * HOUR)


def test_a_secret_that_comes_back_is_no_old_one():
    settings = Webhook.completed({"secret": NEW}, {"secret": OLD}, NOW)
    settings = Webhook.completed({"secret": OLD}, settings, NOW + HOUR)

    assert [each["secret"] for each in settings["oldSecrets"]] == [NEW]


def test_nobody_can_send_old_secrets():
    theirs = [{"secret": NEWEST, "until": "2100-01-01T00:00:00Z"}]

    assert Webhook.completed({"secret": NEW, "oldSecrets": theirs}, {"secret": NEW}, NOW) == {"secret": NEW}


def test_however_often_one_rotates_the_header_stays_short():
    settings: dict[str, Any] = {"secret": OLD}
    for number in range(100, 150):
        settings = Webhook.completed({"secret": secret_of(bytes([number]))}, settings, NOW)

    assert len(settings["oldSecrets"]) == 8
    settings["url"] = "https://example.com/"
    Webhook.Config.model_validate(settings)


# ---------------------------------------------------------------- headers


def test_headers_of_the_settings_and_attributes_go_along():
    attributes = {"event_id": "e-1", "entityType": "ORDER", "tenant": "default", "Clarion": "x"}
    _, request = sent({"headers": {"Authorization": "Bearer a b"}}, parcel(at=NOW, attributes=attributes))

    assert request.headers["authorization"] == "Bearer a b"
    ours = {name: value for name, value in request.headers.items() if name.startswith("clarion-")}
    assert ours == {
        "clarion-event-id": "e-1",
        "clarion-entity-type": "ORDER",
        "clarion-tenant": "default",
        "clarion-clarion": "x",
    }


@pytest.mark.parametrize(
    "attributes",
    [
        {"entity": "Заказ"},
        {"entity": "a\r\nwebhook-id: 1"},
        {"entity": ""},
        {"entity": " a"},
        {"entity": "a" * 257},
        {"a b": "c"},
        {"a\r\nb": "c"},
        {"й": "c"},
    ],
)
def test_an_attribute_that_no_header_can_hold_stays_in_the_body(attributes):
    receipt, request = sent({}, parcel(at=NOW, attributes=attributes))

    assert receipt == Receipt(code="200")
    assert not [name for name in request.headers if name.startswith("clarion-")]
    assert verified(request, NEW)


# ---------------------------------------------------------------- answers


def test_a_redirect_is_not_followed():
    async def run() -> tuple[Receipt | SendError, int]:
        async with scripted(answering(answer(200))) as elsewhere:
            away = answering(answer(307, b"", f"Location: {elsewhere.url}/"))
            async with scripted(away) as server, HttpClient() as http:
                config = Webhook.Config(url=server.url, secret=NEW)
                return await outcome_of(Webhook(config, http)), elsewhere.connections

    outcome, connections = asyncio.run(run())

    assert (type(outcome), outcome.code, connections) == (NotSent, "307", 0)


@pytest.mark.parametrize(
    ("status", "headers", "expected", "wait"),
    [
        (410, ["Retry-After: 9"], Gone, None),
        (429, [], Throttled, None),
        (429, ["Retry-After: 9"], Throttled, 9),
        (429, ["Retry-After: -9"], Throttled, None),
        (503, ["Retry-After: 9"], Throttled, 9),
        (502, ["Retry-After: 9"], Throttled, 9),
        (504, ["Retry-After: 9999999"], Throttled, 86_400),
        (503, [], NotSent, None),
        (502, [], InDoubt, None),
        (504, ["Retry-After: soon"], InDoubt, None),
        (500, ["Retry-After: 9"], InDoubt, None),
        (400, ["Retry-After: 9"], NotSent, None),
        (422, [], NotSent, None),
        (413, [], NotSent, None),
        (600, [], InDoubt, None),
    ],
)
def test_what_a_status_comes_to(status, headers, expected, wait):
    outcome, _ = sent({}, parcel(), answering(answer(status, b"", *headers)))

    assert (type(outcome), outcome.retry_after) == (expected, wait)


def test_a_receiver_who_repeats_secrets_is_masked():
    path = "a-path-that-nobody-may-know"
    bare = NEW.removeprefix("whsec_")
    said = f"{path}?key=1 {NEW} {bare} Bearer abcd /ok"

    async def run() -> Receipt | SendError:
        async with scripted(answering(answer(500, said.encode()))) as server, HttpClient() as http:
            settings = {
                "url": f"{server.url}/{path}?key=1",
                "secret": NEW,
                "headers": {"X-Key": "Bearer abcd"},
            }
            return await outcome_of(Webhook(Webhook.Config.model_validate(settings), http))

    assert asyncio.run(run()).excerpt == "******** ******** ******** ******** /ok"


def test_what_cannot_be_sent_at_all_asks_nobody():
    async def run(config: Any, what: Parcel) -> Receipt | SendError:
        async with HttpClient() as http:
            return await outcome_of(Webhook(config, http), what)

    url = "http://127.0.0.1:1/"
    without = asyncio.run(run(Webhook.Config(url=url), parcel()))
    assert (type(without), without.code) == (Misconfigured, "secret")
    torn = asyncio.run(run(Webhook.Config(url=url, secret=NEW), parcel(body='"\ud800"')))
    assert (type(torn), torn.code) == (Refused, "text")


def test_the_same_parcel_has_the_same_id_and_another_moment_in_each_try():
    _, first = sent({}, parcel(at=AT))
    _, second = sent({}, parcel(at=AT + HOUR))

    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 3600
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


@pytest.mark.parametrize(("url", "odd"), [("http://example.com", 1), ("https://example.com", 0)])
def test_plain_http_is_taken_and_named(url, odd):
    assert len(Webhook.Config(url=url).oddities()) == odd
