"""The log gateway's own part: its one line gives nobody away."""

import asyncio
from collections.abc import Iterator

import pytest
import structlog

from clarion import gateways
from clarion.gateways import MessageContent
from clarion.lib.http import HttpClient

Log = gateways.find("log")


@pytest.fixture
def lines() -> Iterator[list[dict[str, object]]]:
    """Return what is logged, whatever level the other tests want to see."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("info"))
    with structlog.testing.capture_logs() as caught:
        yield caught
    structlog.configure(**before)


@pytest.mark.parametrize(
    ("to", "masked"),
    [
        ("70000001234", "***34"),
        ("bob@example.com", "***@example.com"),
        ('"a@b"@example.com', "***@example.com"),
        ("12345", "***"),
        ("", "***"),
    ],
)
def test_the_line_names_the_message_and_hides_the_person(lines, to, masked):
    asyncio.run(Log(Log.Config(), HttpClient()).send(MessageContent(7, to, "Привет")))

    assert lines == [
        {"event": "message_logged", "log_level": "info", "message_id": 7, "to": masked, "length": 6}
    ]
