"""Amazon SQS: one queue, standard or FIFO, ten at a time. JSON 1.0 protocol, API version 2012-11-05."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from clarion.destinations import Destination
from clarion.lib.aws import Access, Aws, error_of
from clarion.lib.aws_entries import MOST_ENTRIES, ByEntries, Entry, Outcome, missing
from clarion.lib.http import HttpClient, garbled
from clarion.lib.sending import Misconfigured, Receipt

# As SQS gives them out, and as it did before 2015 (`queue.amazonaws.com`); a queue has at most 80 characters.
QUEUE_URL = re.compile(
    r"https://(?:sqs(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?|(?:[a-z0-9-]+\.)?queue\.amazonaws\.com)"
    r"/[0-9]{12}/[A-Za-z0-9_-]{1,80}(?:\.fifo)?"
)
# An emulator's has any host and path.
EMULATED_URL = re.compile(r"https?://[!-~]{1,1024}")


class Sqs(ByEntries, Destination):
    """A FIFO queue gets the group as MessageGroupId and the parcel's id as MessageDeduplicationId.

    The queue's URL is said to SQS, never called: what is called follows from the region, or is `endpoint`.
    """

    kind = "sqs"
    batch_size = MOST_ENTRIES

    class Config(Destination.Config, Access):
        """Which queue, and who we are at AWS."""

        queueUrl: str = Field(
            min_length=1,
            max_length=1024,
            description="The queue's URL; one that ends with .fifo is a FIFO queue.",
        )

        def oddities(self) -> list[str]:
            """Say which members AWS would not have given out."""
            odd = self.oddities_of_access()
            if not self.has_queue():
                odd.append("queueUrl is no URL of an SQS queue")
            found = QUEUE_URL.fullmatch(self.queueUrl)
            if found and found["region"] not in (None, self.region) and self.endpoint is None:
                odd.append("queueUrl is in another region")
            return odd

        def place(self) -> tuple[str, ...]:
            """Return which queue it is, and of which AWS."""
            return (*super().place(), self.region, self.queueUrl)

        def has_queue(self) -> bool:
            """Return whether a queue can be there."""
            allowed = QUEUE_URL if self.endpoint is None else EMULATED_URL
            return allowed.fullmatch(self.queueUrl) is not None

    config: Config

    def __init__(self, config: Config, http: HttpClient) -> None:
        super().__init__(config, http)
        self._aws = Aws(http, "sqs", config)
        self._is_fifo = config.queueUrl.endswith(".fifo")

    def _check(self) -> None:
        if not self.config.has_queue():
            raise Misconfigured("queueUrl is no URL of an SQS queue", code="url")

    async def _send_one(self, entry: Entry) -> Receipt:
        body = {"QueueUrl": self.config.queueUrl, **_members(entry)}
        answer, content = await self._aws.call_json("AmazonSQS.SendMessage", body)
        match content:
            case {"MessageId": str(provider_id)} if provider_id:
                return Receipt(provider_id=provider_id)
        raise garbled(answer, "it names no MessageId")

    async def _send_several(self, entries: Sequence[Entry]) -> list[Outcome]:
        listed = [{"Id": str(number), **_members(entry)} for number, entry in enumerate(entries)]
        body = {"QueueUrl": self.config.queueUrl, "Entries": listed}
        answer, content = await self._aws.call_json("AmazonSQS.SendMessageBatch", body)
        found: dict[str, Outcome] = {}
        for each in _listed(content, "Failed"):
            match each:
                case {"Id": str(number), "Code": str(code), **rest}:
                    is_ours, text = rest.get("SenderFault") is True, str(rest.get("Message", ""))
                    found[number] = error_of(code, is_ours=is_ours, text=text, excerpt=answer.excerpt)
        for each in _listed(content, "Successful"):
            match each:
                case {"Id": str(number), "MessageId": str(provider_id)} if provider_id:
                    # One that is said to have failed as well is in doubt.
                    found[number] = missing() if number in found else Receipt(provider_id=provider_id)
        return [found.get(str(number)) or missing() for number in range(len(entries))]


def _members(entry: Entry) -> dict[str, Any]:
    members: dict[str, Any] = {"MessageBody": entry.body}
    if entry.attributes:
        members["MessageAttributes"] = {
            name: {"DataType": "String", "StringValue": value} for name, value in entry.attributes
        }
    if entry.group:
        members |= {"MessageGroupId": entry.group, "MessageDeduplicationId": entry.key}
    return members


def _listed(content: Mapping[str, Any], name: str) -> list[Any]:
    found = content.get(name)
    return found if isinstance(found, list) else []
