"""The probe gateway's own part: what it sends, which body means "taken", and what it takes as settings."""

import asyncio
import json

import pytest
from pydantic import ValidationError

from clarion import gateways
from clarion.gateways import MessageContent
from clarion.lib.http import HttpClient
from clarion.lib.sending import InDoubt, Receipt, Refused
from tests.sandbox.scripted import Script, Scripted, answer, answering, scripted

Probe = gateways.find("probe")


def send(script: Script, *, to: str = "70000001234") -> tuple[Receipt, Scripted]:
    async def run() -> tuple[Receipt, Scripted]:
        async with scripted(script) as server, HttpClient() as http:
            gateway = Probe(Probe.Config(base_url=server.url + "/", token="t.o.k", timeout=1), http)
            return await gateway.send(MessageContent(7, to, "Привет")), server

    return asyncio.run(run())


OK = answer(200, b'{"code": 0, "message": "OK"}')


def test_a_message_goes_out_under_its_id_with_the_token():
    receipt, server = send(answering(OK))

    (request,) = server.requests
    assert receipt == Receipt(provider_id="7", code="0")
    assert (request.method, request.path) == ("POST", "/v1/send/7")
    assert request.headers["authorization"] == "Bearer t.o.k"
    assert json.loads(request.body) == {"id": 7, "phone": 70000001234, "text": "Привет"}


def test_a_plus_sign_is_no_part_of_the_number():
    _, server = send(answering(OK), to="+70000001234")

    assert json.loads(server.requests[0].body)["phone"] == 70000001234


@pytest.mark.parametrize(
    "to", ["", "bob@example.com", "7000 0001234", "٧٠٠٠", "7_000", "-7", "7" * 16, "7\n"]
)
def test_an_address_that_is_no_number_is_refused_without_asking_anybody(to):
    with pytest.raises(Refused):
        send(answering(), to=to)


@pytest.mark.parametrize(
    "raw",
    [
        answer(200, b'{"code":0,"message":"OK","trace":"x"}'),
        answer(200, b' {"message":"OK","code":0}\r\n', "Content-Type: text/plain"),
    ],
)
def test_more_than_was_promised_does_not_hide_that_it_was_taken(raw):
    receipt, _ = send(answering(raw))

    assert receipt.code == "0"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"OK",
        b"<html><h1>It works!</h1></html>",
        b'{"code":0,"mess',
        b'{"code":1,"message":"OK"}',
        b'{"code":0,"message":"ok"}',
        b'{"code":"0","message":"OK"}',
        b'{"code":false,"message":"OK"}',
        b'{"code":0.0,"message":"OK"}',
        b'{"code":0}',
        b'{"code":1,"code":0,"message":"OK"}',
        b'{"code":0,"message":"OK","x":NaN}',
        b'[{"code":0,"message":"OK"}]',
        b"null",
        b"[" * 60_000,
        '{"code":0,"message":"OK"}'.encode("utf-16"),
    ],
)
def test_a_200_that_says_anything_else_leaves_us_in_doubt(body):
    with pytest.raises(InDoubt) as caught:
        send(answering(answer(200, body)))

    assert caught.value.code == "200"


@pytest.mark.parametrize("status", [201, 202, 204])
def test_another_2xx_leaves_us_in_doubt(status):
    with pytest.raises(InDoubt):
        send(answering(answer(status, b"" if status == 204 else b'{"code":0,"message":"OK"}')))


@pytest.mark.parametrize(
    "config",
    [
        {"base_url": "https://bob:pw@example.com", "token": "t"},
        {"base_url": "https://bob@example.com", "token": "t"},
        {"base_url": "ftp://example.com", "token": "t"},
        {"base_url": "https://example.com?a=b", "token": "t"},
        {"base_url": "https://example.com/#a", "token": "t"},
        {"base_url": "https:///v1", "token": "t"},
        {"base_url": "example.com", "token": "t"},
        {"base_url": "https://exa mple.com", "token": "t"},
        {"base_url": "https://example.com", "token": ""},
        {"base_url": "https://example.com", "token": "t\r\nX-Evil: 1"},
        {"base_url": "https://example.com", "token": "t", "timeout": 0},
        {"base_url": "https://example.com", "token": "t", "timeout": 3600},
        {"base_url": "https://example.com"},
        {"token": "t"},
    ],
)
def test_settings_that_cannot_work_are_refused(config):
    with pytest.raises(ValidationError):
        Probe.Config.model_validate(config)


def test_its_settings_describe_themselves():
    schema = Probe.Config.model_json_schema()

    assert schema["required"] == ["base_url", "token"]
    assert schema["properties"]["base_url"]["format"] == "uri"
    assert schema["properties"]["token"]["format"] == "password"
    assert all("description" in each for each in schema["properties"].values())
