"""Whatever a destination is answered, it says one of six things; and what it costs to have destinations at all."""

import asyncio
import random
import subprocess
import sys
from typing import Any

import pytest

from clarion import destinations
from clarion.lib.sending import Receipt, SendError
from tests.contracts.parcels import made, outcome_of, outcomes_of, parcel, rerouted, sample_of
from tests.sandbox.scripted import answer, scripted

ANSWERS = 100
STATUSES = [200, 200, 200, 201, 204, 302, 400, 403, 429, 500, 503]
# What makes an answer another: structure, other types, other codes, what no text holds.
PIECES = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"<",
    b">",
    b"</",
    b'"',
    b":",
    b",",
    b"null",
    b"7",
    b"true",
    b"\xff",
    b"\x00",
]
PIECES += [
    b"Id",
    b"Failed",
    b"Successful",
    b"member",
    b"&amp;",
    b"&a;",
    b"<!DOCTYPE a>",
    b"<![CDATA[",
    b"<?xml ?>",
]
PIECES += [
    b"MessageId",
    b'"__type":1',
    b"Code",
    b"\\ud800",
    b"1e999",
    b"{}",
    b"[[[]]]",
    b"<a/>",
    b" xmlns='b'",
]


def spoiled(body: bytes, chance: random.Random) -> bytes:
    """Return the body with up to four places cut out, doubled or replaced."""
    for _ in range(chance.randint(1, 4)):
        start = chance.randint(0, len(body))
        end = min(len(body), start + chance.choice([0, 1, 5, 40]))
        middle = chance.choice([b"", chance.choice(PIECES), body[start:end] * 2])
        body = body[:start] + middle + body[end:]
    return body


@pytest.mark.parametrize("kind", destinations.kinds())
def test_a_spoiled_answer_comes_to_a_receipt_or_one_of_five_errors(kind):
    sample = sample_of(kind)
    bodies = [sample["http"]["accepted"]["body"]]
    if sample["batch"]:
        bodies += [sample["batch"]["answer"]["body"], sample["batch"]["refused"]["body"]]
    chance = random.Random(23)

    async def play(caller: Any) -> None:
        while True:
            await caller.request()
            body = spoiled(chance.choice(bodies).encode(), chance)
            status = chance.choice(STATUSES)
            await caller.say(answer(status, b"" if status == 204 else body))

    async def run() -> None:
        async with scripted(play) as server, rerouted(kind, server.port) as http:
            destination = made(kind, http)
            for _ in range(ANSWERS):
                assert isinstance(await outcome_of(destination), Receipt | SendError)
                if sample["batch"]:
                    outcomes = await outcomes_of(destination, [parcel(number) for number in range(6)])
                    listed = [outcomes] * 6 if isinstance(outcomes, SendError) else outcomes
                    assert len(listed) == 6
                    assert all(isinstance(each, Receipt | SendError) for each in listed)

    asyncio.run(run())


def test_who_sends_nothing_to_aws_does_not_wait_for_its_library():
    code = "import sys; from clarion import destinations as d; d.kinds(); print('botocore' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"
