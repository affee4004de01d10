"""What a message to SQS costs by our own client, and by aiobotocore: `python -m bench.measures.aws MESSAGES PAIRS`.

No part of `make bench`: aiobotocore bears few versions of botocore, and not the one that is pinned. Install it into a .venv
of its own, beside what `clarion/lib` needs. Both sign by the same botocore, on the same loop, 16 calls at a time, one pair
after another, so that they meet the same machine; the median of the pairs.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from statistics import median
from typing import Any

import uvloop

from bench.installation import process, wait_until_listening
from clarion import destinations
from clarion.destinations import Parcel
from clarion.lib.http import HttpClient
from clarion.lib.sending import Receipt
from tests.servers import free_port

AT_ONCE = 16
BODY = '{"type":"ORDER","timestamp":"2026-03-04T05:06:07Z","data":{"text":"' + "a" * 900 + '"}}'
ATTRIBUTES = {"event_id": "e-1", "entity": "ORDER", "operation": "CREATE", "tenant": "default"}
KEYS = ("AKIDEXAMPLE0000000AA", "sampleSecretOfFortyCharacters/0123456789")
# Turns before the measuring begins: connections, caches, imports.
WARM_UP = 100

Send = Callable[[int, int], Awaitable[None]]


def main(messages: int, pairs: int) -> None:
    figures: dict[tuple[str, int], list[tuple[float, float]]] = {}
    with stand_in() as url:
        for _ in range(pairs):
            for size in (10, 1):
                for name, sender in (("ours", ours), ("aiobotocore", rival)):
                    figures.setdefault((name, size), []).append(
                        uvloop.run(measured(sender(url), messages, size))
                    )
    for (name, size), runs in figures.items():
        cpu, rate = (median(each) for each in zip(*runs, strict=True))
        spread = f"{min(each for each, _ in runs):.0f} to {max(each for each, _ in runs):.0f}"
        print(f"{name}, {size} in a call: {cpu:.0f} µs a message ({spread}), {rate:,.0f} messages/s")


async def measured(sender: Any, messages: int, size: int) -> tuple[float, float]:
    """Return the processor time of a message (µs, this process) and messages a second."""
    async with sender as send:
        await all_of(send, WARM_UP * size, size)
        cpu, began = time.process_time(), time.perf_counter()
        await all_of(send, messages, size)
        return (time.process_time() - cpu) / messages * 1e6, messages / (time.perf_counter() - began)


async def all_of(send: Send, messages: int, size: int) -> None:
    numbers = iter(range(0, messages, size))

    async def one_after_another() -> None:
        for first in numbers:
            await send(first, size)

    await asyncio.gather(*(one_after_another() for _ in range(AT_ONCE)))


@asynccontextmanager
async def ours(url: str) -> Any:
    found = destinations.find("sqs")
    settings = {"accessKey": KEYS[0], "accessSecret": KEYS[1], "region": "eu-west-1", "endpoint": url}
    config = found.Config.model_validate({**settings, "queueUrl": f"{url}/000000000000/bench"})
    now = datetime.now(UTC)
    async with HttpClient() as http:
        queue = found(config, http)

        async def call(first: int, size: int) -> None:
            parcels = [Parcel(f"dlv_{first + n}", BODY, ATTRIBUTES, "g", now) for n in range(size)]
            sent = await queue.send_batch(parcels) if size > 1 else [await queue.send(parcels[0])]
            assert all(isinstance(each, Receipt) for each in sent)

        yield call


@asynccontextmanager
async def rival(url: str) -> Any:
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    attributes = {name: {"DataType": "String", "StringValue": text} for name, text in ATTRIBUTES.items()}
    entry = {"MessageBody": BODY, "MessageAttributes": attributes}
    place = {"QueueUrl": f"{url}/000000000000/bench"}
    config = AioConfig(max_pool_connections=AT_ONCE, retries={"total_max_attempts": 1})
    session = get_session()
    keys = {"aws_access_key_id": KEYS[0], "aws_secret_access_key": KEYS[1]}
    async with session.create_client(
        "sqs", endpoint_url=url, region_name="eu-west-1", config=config, **keys
    ) as client:

        async def call(first: int, size: int) -> None:
            if size == 1:
                assert (await client.send_message(**place, **entry))["MessageId"]
                return
            entries = [{"Id": str(n), **entry} for n in range(size)]
            assert len((await client.send_message_batch(**place, Entries=entries))["Successful"]) == size

        yield call


@contextmanager
def stand_in() -> Iterator[str]:
    port = free_port()
    with process({}, "-m", "bench.rivals.queue_stand_in", str(port)):
        wait_until_listening(port)
        yield f"http://127.0.0.1:{port}"


if __name__ == "__main__":
    main(*(int(each) for each in sys.argv[1:]))
