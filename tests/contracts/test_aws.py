"""SQS and SNS against another's stand-in for AWS (moto), read by AWS's own client."""

import asyncio
import hashlib
import json
import logging
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from clarion import destinations
from clarion.destinations import Parcel
from clarion.lib.http import HttpClient
from clarion.lib.sending import Misconfigured, Receipt, Refused, SendError
from tests.contracts.parcels import BODY, outcome_of, outcomes_of, parcel

# One server and its queues: tests of this file belong to one worker.
pytestmark = pytest.mark.xdist_group("moto")

REGION, ACCOUNT = "eu-west-1", "123456789012"
KEYS = {"accessKey": "AKIDEXAMPLE0000000AA", "accessSecret": "a-secret", "region": REGION}
BOTH = ["sqs", "sns"]


class Aws:
    """The stand-in, and AWS's own clients for it."""

    def __init__(self, url: str) -> None:
        self.url = url
        mine = {"aws_access_key_id": "AKIDEXAMPLE0000000AA", "aws_secret_access_key": "a-secret"}
        self.sqs: Any = boto3.client("sqs", endpoint_url=url, region_name=REGION, **mine)
        self.sns: Any = boto3.client("sns", endpoint_url=url, region_name=REGION, **mine)
        self.made = 0

    def place(self, kind: str, *, is_fifo: bool = False, **attributes: str) -> "Place":
        """Make a new queue, and for SNS a topic that it is subscribed to."""
        self.made += 1
        name = f"place-{self.made}" + (".fifo" if is_fifo else "")
        fifo = {"FifoQueue": "true"} if is_fifo else {}
        queue = self.sqs.create_queue(QueueName=name, Attributes={**fifo, **attributes})["QueueUrl"]
        settings: dict[str, Any] = {**KEYS, "endpoint": self.url}
        if kind == "sqs":
            return Place(self, kind, {**settings, "queueUrl": queue}, queue)
        fifo = {"FifoTopic": "true"} if is_fifo else {}
        topic = self.sns.create_topic(Name=name, Attributes=fifo)["TopicArn"]
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
        raw = {"RawMessageDelivery": "true"}
        self.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=raw)
        return Place(self, kind, {**settings, "topicArn": topic}, queue)


class Place:
    """Where parcels are sent to, and the queue that they can be read from."""

    def __init__(self, aws: Aws, kind: str, settings: dict[str, Any], queue: str) -> None:
        self.aws, self.kind, self.settings, self.queue = aws, kind, settings, queue

    def send(self, *parcels: Parcel) -> list[Any]:
        """Send them one by one."""

        async def run() -> list[Receipt | SendError]:
            async with HttpClient() as http:
                found = destinations.find(self.kind)
                destination = found(found.Config.model_validate(self.settings), http)
                return [await outcome_of(destination, each) for each in parcels]

        return asyncio.run(run())

    def send_batch(self, *parcels: Parcel) -> Any:
        async def run() -> list[Receipt | SendError] | SendError:
            async with HttpClient() as http:
                found = destinations.find(self.kind)
                destination = found(found.Config.model_validate(self.settings), http)
                return await outcomes_of(destination, parcels)

        return asyncio.run(run())

    def read(self) -> list[dict[str, Any]]:
        """Take everything out of the queue."""
        messages: list[dict[str, Any]] = []
        while some := self.aws.sqs.receive_message(
            QueueUrl=self.queue,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=0,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        ).get("Messages"):
            for each in some:
                self.aws.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=each["ReceiptHandle"])
            messages += some
        return messages


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield Aws(f"http://{host}:{port}")
    server.stop()


@pytest.mark.parametrize("kind", BOTH)
def test_a_consumer_reads_what_was_sent_with_its_attributes(aws, kind):
    place = aws.place(kind)

    (receipt,) = place.send(parcel(1))

    (message,) = place.read()
    assert receipt.provider_id
    assert kind == "sns" or receipt.provider_id == message["MessageId"]
    assert message["Body"] == BODY
    attributes = {name: each["StringValue"] for name, each in message["MessageAttributes"].items()}
    assert attributes == {"event_id": "e-1", "entity": "ORDER", "operation": "CREATE", "tenant": "default"}


@pytest.mark.parametrize("kind", BOTH)
def test_a_batch_arrives_whole_each_with_its_own_receipt(aws, kind):
    place = aws.place(kind)
    parcels = [parcel(number, body=json.dumps({"number": number})) for number in range(10)]

    receipts = place.send_batch(*parcels)

    assert sorted(json.loads(each["Body"])["number"] for each in place.read()) == list(range(10))
    assert len({receipt.provider_id for receipt in receipts}) == 10


