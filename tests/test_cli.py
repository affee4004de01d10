"""The terminal: what each verb answers, that no secret comes out, and the exit code that says which kind of no."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from clarion.cli import app
from clarion.flows import callers
from clarion.lib import logs
from clarion.models import ApiKey, GatewayAccount, Lane, State, Tenant, Worker
from clarion.outbox import claims
from clarion.sandbox import RunningSender
from tests.conftest import Clock
from tests.factories import statuses
from tests.outbox.rounds import due_messages, enlist, in_flight

DONE, FAILED, WRONG_USE, NOT_FOUND, REFUSED = range(5)
SECRET = "s3cr3t-token-of-the-account"

Clarion = Callable[..., Result]


@pytest.fixture
def clarion(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clarion]:
    """Return a function that runs `clarion` with these words, and with this on its standard input."""
    monkeypatch.setenv("COLUMNS", "400")

    def run(*words: object, given: str = "") -> Result:
        return CliRunner().invoke(app, [str(word) for word in words], input=given)

    yield run
    # Each run sends the logs to the standard error that it has.
    logs.set_up(level="warning", form="text")


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_tenant_is_made_and_listed(clarion: Clarion) -> None:
    made = clarion("tenants", "add", "shop", "--timezone", "Europe/Berlin")
    listed = clarion("tenants", "list", "--json")

    assert (made.exit_code, listed.exit_code) == (DONE, DONE)
    assert "clarion keys add shop" in made.stdout
    assert [(row["name"], row["timezone"]) for row in lines(listed)] == [("shop", "Europe/Berlin")]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("shop",), "There is a tenant shop already."),
        (("no spaces",), "1 to 64 letters"),
        (("other", "--timezone", "Europe/Atlantis"), "no time zone Europe/Atlantis"),
    ],
)
def test_a_tenant_that_cannot_be_is_refused_with_the_reason(
    clarion: Clarion, tenant: Tenant, words: tuple[str, ...], reason: str
) -> None:
    result = clarion("tenants", "add", *words)

    assert (result.exit_code, result.stdout) == (REFUSED, "")
    assert reason in result.stderr
    assert Tenant.objects.count() == 1


def test_a_key_is_shown_once_and_listed_by_its_end(clarion: Clarion, tenant: Tenant, clock: Clock) -> None:
    made = clarion(
        "keys", "add", "shop", "--name", "cash desk", "--scope", "customers", "--scope", "mailings"
    )
    listed = clarion("keys", "list", "--json")

    key = made.stdout.strip()
    caller = callers.identify(f"Bearer {key}", "", is_development=False, now=clock())
    (row,) = lines(listed)
    assert (made.exit_code, caller.scopes) == (DONE, {"customers", "mailings"})
    assert (row["name"], row["scopes"], row["revoked"]) == ("cash desk", "customers mailings", None)
    assert row["key"].endswith(key[-4:])
    assert key not in listed.stdout + made.stderr


def test_a_key_has_every_scope_but_the_administrators(clarion: Clarion, tenant: Tenant) -> None:
    key = clarion("keys", "add", "shop", "--test").stdout.strip()

    assert key.startswith("ck_test_")
    assert set(ApiKey.objects.get().scopes) == set(callers.SCOPES) - {"admin"}


def test_a_revoked_key_is_worthless_and_can_be_revoked_once(
    clarion: Clarion, tenant: Tenant, clock: Clock
) -> None:
    key = clarion("keys", "add", "shop").stdout.strip()
    number = ApiKey.objects.get().pk

    codes = [clarion("keys", "revoke", number).exit_code for _ in range(2)]

    assert codes == [DONE, NOT_FOUND]
    with pytest.raises(callers.NotIdentified):
        callers.identify(f"Bearer {key}", "", is_development=False, now=clock())


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("keys", "add", "nobody"), NOT_FOUND),
        (("keys", "add", "shop", "--scope", "everything"), REFUSED),
        (("keys", "revoke", "12345"), NOT_FOUND),
        (("accounts", "add", "nobody", "x", "log"), NOT_FOUND),
        (("accounts", "add", "shop", "log", "log"), REFUSED),
        (("accounts", "add", "shop", "x", "pigeon"), REFUSED),
        (("accounts", "add", "shop", "x", "probe"), REFUSED),
        (("accounts", "add", "shop", "x", "log", "--settings", "{"), REFUSED),
        (("accounts", "add", "shop", "x", "log", "--settings", "[]"), REFUSED),
        (("accounts", "add", "shop", "x", "log", "--doubt", "perhaps"), REFUSED),
        (("trace", "12345"), NOT_FOUND),
        (("trace", "mailing:12345"), NOT_FOUND),
        (("trace", "customer:12345"), NOT_FOUND),
        (("trace", "parcel:1"), WRONG_USE),
        (("trace", "-1"), WRONG_USE),
        (("trace", "９"), WRONG_USE),
        (("trace", "9" * 19), WRONG_USE),
        (("trace",), WRONG_USE),
        (("messages", "settle", "1", "--arrived"), NOT_FOUND),
        (("messages", "settle", "1"), WRONG_USE),
        (("keys", "revoke", "abc"), WRONG_USE),
        (("fly",), WRONG_USE),
        (("run", "--dev", "--host", "0.0.0.0"), REFUSED),  # noqa: S104 - it is what must be refused
    ],
)
def test_each_kind_of_no_has_its_exit_code_and_says_why(
    clarion: Clarion, tenant: Tenant, words: tuple[str, ...], code: int
) -> None:
    result = clarion(*words)

    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.strip()
    assert "Traceback" not in result.stderr


def probe_settings(base_url: str) -> str:
    return json.dumps({"base_url": base_url, "token": SECRET})


@pytest.mark.parametrize("how", ["option", "standard input"])
def test_an_accounts_settings_go_in_and_never_come_out(
    clarion: Clarion, tenant: Tenant, sender: RunningSender, how: str
) -> None:
    settings = probe_settings(sender.base_url)
    given = {"settings": "-", "given": settings} if how == "standard input" else {"settings": settings}
    words = ("accounts", "add", "shop", "sender", "probe", "--settings", given["settings"])

    results = [
        clarion(*words, given=given.get("given", "")),
        clarion("accounts", "list"),
        clarion("accounts", "list", "--json"),
        clarion("accounts", "change", "shop", "sender", "--settings", settings, "--doubt", "hold"),
        clarion("accounts", "change", "shop", "sender", "--settings", json.dumps({"token": SECRET})),
        clarion("accounts", "add", "shop", "other", "probe", "--settings", json.dumps({"token": SECRET})),
        clarion(*words, given=given.get("given", "")),
    ]

    account = GatewayAccount.objects.get(name="sender")
    assert [result.exit_code for result in results] == [DONE, DONE, DONE, DONE, REFUSED, REFUSED, REFUSED]
    assert (account.settings, account.doubt) == (json.loads(settings), "hold")
    assert not [result for result in results if SECRET in result.output]
    assert SECRET not in str(GatewayAccount.objects.filter(pk=account.pk).values().get())


def test_accounts_are_listed_with_what_holds_them_up(
    clarion: Clarion, tenant: Tenant, probe: GatewayAccount, clock: Clock
) -> None:
    Lane.objects.filter(pk=probe.lane_id).update(closed_until=clock(), closed_because="HTTP 401")
    GatewayAccount.objects.filter(name="log").update(gateway="uninstalled")

    rows = {row["name"]: row for row in lines(clarion("accounts", "list", "--json"))}

    assert rows["outside sender"]["because"] == "HTTP 401"
    assert rows["outside sender"]["in doubt"] == "resend"
    # What is not installed cannot be asked; nothing is sent twice meanwhile.
    assert rows["log"]["in doubt"] == "hold"


def test_the_kinds_of_gateways_name_their_settings(clarion: Clarion) -> None:
    told = clarion("accounts", "kinds").stdout.splitlines()

    assert told == ["log: no settings", "probe: base_url, token, timeout"]


def test_the_audit_says_that_everything_adds_up(clarion: Clarion, tenant: Tenant, clock: Clock) -> None:
    due_messages(tenant, clock)

    assert (clarion("audit").exit_code, clarion("audit").stdout) == (DONE, "Everything adds up.\n")
    assert clarion("audit", "--json").stdout == ""


def test_the_audit_fails_and_names_what_does_not_add_up(
    clarion: Clarion, tenant: Tenant, clock: Clock
) -> None:
    mailing = due_messages(tenant, clock)
    mailing.counts.update(count=7)

    for_people, for_programs = clarion("audit"), clarion("audit", "--json")

    assert (for_people.exit_code, for_programs.exit_code) == (FAILED, FAILED)
    assert f"mailing {mailing.pk}: 7 counted as waiting" in for_people.stdout
    (finding,) = lines(for_programs)
    assert (finding["kind"], finding["rows"]) == ("counter", str(mailing.pk))


@pytest.mark.parametrize("kind", ["", "message:", "mailing:", "customer:"])
def test_a_trace_is_told_to_people_and_to_programs(
    clarion: Clarion, tenant: Tenant, clock: Clock, kind: str
) -> None:
    mailing = due_messages(tenant, clock, name="[bold]Autumn[/bold]")
    row = mailing.message_set.get()
    number = {"mailing:": mailing.pk, "customer:": row.customer_id}.get(kind, row.pk)

    for_people, for_programs = (
        clarion("trace", f"{kind}{number}"),
        clarion("trace", f"{kind}{number}", "--json"),
    )

    moments = lines(for_programs)
    assert (for_people.exit_code, for_programs.exit_code) == (DONE, DONE)
    assert len(moments) == len(for_people.stdout.splitlines()) > 1
    assert all(moment["what"] in for_people.stdout for moment in moments)
    assert {frozenset(moment) for moment in moments} == {frozenset({"at", "what", "depth"})}


@pytest.mark.parametrize(
    ("answer", "state"), [("--arrived", State.ACCEPTED), ("--send-again", State.WAITING)]
)
def test_a_doubt_is_settled(clarion: Clarion, tenant: Tenant, clock: Clock, answer: str, state: str) -> None:
    GatewayAccount.objects.update(doubt="hold")
    mailing, worker = due_messages(tenant, clock, 2), enlist(clock)
    rows = in_flight(mailing, worker, clock)
    claims.retire(worker, now=clock())

    result = clarion("messages", "settle", *(row.pk for row in rows), answer)

    assert (result.exit_code, result.stdout) == (DONE, "2 settled.\n")
    assert statuses(mailing) == {state: 2}


def test_one_tick_of_the_worker_does_what_is_due_and_ends(
    clarion: Clarion, tenant: Tenant, probe: GatewayAccount, sender: RunningSender, clock: Clock
) -> None:
    mailing = due_messages(tenant, clock, 3)

    result = clarion("worker", "--once")

    assert result.exit_code == DONE
    assert (statuses(mailing), sender.counts()["accepted"]) == ({State.ACCEPTED: 3}, 3)
    assert not Worker.objects.filter(ended_at=None).exists()


def test_a_port_that_is_taken_is_refused_and_named(clarion: Clarion, sender: RunningSender) -> None:
    port = int(sender.base_url.rpartition(":")[2])

    result = clarion("run", "--port", port)

    assert result.exit_code == REFUSED
    assert f"Port {port} on 127.0.0.1 is taken" in result.stderr
    assert f"PORT={port + 1}" in result.stderr


def test_without_a_word_every_verb_is_named(clarion: Clarion) -> None:
    told = clarion("--help").stdout

    verbs = "run web worker migrate doctor audit trace sandbox demo tenants keys accounts messages readers"
    assert [verb for verb in verbs.split() if f" {verb} " not in told] == []


@pytest.mark.slow
@pytest.mark.thorough
def test_the_module_is_the_command(tmp_path: Path) -> None:
    environment = {**os.environ, "CLARION_DATA": str(tmp_path), "CLARION_DATABASE_URL": ""}
    words = [sys.executable, "-m", "clarion"]

    migrated = subprocess.run(
        [*words, "migrate"], env=environment, capture_output=True, text=True, check=False
    )
    wrong = subprocess.run(
        [*words, "trace", "x"], env=environment, capture_output=True, text=True, check=False
    )

    assert (migrated.returncode, migrated.stdout) == (DONE, "The database is up to date.\n"), migrated.stderr
    assert (wrong.returncode, wrong.stdout) == (WRONG_USE, "")
