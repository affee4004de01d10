"""Where subscribers' addresses may lead: what the doctor says of it, and what each mode opens."""

from pathlib import Path
from typing import Any

import pytest

from tests.doctor.conftest import Doctor, only
from tests.test_cli_alone import clarion


def test_an_installation_leads_to_the_internet_only(doctor: Doctor) -> None:
    assert only(doctor()["egress"]) == ("ok", "subscribers' addresses lead to the public internet only", "")


def test_what_the_operator_opened_is_named(doctor: Doctor, settings: Any) -> None:
    opened = {"egress_allow": ["10.1.0.0/16", "receiver.lan"]}
    settings.CLARION = settings.CLARION.model_copy(update=opened)

    (_, seen, _) = only(doctor()["egress"])

    assert seen.endswith("the public internet, and to 10.1.0.0/16, receiver.lan")


@pytest.mark.parametrize(
    ("entry", "danger"),
    [
        ("127.0.0.0/8", "this machine itself"),
        ("localhost", "this machine itself"),
        ("::1", "this machine itself"),
        ("169.254.169.254", "a cloud's metadata"),
        ("fd00:ec2::254", "a cloud's metadata"),
    ],
)
def test_what_only_strangers_gain_from_is_worth_a_warning(
    doctor: Doctor, settings: Any, entry: str, danger: str
) -> None:
    settings.CLARION = settings.CLARION.model_copy(update={"egress_allow": [entry]})

    (line, _) = doctor()["egress"]

    assert (line["state"], danger in line["seen"]) == ("warning", True)


def test_plain_http_to_subscribers_is_worth_a_warning(doctor: Doctor, settings: Any) -> None:
    settings.CLARION = settings.CLARION.model_copy(update={"egress_http": True})

    assert [line["state"] for line in doctor()["egress"]] == ["warning", "ok"]


def test_development_mode_opens_this_machine_and_plain_http_and_nothing_else(settings: Any) -> None:
    dev = settings.CLARION.model_copy(update={"dev": True}).egress
    live = settings.CLARION.model_copy(update={"dev": False}).egress

    assert dev.objection("http://localhost:8010/hook") is None
    assert dev.objection("http://example.com/hook") is None
    assert dev.objection("http://192.168.1.1/hook")
    assert live.objection("https://localhost:8010/hook")
    assert live.objection("http://example.com/hook")


def test_plain_http_can_be_refused_in_development_mode_too(settings: Any) -> None:
    strict = settings.CLARION.model_copy(update={"dev": True, "egress_http": False}).egress

    assert strict.objection("http://example.com/hook")


@pytest.mark.slow
def test_an_entry_that_is_no_network_and_no_host_stops_the_start(tmp_path: Path) -> None:
    refused = clarion("tenants", "list", folder=tmp_path, egress_allow='["10.1.0.1/16"]')

    assert refused.returncode == 2
    assert "CLARION_EGRESS_ALLOW is wrong: '10.1.0.1/16' is neither a network" in refused.stderr