@pytest.mark.parametrize("kind", BOTH)
def test_fifo_takes_the_try_after_a_lost_answer_for_the_same(aws, kind):
    place = aws.place(kind, is_fifo=True)

    place.send(parcel(1), parcel(1), parcel(2))
    place.send_batch(parcel(2), parcel(3))

    assert [each["MessageAttributes"]["event_id"]["StringValue"] for each in place.read()] == [
        "e-1",
        "e-2",
        "e-3",
    ]


@pytest.mark.parametrize("kind", BOTH)
def test_fifo_keeps_the_order_within_a_group(aws, kind):
    place = aws.place(kind, is_fifo=True)
    parcels = [parcel(number, group=f"ORDER {number % 2}") for number in range(20)]

    place.send_batch(*parcels[:10])
    place.send_batch(*parcels[10:])

    groups: dict[str, list[int]] = {}
    for message in place.read():
        number = int(message["MessageAttributes"]["event_id"]["StringValue"].partition("-")[2])
        groups.setdefault(message["Attributes"]["MessageGroupId"], []).append(number)
    assert sorted(groups.values()) == [list(range(0, 20, 2)), list(range(1, 20, 2))]


def test_a_group_that_no_id_can_hold_is_sent_as_what_stands_for_it(aws):
    place = aws.place("sqs", is_fifo=True)
    groups = ["Заказ 7", "a" * 129, "a" * 128, "a b"]

    place.send_batch(*(parcel(number, group=group) for number, group in enumerate(groups)))

    sent = {message["Attributes"]["MessageGroupId"] for message in place.read()}
    assert sent == {hashlib.sha256(groups[n].encode()).hexdigest() for n in (0, 1, 3)} | {"a" * 128}


@pytest.mark.parametrize("kind", BOTH)
def test_what_is_too_large_for_one_call_goes_in_several(aws, kind):
    place = aws.place(kind)
    parcels = [parcel(number, body=json.dumps("я" * 40_000)) for number in range(5)]  # 240 kB each, escaped

    receipts = place.send_batch(*parcels)

    assert all(isinstance(each, Receipt) for each in receipts)
    assert len(place.read()) == 5


@pytest.mark.parametrize("kind", BOTH)
def test_one_that_is_too_large_is_refused_and_the_others_go(aws, kind):
    place = aws.place(kind)
    huge = parcel(2, body=json.dumps("a" * 1024 * 1024))

    outcomes = place.send_batch(parcel(1), huge, parcel(3))

    assert [type(each) for each in outcomes] == [Receipt, Refused, Receipt]
    assert [type(each) for each in place.send(huge)] == [Refused]
    assert len(place.read()) == 2


def test_what_the_queue_itself_finds_too_large_is_refused(aws):
    place = aws.place("sqs", MaximumMessageSize="1024")

    (outcome,) = place.send(parcel(1, body=json.dumps("a" * 2000)))

    assert type(outcome) is Refused


@pytest.mark.parametrize("body", ['"\ufffe"', '"\x00"', '"\ud800"'])
@pytest.mark.parametrize("kind", BOTH)
def test_what_aws_takes_from_nobody_is_refused_alone(aws, kind, body):
    place = aws.place(kind)

    outcomes = place.send_batch(parcel(1), parcel(2, body=body))

    assert [type(each) for each in outcomes] == [Receipt, Refused]


@pytest.mark.parametrize("kind", BOTH)
def test_attributes_that_aws_would_refuse_stay_in_the_body(aws, kind):
    place = aws.place(kind)
    bad = {"AWS.x": "1", "a..b": "1", ".a": "1", "a.": "1", "a b": "1", "й": "1", "empty": "", "nul": "\x00"}
    many = {f"n{number:02}": "Привет" for number in range(12)}

    assert all(isinstance(each, Receipt) for each in place.send(parcel(1, attributes={**bad, **many})))

    (message,) = place.read()
    assert sorted(message["MessageAttributes"]) == [f"n{number:02}" for number in range(10)]


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("sqs", {"queueUrl": f"http://127.0.0.1:1/{ACCOUNT}/no-such-queue"}),
        ("sns", {"topicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:no-such-topic"}),
    ],
)
def test_a_place_that_is_not_there_is_our_settings_fault(aws, kind, settings):
    place = aws.place(kind)
    place.settings.update(settings)

    (one,) = place.send(parcel(1))
    both = place.send_batch(parcel(1), parcel(2))

    assert (type(one), type(both)) == (Misconfigured, Misconfigured)
