"""The promise every destination keeps, run over all that are registered: what each answer comes to. Each needs one sample.

A sample holds settings with their secrets and what else nobody may read (`hidden`), settings that are refused, the
origin and route that are called, an answer that means "accepted" and its receipt, what each status comes to, and for
one that takes batches an answer that differs from entry to entry, and one that refuses all.
"""

import asyncio
import json
import socket
import traceback
from collections.abc import Mapping
from typing import Any

import pytest

from clarion import destinations
from clarion.lib.http import Answer
from clarion.lib.sending import Gone, InDoubt, Misconfigured, NotSent, Receipt, Refused, SendError, Throttled
from tests.contracts.parcels import (
    PATIENCE,
    SAMPLES,
    made,
    outcome_of,
    outcomes_of,
    parcel,
    rerouted,
    sample_of,
)
from tests.contracts.test_gateways import SOON, Rerouted
from tests.sandbox.scripted import Script, answer, hanging, scripted

KINDS = destinations.kinds()
OF_BATCHES = [kind for kind in KINDS if destinations.find(kind).batch_size > 1]
OUTCOMES = {each.__name__: each for each in (Gone, InDoubt, Misconfigured, NotSent, Refused, Throttled)}
OUTCOMES["Receipt"] = Receipt

every_kind = pytest.mark.parametrize("kind", KINDS)
every_batch = pytest.mark.parametrize("kind", OF_BATCHES)


def answering_with(status: int, *headers: str) -> Script:
    """Return a script that answers with the whole request and the settings, the most indiscreet answer there is."""

    async def play(caller: Any) -> None:
        request = await caller.request()
        everything = f"{request.path} {request.headers} {request.body.decode()}"
        settings = [json.dumps(sample_of(kind)["config"]) for kind in KINDS]
        await caller.say(answer(status, " ".join([everything, *settings]).encode(), *headers))

    return play


def saying(said: Mapping[str, Any]) -> Script:
    async def play(caller: Any) -> None:
        while True:
            await caller.request()
            await caller.say(answer(said["status"], said["body"].encode()))

    return play


async def resetting(caller: Any) -> None:
    await caller.request()
    caller.reset()


async def garbling(caller: Any) -> None:
    await caller.request()
    await caller.say(b"SMTP ready\r\n\r\n")


async def never_ending(caller: Any) -> None:
    await caller.request()
    await caller.say(b"HTTP/1.1 200 OK\r\n\r\n<")
    while True:
        await caller.say(b"a" * 8192)


def patience(script: Script) -> float:
    return SOON if script is hanging else PATIENCE


def sent(kind: str, script: Script) -> Receipt | SendError:
    """Send the sample's parcel to this script: one send is one request."""

    async def run() -> Receipt | SendError:
        async with scripted(script) as server, rerouted(kind, server.port, patience=patience(script)) as http:
            outcome = await outcome_of(made(kind, http))
            assert len(server.requests) == 1
            return outcome

    return asyncio.run(run())


def sent_batch(kind: str, script: Script, parcels: list[Any]) -> Any:
    async def run() -> Any:
        async with scripted(script) as server, rerouted(kind, server.port, patience=patience(script)) as http:
            return await outcomes_of(made(kind, http), parcels)

    return asyncio.run(run())


def assert_discreet(kind: str, error: SendError) -> None:
    shown = (
        str(error),
        repr(error),
        error.detail,
        error.code,
        error.excerpt,
        *traceback.format_exception(error),
    )
    for secret in sample_of(kind)["secrets"] + sample_of(kind)["hidden"]:
        assert not [each for each in shown if secret in each]
    assert len(error.excerpt.encode()) <= 2048


def test_every_sample_belongs_to_a_destination():
    assert {path.stem for path in SAMPLES.glob("*.json")} == set(KINDS)


