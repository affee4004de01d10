"""What SQS and SNS are set up with, where no setting leads, and whether what arrives is rightly signed."""

import asyncio
import hashlib
import hmac
import re
from typing import Any

import pytest

from clarion import destinations
from clarion.lib.http import HttpClient
from clarion.lib.sending import InDoubt, Misconfigured, Receipt, SendError
from tests.contracts.parcels import made, outcome_of, outcomes_of, parcel, rerouted, sample_of
from tests.sandbox.scripted import Request, answer, scripted

BOTH = ["sqs", "sns"]
PRINTED = {"accessKey": "string", "accessSecret": "string", "queueUrl": "string", "region": "string"}


@pytest.mark.parametrize(("kind", "code", "place"), [("sqs", "url", "queueUrl"), ("sns", "arn", "topicArn")])
def test_the_printed_settings_are_taken_and_named_and_reach_nobody(kind, code, place):
    async def silent(caller: Any) -> None:
        await caller.silence()

    async def run() -> tuple[Any, Any, int]:
        async with scripted(silent) as server, rerouted(kind, server.port) as http:
            destination = destinations.find(kind)(config, http)
            one = await outcome_of(destination)
            return one, await outcomes_of(destination, [parcel(1)]), server.connections

    config = destinations.find(kind).Config.model_validate(PRINTED)
    odd = config.oddities()
    one, several, connections = asyncio.run(run())

    assert [sentence.partition(" ")[0] for sentence in odd] == ["accessKey", "accessSecret", "region", place]
    assert (type(one), one.code) == (type(several), several.code) == (Misconfigured, code)
    assert connections == 0


@pytest.mark.parametrize(
    ("kind", "settings", "code"),
    [
        ("sqs", {"region": "example.com/"}, "region"),
        ("sqs", {"queueUrl": "https://169.254.169.254/000000000000/orders"}, "url"),
        ("sqs", {"queueUrl": "https://sqs.eu-west-1.amazonaws.com.example.com/000000000000/orders"}, "url"),
        ("sns", {"region": "eu-west-1.example.com#"}, "region"),
        ("sns", {"topicArn": "arn:aws:sqs:eu-west-1:000000000000:orders"}, "arn"),
    ],
)
def test_no_setting_leads_elsewhere(kind, settings, code):
    async def run() -> Receipt | SendError:
        async with rerouted(kind, 1) as http:  # fails the test where another origin is called
            return await outcome_of(made(kind, http, **settings))

    outcome = asyncio.run(run())

    assert (type(outcome), outcome.code) == (Misconfigured, code)


def test_a_topic_can_be_given_as_a_queue_but_not_twice():
    config = sample_of("sns")["config"]
    arn = config.pop("topicArn")
    found = destinations.find("sns").Config

    assert found.model_validate({**config, "queueUrl": arn}).topicArn == arn
    with pytest.raises(ValueError, match="queueUrl"):
        found.model_validate({**config, "queueUrl": arn, "topicArn": arn})


# ---------------------------------------------------------------- signature


def signature_of(request: Request, secret: str) -> str:
    """Return the signature that AWS would compute (IAM user guide, "create a signed API request")."""
    said = dict(re.findall(r"(\w+)=([^, ]+)", request.headers["authorization"]))
    names = said["SignedHeaders"]
    lines = [f"{name}:{request.headers[name]}" for name in names.split(";")]
    hashed = hashlib.sha256(request.body).hexdigest()
    canonical = "\n".join([request.method, request.path, "", *lines, "", names, hashed])
    scope = said["Credential"].partition("/")[2]
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), hashlib.sha256)
    moment = request.headers["x-amz-date"]
    text = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    return hmac.digest(key, text.encode(), hashlib.sha256).hex()


@pytest.mark.parametrize("kind", BOTH)
def test_what_arrives_is_signed_as_it_arrives(kind):
    async def play(caller: Any) -> None:
        await caller.request()
        await caller.say(answer(500))

    async def run() -> tuple[Request, str]:
        async with scripted(play) as server, HttpClient() as http:
            await outcome_of(made(kind, http, endpoint=server.url), parcel())
            return server.requests[0], f"127.0.0.1:{server.port}"

    request, host = asyncio.run(run())

    signed = re.search(r"SignedHeaders=([^,]+)", request.headers["authorization"])[1].split(";")
    assert {"content-type", "host", "x-amz-date", "x-amz-security-token"} <= set(signed)
    assert request.headers["host"] == host
    signature = signature_of(request, sample_of(kind)["config"]["accessSecret"])
    assert request.headers["authorization"].endswith(f"Signature={signature}")


def test_a_wrong_clock_is_said():
    said = answer(403, b'{"__type":"SignatureDoesNotMatch"}', "Date: Mon, 02 Jan 2006 15:04:05 GMT")

    async def play(caller: Any) -> None:
        await caller.request()
        await caller.say(said)

    async def run() -> Any:
        async with scripted(play) as server, rerouted("sqs", server.port) as http:
            return await outcome_of(made("sqs", http))

    error = asyncio.run(run())

    assert (type(error), error.code) == (Misconfigured, "SignatureDoesNotMatch")
    assert re.fullmatch(r"AWS says SignatureDoesNotMatch: our clock is \+[0-9]+ s off theirs", error.detail)


def test_an_entry_that_is_said_to_have_failed_and_not_is_in_doubt():
    said = b'{"Successful":[{"Id":"0","MessageId":"a"}],"Failed":[{"Id":"0","Code":"X","SenderFault":true}]}'

    async def play(caller: Any) -> None:
        await caller.request()
        await caller.say(answer(200, said))

    async def run() -> Any:
        async with scripted(play) as server, rerouted("sqs", server.port) as http:
            return await outcomes_of(made("sqs", http), [parcel(1)])

    assert [type(each) for each in asyncio.run(run())] == [InDoubt]
