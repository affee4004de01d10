"""The promise every destination keeps, run over all that are registered: its settings, its secrets, and how it is found."""

import asyncio
import json
from importlib.metadata import EntryPoint

import pytest
from pydantic import BaseModel, ValidationError

from clarion import destinations
from clarion.destinations import Destination
from clarion.flows.destination_settings import errors_in
from clarion.lib import plugins
from clarion.lib.http import HttpClient
from clarion.lib.plugins import BadPlugin
from clarion.lib.sending import Receipt
from tests.contracts.parcels import AT, BODY, made, parcel, sample_of

KINDS = destinations.kinds()
every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
def test_no_secret_shows_in_what_is_printed(kind):
    sample = sample_of(kind)
    destination = made(kind, HttpClient())

    for secret in sample["secrets"]:
        assert secret in json.dumps(sample["config"]), "the sample's secret is not in its config"
        assert secret not in repr(destination)
        assert (
            secret
            not in f"{destination.config!r} {destination.config} {destination.config.model_dump_json()}"
        )
    for hidden in sample["hidden"]:
        assert hidden not in f"{destination!r} {destination.config!r} {destination.config}"


@every_kind
def test_settings_that_cannot_work_are_refused_by_their_name_without_repeating_secrets(kind):
    sample = sample_of(kind)
    for name, values in [*sample["wrong"].items(), ("not_a_setting", [1])]:
        for value in values:
            with pytest.raises(ValidationError) as caught:
                destinations.find(kind).Config.model_validate({**sample["config"], name: value})

            assert {error["loc"][0] for error in caught.value.errors()} == {name}, (name, value)
            assert not [secret for secret in sample["secrets"] if secret in str(caught.value)]


@every_kind
def test_its_settings_describe_themselves(kind):
    schema = destinations.find(kind).Config.model_json_schema()

    assert all("description" in each for each in schema["properties"].values())
    assert set(sample_of(kind)["config"]) <= set(schema["properties"])


@every_kind
def test_what_is_completed_is_what_can_be_kept(kind):
    config = sample_of(kind)["config"]
    completed = destinations.find(kind).completed(config, None, AT)

    assert json.loads(json.dumps(completed)) == completed
    destinations.find(kind).Config.model_validate(completed)
    # Sent again as they were given back, they stay as they are.
    assert destinations.find(kind).completed(completed, completed, AT) == completed


@every_kind
def test_the_sample_has_nothing_odd_about_it(kind):
    assert made(kind, HttpClient()).config.oddities() == []


def test_neither_body_nor_attributes_show_in_a_printed_parcel():
    printed = repr(parcel())

    assert BODY not in printed
    assert "e-1" not in printed


@pytest.mark.parametrize(
    ("members", "wrong"),
    [
        ({"kind": "Not Snake"}, "lower_snake_case"),
        ({"kind": "pigeon", "batch_size": 0}, "at least one"),
        ({"kind": "pigeon", "Config": BaseModel}, "does not extend"),
    ],
)
def test_a_destination_that_breaks_the_rules_cannot_even_be_written(members, wrong):
    with pytest.raises(BadPlugin, match=wrong):
        type("Pigeon", (Destination,), members)


def test_an_unknown_kind_names_the_known_ones():
    with pytest.raises(destinations.UnknownKind, match=r"'pigeon'; known: .*sns, sqs, webhook"):
        destinations.find("pigeon")


@pytest.fixture
def pigeon(tmp_path, monkeypatch):
    """A destination of another package."""
    (tmp_path / "pigeons_of_another_package.py").write_text(
        "from clarion.destinations import Destination, Parcel\n"
        "from clarion.lib.fields import BaseUrl\n"
        "from clarion.lib.sending import Receipt\n"
        "class Pigeon(Destination):\n"
        "    kind = 'pigeon'\n"
        "    class Config(Destination.Config):\n"
        "        lofts: list[BaseUrl | None] = []\n"
        "        homeUrl: BaseUrl = 'https://pigeons.example.com'\n"
        "    async def send(self, parcel: Parcel) -> Receipt:\n"
        "        return Receipt(provider_id=parcel.id)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    entry = EntryPoint("pigeon", "pigeons_of_another_package:Pigeon", "clarion.destinations")
    monkeypatch.setattr(plugins, "entry_points", lambda group: [entry] if group == entry.group else [])
    destinations._registry.cache_clear()
    yield destinations.find("pigeon")
    destinations._registry.cache_clear()


def test_one_file_in_another_package_is_a_destination(pigeon):
    assert asyncio.run(pigeon(pigeon.Config(), HttpClient()).send(parcel(9))) == Receipt("dlv_9")
    assert set(destinations.kinds()) == {*KINDS, "pigeon"}


def test_where_it_may_lead_is_judged_whatever_the_member_is_called(pigeon):
    inside = "http://169.254.169.254/latest"
    sent = {"homeUrl": inside, "lofts": ["https://pigeons.example.com", None, inside]}

    errors = errors_in({"type": "PIGEON", "pigeon": sent})

    assert [each["loc"] for each in errors] == [["pigeon", "lofts", 2], ["pigeon", "homeUrl"]]
    assert errors_in({"type": "PIGEON", "pigeon": {"lofts": [None]}}) == []


def test_a_place_is_the_same_under_another_path_and_another_at_another_host_or_port(pigeon):
    home = pigeon.Config(homeUrl="https://pigeons.example.com").place()

    assert pigeon.Config(homeUrl="https://PIGEONS.example.com:443/a").place() == home
    for url in ("https://doves.example.com", "http://pigeons.example.com", "https://pigeons.example.com:444"):
        assert pigeon.Config(homeUrl=url).place() != home
