"""Development mode: no key, the header names the tenant; and nobody but this machine gets in."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client

from clarion.api.middleware import is_own_host
from clarion.models import GatewayAccount, Tenant
from tests.api.calls import CLIENT, ask, made, refusal
from tests.hub import PROJECT
from tests.servers import free_port

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("development")]
EVERYWHERE = "0.0.0.0"  # noqa: S104 - to see it refused


def here() -> Client:
    """A caller on this machine, without a key."""
    return Client(SERVER_NAME="localhost")


def test_a_tenant_is_made_on_first_use() -> None:
    client = made(here(), "/api/v1/clients", CLIENT, X_TWC_Tenant="acme")
    again = here().get("/api/client", headers={"X-TWC-Tenant": "acme"}).json()

    assert [row["id"] for row in again] == [client["id"]]
    assert list(Tenant.objects.values_list("name", flat=True)) == ["acme"]
    assert set(GatewayAccount.objects.values_list("name", flat=True)) == {"log", "test"}


def test_without_the_header_the_tenant_is_called_default() -> None:
    made(here(), "/api/v1/clients", CLIENT)

    assert list(Tenant.objects.values_list("name", flat=True)) == ["default"]


def test_tenants_are_told_apart_by_case() -> None:
    made(here(), "/api/v1/clients", CLIENT, X_TWC_Tenant="acme")

    assert here().get("/api/client", headers={"X-TWC-Tenant": "Acme"}).json() == []


@pytest.mark.parametrize("name", ["a b", "-a", ".", "a" * 65, "\xe9", "a,b", "../a", "a\x00"])
def test_what_cannot_be_a_name_makes_no_tenant(name: str) -> None:
    answer = here().get("/api/client", headers={"X-TWC-Tenant": name})

    assert refusal(answer, 403)["code"] == "wrong_tenant"
    assert not Tenant.objects.exists()


def test_a_key_is_looked_at_all_the_same() -> None:
    answer = here().get("/api/client", headers={"Authorization": "Bearer ck_live_unknown"})

    assert refusal(answer, 401)["code"] == "not_identified"


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.example", EVERYWHERE, "a b", ""]
)
def test_a_foreign_host_is_refused(host: str) -> None:
    answer = here().get("/api/client", headers={"Host": host})

    assert refusal(answer, 400)["code"] == "host_not_allowed"
    assert not Tenant.objects.exists()


def test_a_foreign_host_is_refused_even_where_the_settings_know_it(settings: object) -> None:
    settings.ALLOWED_HOSTS = ["*"]  # type: ignore[attr-defined]

    assert refusal(here().get("/api/client", headers={"Host": "evil.example"}), 400)


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]", "[::1]:8000", "LOCALHOST"]
)
def test_this_machine_goes_by_these_names(host: str) -> None:
    assert here().get("/api/client", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost.evil.example", "http://[", "x"]
)
def test_a_page_of_another_site_is_refused(origin: str) -> None:
    for path in ("/api/v1/clients", "/api/", "/admin/", "/docs"):
        answers = [
            ask(here(), "POST", path, CLIENT, Origin=origin),
            ask(here(), "OPTIONS", path, Origin=origin),
            ask(here(), "GET", path, Origin=origin),
        ]

        assert [refusal(answer, 403)["code"] for answer in answers] == ["cross_site"] * 3
    assert not Tenant.objects.exists()


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000", "evil.example", "a b", ""])
@pytest.mark.parametrize("origin", ["", "http://localhost:8000", "https://evil.example", "null", "http://["])
def test_whoever_reads_a_body_asks_what_is_asked_of_a_request(host: str, origin: str) -> None:
    answer = here().get("/api/client", headers={"Host": host, "Origin": origin})

    assert is_own_host(host, origin) == (answer.status_code == 200)


@pytest.mark.parametrize("origin", ["http://localhost:8000", "http://127.0.0.1:5173", "http://[::1]:8000"])
def test_a_page_of_this_machine_is_not(origin: str) -> None:
    assert ask(here(), "POST", "/api/v1/clients", CLIENT, Origin=origin).status_code == 201


def test_no_answer_lets_another_site_read_it() -> None:
    answer = here().get("/api/client")

    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [["run", "--dev", "--host", EVERYWHERE], ["web"]], ids=["run", "web alone"]
)
def test_it_does_not_start_where_others_could_reach_it(tmp_path: Path, command: list[str]) -> None:
    environment = {
        **os.environ,
        "CLARION_DATA": str(tmp_path),
        "CLARION_DATABASE_URL": "",
        "CLARION_DEV": "true",
        "CLARION_HOST": EVERYWHERE,
        "CLARION_PORT": str(free_port()),
    }

    ended = subprocess.run(
        [sys.executable, "-m", "clarion", *command],
        env=environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert ended.returncode != 0
    assert "loopback only" in " ".join((ended.stdout + ended.stderr).split())
