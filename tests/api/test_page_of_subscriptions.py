"""What docs/subscriptions.md says of the calls is so."""

import json
from pathlib import Path

import pytest
from django.test import Client

from clarion.api.subscription_bodies import VERBS
from clarion.flows.subscriptions import ENTITY_TYPES
from clarion.models.deliveries import RECOVERABLE
from clarion.models.outgoing import STATUS
from tests.api.calls import made
from tests.subscribers import PATH

PAGE = (Path(__file__).parents[2] / "docs" / "subscriptions.md").read_text()


@pytest.mark.django_db
def test_the_subscription_of_the_page_is_made(api: Client) -> None:
    sent = json.loads(PAGE.partition("```json subscription\n")[2].partition("```")[0])

    answer = made(api, PATH, sent)

    secret = answer["destination"]["webhook"].pop("secret")
    assert (answer, secret.startswith("whsec_")) == (sent, True)


def test_every_call_is_named() -> None:
    assert [verb for verb in sorted(VERBS) if f"…/{{id}}/{verb}" not in PAGE] == []


def test_the_entities_of_the_seed_are_named_and_what_can_go_again() -> None:
    assert [name for name in ENTITY_TYPES[:8] if f"`{name}`" not in PAGE] == []
    assert {STATUS[state] for state in RECOVERABLE} == {"FAILED", "TIMEOUT", "CANCELLED"}
    assert "(FAILED, TIMEOUT, CANCELLED)" in PAGE
