"""What an answer of AWS proves: by its code, whatever the protocol; and XML that means harm."""

import asyncio
import time
from typing import Any

import pytest

from clarion.lib.aws import Access, Aws, error_of
from clarion.lib.http import HttpClient
from clarion.lib.sending import InDoubt, Misconfigured, Refused, SendError, Throttled
from tests.sandbox.scripted import answer, answering, scripted

CODES = {
    Misconfigured: [
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "AWS.SimpleQueueService.NonExistentQueue",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidSecurity",
        "KMSAccessDenied",
        "KMSDisabled",
        "KmsAccessDenied",
        "KmsDisabled",
        "NotFound",
        "QueueDoesNotExist",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    ],
    Throttled: [
        "KMSThrottling",
        "KmsThrottled",
        "OverLimit",
        "RequestThrottled",
        "SlowDown",
        "Throttled",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    ],
    Refused: [
        "BatchRequestTooLong",
        "InvalidMessageContents",
        "InvalidParameterValue",
        "ParameterValueInvalid",
    ],
    InDoubt: ["InternalError", "InternalFailure"],
}
EVERY_CODE = [(code, kind) for kind, codes in CODES.items() for code in codes]


def outcome(raw: bytes, *, is_query: bool = False) -> Any:
    async def run() -> Any:
        async with scripted(answering(raw)) as server, HttpClient() as http:
            access = Access(accessKey="k", accessSecret="s" * 40, region="here", endpoint=server.url)
            aws = Aws(http, "sqs", access)
            try:
                return await (aws.call_query({"Action": "A"}) if is_query else aws.call_json("A", {}))
            except SendError as error:
                return error

    return asyncio.run(run())


@pytest.mark.parametrize(("code", "kind"), EVERY_CODE)
def test_a_code_means_the_same_in_json_in_xml_and_in_a_batch(code, kind):
    status = 500 if kind is InDoubt else 400
    as_json = f'{{"__type": "com.amazonaws.sqs#{code}", "message": "no"}}'.encode()
    as_xml = (
        f"<ErrorResponse><Error><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>".encode()
    )

    errors = [
        outcome(answer(status, as_json)),
        outcome(answer(status, as_xml), is_query=True),
        outcome(answer(status, b"{}", f"x-amzn-errortype: {code}:http://x/")),
        error_of(code, is_ours=kind is not InDoubt),
    ]

    assert [(type(error), error.code) for error in errors] == [(kind, code)] * 4


def test_a_place_that_is_wrong_is_our_settings_fault_and_a_text_that_is_wrong_is_not():
    place = error_of("InvalidParameter", is_ours=True, text="Invalid parameter: TopicArn Reason: …")
    text = error_of("InvalidParameter", is_ours=True, text="Invalid parameter: Message too long")

    assert (type(place), type(text)) == (Misconfigured, Refused)


@pytest.mark.parametrize(("is_ours", "kind"), [(True, Refused), (False, InDoubt)])
@pytest.mark.parametrize("code", ["", "Unheard", "a b", "x" * 200, "<script>", "a\x00"])
def test_a_code_that_nobody_knows_is_whose_fault_aws_says(code, is_ours, kind):
    error = error_of(code, is_ours=is_ours)

    assert type(error) is kind
    assert error.code == ("Unheard" if code == "Unheard" else "")


def test_throttled_waits_as_long_as_is_asked():
    error = outcome(answer(400, b'{"__type": "ThrottlingException"}', "Retry-After: 7"))

    assert (type(error), error.retry_after) == (Throttled, 7)


BOMB = (
    '<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;">]>'
    "<r><PublishResult><MessageId>&d;</MessageId></PublishResult></r>"
)
FOREIGN = '<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]><r>&a;</r>'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<",
        b"<r>",
        b"<r></q>",
        b"not xml",
        b"<r>&undeclared;</r>",
        b"<r>\xff</r>",
        b"<r>\x00</r>",
        BOMB.encode(),
        FOREIGN.encode(),
        BOMB.encode("utf-16"),
        b'<?xml version="1.0" encoding="utf-7"?><r>+ADwAIQ-DOCTYPE',
        b"<a>" * 20_000,
        b"<r " + b" ".join(b'a%d="1"' % number for number in range(5_000)) + b"/>x",
        b"<r>" + b"a" * 100_000 + b"</r>",
    ],
    ids=range(15),
)
@pytest.mark.parametrize("status", [200, 500])
def test_xml_that_means_harm_is_no_answer_and_takes_no_time(body, status):
    began = time.process_time()
    error = outcome(answer(status, body), is_query=True)

    assert (type(error), error.code) == (InDoubt, str(status))
    # A reader that lets entities grow, or looks at each name beside each, takes minutes.
    assert time.process_time() - began < 2


def test_xml_that_is_nested_deeply_is_read_or_not_but_breaks_nothing():
    deep = b"<a>" * 8_000 + b"</a>" * 8_000

    assert outcome(answer(200, deep), is_query=True)
    assert type(outcome(answer(500, deep), is_query=True)) is InDoubt
