"""Amazon SNS: one topic, standard or FIFO, ten at a time. Query protocol, API version 2010-03-31."""

import re
from collections.abc import Sequence

from pydantic import AliasChoices, Field

from clarion.destinations import Destination
from clarion.lib.aws import Access, Aws, error_of, members
from clarion.lib.aws_entries import MOST_ENTRIES, ByEntries, Entry, Outcome, missing
from clarion.lib.http import HttpClient, garbled
from clarion.lib.sending import Misconfigured, Receipt

VERSION = "2010-03-31"
# SNS API reference: a topic has at most 256 characters.
TOPIC_ARN = re.compile(
    r"arn:aws(?:-cn|-us-gov)?:sns:(?P<region>[A-Za-z0-9-]{1,64}):[0-9]{12}:[A-Za-z0-9_-]{1,256}(?:\.fifo)?"
)


class Sns(ByEntries, Destination):
    """A FIFO topic gets the group as MessageGroupId and the parcel's id as MessageDeduplicationId."""

    kind = "sns"
    batch_size = MOST_ENTRIES

    class Config(Destination.Config, Access):
        """Which topic, and who we are at AWS."""

        topicArn: str = Field(
            min_length=1,
            max_length=1024,
            # Some set it up with the members of a queue.
            validation_alias=AliasChoices("topicArn", "queueUrl"),
            description="The topic's ARN; one that ends with .fifo is a FIFO topic. Taken as queueUrl, too.",
        )

        def oddities(self) -> list[str]:
            """Say which members AWS would not have given out."""
            odd = self.oddities_of_access()
            found = TOPIC_ARN.fullmatch(self.topicArn)
            if not found:
                odd.append("topicArn is no ARN of an SNS topic")
            elif found["region"] != self.region:
                odd.append("topicArn is in another region")
            return odd

        def place(self) -> tuple[str, ...]:
            """Return which topic it is, and of which AWS."""
            return (*super().place(), self.region, self.topicArn)

    config: Config

    def __init__(self, config: Config, http: HttpClient) -> None:
        super().__init__(config, http)
        self._aws = Aws(http, "sns", config)
        self._has_topic = TOPIC_ARN.fullmatch(config.topicArn) is not None
        self._is_fifo = config.topicArn.endswith(".fifo")

    def _check(self) -> None:
        if not self._has_topic:
            raise Misconfigured("topicArn is no ARN of an SNS topic", code="arn")

    async def _send_one(self, entry: Entry) -> Receipt:
        answer, content = await self._aws.call_query(
            {"Action": "Publish", "Version": VERSION, "TopicArn": self.config.topicArn, **_parameters(entry)}
        )
        provider_id = content.findtext("PublishResult/MessageId")
        if content.tag == "PublishResponse" and provider_id:
            return Receipt(provider_id=provider_id)
        raise garbled(answer, "it names no MessageId")

    async def _send_several(self, entries: Sequence[Entry]) -> list[Outcome]:
        call = {"Action": "PublishBatch", "Version": VERSION, "TopicArn": self.config.topicArn}
        for number, entry in enumerate(entries):
            before = f"PublishBatchRequestEntries.member.{number + 1}."
            call[f"{before}Id"] = str(number)
            call |= _parameters(entry, before)
        answer, content = await self._aws.call_query(call)
        found: dict[str, Outcome] = {}
        for each in members(content, "PublishBatchResult/Failed"):
            is_ours, text = each.get("SenderFault") == "true", each.get("Message", "")
            found[each.get("Id", "")] = error_of(
                each.get("Code", ""), is_ours=is_ours, text=text, excerpt=answer.excerpt
            )
        for each in members(content, "PublishBatchResult/Successful"):
            which, provider_id = each.get("Id", ""), each.get("MessageId", "")
            # One that is said to have failed as well is in doubt.
            is_sure = provider_id and which not in found
            found[which] = Receipt(provider_id=provider_id) if is_sure else missing()
        return [found.get(str(number)) or missing() for number in range(len(entries))]


def _parameters(entry: Entry, before: str = "") -> dict[str, str]:
    parameters = {f"{before}Message": entry.body}
    for number, (name, value) in enumerate(entry.attributes, start=1):
        place = f"{before}MessageAttributes.entry.{number}."
        parameters[f"{place}Name"] = name
        parameters[f"{place}Value.DataType"] = "String"
        parameters[f"{place}Value.StringValue"] = value
    if entry.group:
        parameters |= {f"{before}MessageGroupId": entry.group, f"{before}MessageDeduplicationId": entry.key}
    return parameters
