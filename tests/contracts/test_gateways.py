"""The promise every gateway keeps, run over all that are registered. Each needs one file in samples/gateways.

A sample holds a config with its secrets, an address, and (unless the gateway has no HTTP: null) the origin
and route it calls, an answer that means "accepted", and the receipt that comes of it.
"""

import asyncio
import json
import socket
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from clarion import gateways
from clarion.gateways import Gateway, MessageContent
from clarion.lib.http import Answer, HttpClient
from clarion.lib.plugins import BadPlugin
from clarion.lib.sending import InDoubt, Misconfigured, NotSent, Receipt, Refused, SendError, Throttled
from tests.sandbox.scripted import Script, answer, hanging, scripted

SAMPLES = Path(__file__).parent.parent / "samples" / "gateways"
TEXT = "a text that is nobody's business"
SOON = 0.2  # seconds a gateway waits here for an answer that does not come


def sample_of(kind: str) -> dict[str, Any]:
    path = SAMPLES / f"{kind}.json"
    assert path.exists(), f"gateway {kind!r} has no sample: write {path.relative_to(SAMPLES.parent.parent)}"
    sample: dict[str, Any] = json.loads(path.read_bytes())
    return sample


def with_http() -> list[str]:
    """Return the kinds whose sample speaks of HTTP; one without a sample is among them, and fails."""
    return [
        kind
        for kind in gateways.kinds()
        if not (SAMPLES / f"{kind}.json").exists() or sample_of(kind)["http"] is not None
    ]


class Rerouted(HttpClient):
    """The real client; what is meant for the provider's origin goes to a port on loopback."""

    patience: float = SOON

    def __init__(self, origin: str, port: int) -> None:
        super().__init__()
        self._away_from, self._to = origin, f"http://127.0.0.1:{port}"

    async def post(
        self,
        url: str,
        content: bytes,
        *,
        kind: str = "application/json",
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        secrets: tuple[str, ...] = (),
    ) -> Answer:
        assert url.startswith(self._away_from), "a gateway calls no origin but its sample's"
        url = url.replace(self._away_from, self._to, 1)
        return await super().post(
            url, content, kind=kind, headers=headers, timeout=self.patience, secrets=secrets
        )


def gateway_of(kind: str, http: HttpClient) -> Gateway:
    found = gateways.find(kind)
    return found(found.Config.model_validate(sample_of(kind)["config"]), http)


def message_for(kind: str) -> MessageContent:
    return MessageContent(id=7, to=sample_of(kind)["to"], text=TEXT)


async def outcome_of(kind: str, port: int) -> Receipt | SendError:
    """Send the sample's message to this port; whatever is raised and is no SendError fails the test."""
    async with Rerouted((sample_of(kind)["http"] or {"origin": "-"})["origin"], port) as http:
        try:
            return await gateway_of(kind, http).send(message_for(kind))
        except SendError as error:
            return error


def answering_with(status: int, *headers: str) -> Script:
    """Return a script that answers with the whole request, the most indiscreet answer there is."""

    async def play(caller: Any) -> None:
        request = await caller.request()
        await caller.say(answer(status, f"{request.headers} {request.body.decode()}".encode(), *headers))

    return play


async def outcome_with(kind: str, script: Script) -> Receipt | SendError:
    async with scripted(script) as server:
        outcome = await outcome_of(kind, server.port)
        assert len(server.requests) == 1, "one send is one request"
        return outcome


def assert_discreet(kind: str, error: SendError) -> None:
    shown = (
        str(error),
        repr(error),
        error.detail,
        error.code,
        error.excerpt,
        *traceback.format_exception(error),
    )
    for secret in sample_of(kind)["secrets"]:
        assert not [each for each in shown if secret in each]
    assert len(error.excerpt.encode()) <= 2048


def test_every_sample_belongs_to_a_gateway():
    assert {path.stem for path in SAMPLES.glob("*.json")} == set(gateways.kinds())


@pytest.mark.parametrize("kind", with_http())
def test_an_accepted_answer_becomes_a_receipt(kind):
    sample = sample_of(kind)

    async def run() -> Receipt | SendError:
        accepted = sample["http"]["accepted"]

        async def play(caller: Any) -> None:
            request = await caller.request()
            assert request.path == sample["http"]["route"]
            await caller.say(answer(accepted["status"], accepted["body"].encode()))

        return await outcome_with(kind, play)

    assert asyncio.run(run()) == Receipt(**sample["receipt"])


@pytest.mark.parametrize("kind", sorted(set(gateways.kinds()) - set(with_http())))
def test_a_gateway_without_http_needs_nobody(kind):
    assert asyncio.run(outcome_of(kind, port=1)) == Receipt(**sample_of(kind)["receipt"])


@pytest.mark.parametrize("kind", with_http())
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param(answering_with(400), Refused, id="400"),
        pytest.param(answering_with(401), Misconfigured, id="401"),
        pytest.param(answering_with(429, "Retry-After: 30"), Throttled, id="429"),
        pytest.param(answering_with(500), InDoubt, id="500"),
        pytest.param(hanging, InDoubt, id="read timeout"),
    ],
)
def test_every_failure_is_exactly_one_error_and_tells_no_secret(kind, script, expected):
    error = asyncio.run(outcome_with(kind, script))

    assert type(error) is expected
    assert error.retry_after == (30 if expected is Throttled else None)
    assert_discreet(kind, error)


@pytest.mark.parametrize("kind", with_http())
def test_a_refused_connection_is_not_sent(kind):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        error = asyncio.run(outcome_of(kind, unused.getsockname()[1]))

    assert type(error) is NotSent
    assert_discreet(kind, error)


@pytest.mark.parametrize("kind", gateways.kinds())
def test_no_secret_shows_in_what_is_printed(kind):
    sample = sample_of(kind)
    gateway = gateway_of(kind, HttpClient())

    for secret in sample["secrets"]:
        assert secret in json.dumps(sample["config"]), "the sample's secret is not in its config"
        assert secret not in repr(gateway)
        assert secret not in f"{gateway.config!r} {gateway.config} {gateway.config.model_dump_json()}"


@pytest.mark.parametrize("kind", gateways.kinds())
def test_a_config_with_an_unknown_member_is_refused_without_repeating_the_rest(kind):
    sample = sample_of(kind)

    with pytest.raises(ValidationError, match="not_a_setting") as caught:
        gateways.find(kind).Config.model_validate({**sample["config"], "not_a_setting": 1})

    assert not [secret for secret in sample["secrets"] if secret in str(caught.value)]


def test_neither_address_nor_text_shows_in_a_printed_message():
    assert repr(MessageContent(7, "70000001234", TEXT)) == "MessageContent(id=7)"


@pytest.mark.parametrize(
    ("members", "wrong"),
    [
        ({"kind": "Not Snake", "channel": "sms", "doubt": "hold"}, "lower_snake_case"),
        ({"kind": "fax", "doubt": "hold"}, "needs a channel"),
        ({"kind": "fax", "channel": "fax", "doubt": "perhaps"}, "'resend' or 'hold'"),
        ({"kind": "fax", "channel": "fax", "doubt": "hold", "Config": BaseModel}, "does not extend"),
    ],
)
def test_a_gateway_that_breaks_the_rules_cannot_even_be_written(members, wrong):
    with pytest.raises(BadPlugin, match=wrong):
        type("Fax", (Gateway,), members)


def test_an_unknown_kind_names_the_known_ones():
    with pytest.raises(gateways.UnknownKind, match=r"'pigeon'; known: .*log, probe"):
        gateways.find("pigeon")
