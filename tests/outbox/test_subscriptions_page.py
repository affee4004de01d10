"""What docs/subscriptions.md says of filters and bodies is so."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from clarion.lib.payload_filters import BOUNDS, OPERATORS, compile
from clarion.outbox.bodies import Told, attributes, interaction_body, readable

PAGE = (Path(__file__).parents[2] / "docs" / "subscriptions.md").read_text()
EXAMPLES = re.findall(r"^\| `(\{.*\})` \| (yes|no) \|$", PAGE, re.MULTILINE)


def block(kind: str) -> Any:
    return json.loads(PAGE.partition(f"```json {kind}\n")[2].partition("```")[0])


def test_the_event_of_the_page_has_its_payload() -> None:
    assert readable(json.dumps(block("document")))["payload"] == block("payload")


@pytest.mark.parametrize(("spec", "meets"), [*EXAMPLES, (json.dumps(block("filter")), "yes")])
def test_an_example_is_met_by_the_event_of_the_page_or_not(spec: str, meets: str) -> None:
    assert compile(json.loads(spec)).matches(readable(json.dumps(block("document")))) is (meets == "yes")


def test_everything_a_condition_may_say_is_named() -> None:
    assert len(EXAMPLES) > 10
    assert [name for name in OPERATORS if f'"{name}": ' not in PAGE] == []
    assert [name for name in BOUNDS if f"`{name}`" not in PAGE] == []


def test_the_interaction_of_the_page_is_one() -> None:
    product = {"productId": "p-1", "productRef": "SKU-1", "selectedVariantId": "v-1"}
    item = {"id": "wi-1", "wishlistId": "w-1", "customerRef": "CUST-1", "product": product}
    flags = dict.fromkeys(("purchased", "prerelease", "disableNotification"), False)
    groups = {"look": {"attributes": {"size": "xl", "color": "blue"}}}
    body = {"id": "e-2", "payload": {**item, **flags, "attributeGroups": groups}}
    told = Told(
        "e-2", "wishlist_item", "CREATE", "shop", datetime(2026, 11, 20, 12, tzinfo=UTC), json.dumps(body)
    )

    assert json.dumps(json.loads(interaction_body(told))) == json.dumps(block("interaction"))
    assert [
        name for name in (*json.loads(interaction_body(told)), *attributes(told)) if f"`{name}`" not in PAGE
    ] == ["wishlistId"]
