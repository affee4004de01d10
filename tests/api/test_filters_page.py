"""What docs/filters.md says of filters is so."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from clarion.models.conditions import FIELDS, filter_of
from tests.api.calls import CLIENT, MAILING, ask, made

PAGE = (Path(__file__).parents[2] / "docs" / "filters.md").read_text()
EXAMPLES = re.findall(r"^\| `(\{.*\})` \| (yes|no) \|$", PAGE, re.MULTILINE)


def block(kind: str) -> Any:
    return json.loads(PAGE.partition(f"```{kind}\n")[2].partition("```")[0])


@pytest.mark.parametrize(("raw", "finds"), EXAMPLES)
def test_an_example_finds_the_client_of_the_page_or_not(raw: str, finds: str) -> None:
    assert filter_of(json.loads(raw)).holds(block("json client")) is (finds == "yes")


def test_every_field_is_named() -> None:
    assert len(EXAMPLES) > 10
    assert [name for name in FIELDS if f"`{name}`" not in PAGE and f"`{name}." not in PAGE] == []


@pytest.mark.django_db
def test_the_first_example_is_one_that_the_api_takes(api: Client) -> None:
    client = block("json client")
    del client["id"]

    made(api, "/api/v1/clients", client)
    found = ask(api, "POST", "/api/v1/mailings/preview", {**MAILING, "filter": block("json")}).json()

    assert found["audience"] == 1
    assert all(f"`{name}`" in PAGE for name in ("audience", "statuses", "closed_timezones", "samples"))
    assert {**CLIENT, "attributes": {}, "external_id": ""}.keys() == client.keys()