@every_kind
def test_an_accepted_answer_becomes_a_receipt(kind):
    sample = sample_of(kind)

    async def play(caller: Any) -> None:
        assert (await caller.request()).path == sample["http"]["route"]
        await caller.say(
            answer(sample["http"]["accepted"]["status"], sample["http"]["accepted"]["body"].encode())
        )

    assert sent(kind, play) == Receipt(**sample["receipt"])


@every_kind
@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 410, 500, 502, 503])
def test_each_status_comes_to_one_outcome_and_tells_no_secret(kind, status):
    outcome = sent(kind, answering_with(status))

    assert type(outcome) is OUTCOMES[sample_of(kind)["answers"][str(status)]]
    if isinstance(outcome, SendError):
        assert outcome.code == str(status)
        assert outcome.retry_after is None
        assert_discreet(kind, outcome)


@every_kind
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param(answering_with(429, "Retry-After: 30"), Throttled, id="429"),
        pytest.param(answering_with(503, "Retry-After: 30"), Throttled, id="503 with Retry-After"),
        pytest.param(hanging, InDoubt, id="read timeout"),
        pytest.param(resetting, InDoubt, id="reset"),
        pytest.param(garbling, InDoubt, id="no HTTP"),
    ],
)
def test_whatever_else_happens_is_exactly_one_error(kind, script, expected):
    error = sent(kind, script)

    assert type(error) is expected
    assert error.retry_after == (30 if expected is Throttled else None)
    assert_discreet(kind, error)


@every_kind
def test_an_endless_answer_is_read_to_its_limit_only(kind):
    assert type(sent(kind, never_ending)) is OUTCOMES[sample_of(kind)["answers"]["200"]]


@every_kind
def test_a_refused_connection_is_not_sent(kind):
    async def run(port: int) -> Receipt | SendError:
        async with rerouted(kind, port) as http:
            return await outcome_of(made(kind, http))

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        error = asyncio.run(run(unused.getsockname()[1]))

    assert type(error) is NotSent
    assert_discreet(kind, error)


@every_kind
def test_a_time_limit_before_the_request_was_written_is_not_sent(kind):
    async def silent(caller: Any) -> None:
        await caller.silence()  # where a TLS handshake is due

    class Encrypted(Rerouted):
        async def post(self, url: str, *args: Any, **named: Any) -> Answer:
            self._to = self._to.replace("http:", "https:")
            return await super().post(url, *args, **named)

    async def run() -> Receipt | SendError:
        async with (
            scripted(silent) as server,
            Encrypted(sample_of(kind)["http"]["origin"], server.port) as http,
        ):
            return await outcome_of(made(kind, http))

    error = asyncio.run(run())

    assert (type(error), error.code) == (NotSent, "timeout")
    assert_discreet(kind, error)


@every_batch
def test_each_of_a_batch_has_its_own_outcome_in_the_order_given(kind):
    parcels = [parcel(number) for number in range(7)]

    outcomes = sent_batch(kind, saying(sample_of(kind)["batch"]["answer"]), parcels)

    # 0 and 3 were taken, 6 is not spoken of.
    assert [type(each) for each in outcomes] == [
        Receipt,
        Refused,
        InDoubt,
        Receipt,
        Throttled,
        Misconfigured,
        InDoubt,
    ]
    assert (outcomes[0].provider_id, outcomes[3].provider_id) == ("p-1", "p-4")


@every_batch
def test_a_batch_that_is_refused_as_a_whole_says_so_once(kind):
    error = sent_batch(kind, saying(sample_of(kind)["batch"]["refused"]), [parcel(1), parcel(2)])

    assert (type(error), error.code) == (Refused, "BatchRequestTooLong")


@every_batch
@pytest.mark.parametrize(
    ("script", "expected"), [(answering_with(401), Misconfigured), (hanging, InDoubt), (garbling, InDoubt)]
)
def test_what_happens_to_a_whole_batch_is_one_error(kind, script, expected):
    error = sent_batch(kind, script, [parcel(1), parcel(2)])

    assert type(error) is expected
    assert_discreet(kind, error)
