"""Who may do what: keys, scopes, tenants. What belongs to another tenant does not exist."""

from datetime import UTC, datetime

import pytest
from django.test import Client

from clarion import worker
from clarion.flows import callers
from clarion.models import ApiKey, Customer, GatewayAccount, Mailing, Tenant
from clarion.sandbox import RunningSender
from tests.api.calls import BODIES, CLIENT, MAILING, OVER, SHORT_MAILING, ask, made, open_window, refusal
from tests.conftest import Clock, client_of
from tests.factories import make_customer

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "credential",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer nobody",
        "Basic dTpw",
        "Bearer ck_live_x y",
        "ck_live_x",
        "Bearer \xe9",
        "Bearer " + "x" * 9_000,
    ],
    ids=["none", "no key", "blank", "unknown", "basic", "two words", "no scheme", "no ASCII", "endless"],
)
def test_without_a_valid_key_nothing_is_answered(tenant: Tenant, credential: str) -> None:
    headers = {"Authorization": credential} if credential else {}

    answer = Client().get("/api/v1/clients", headers=headers)

    assert refusal(answer, 401)["code"] == "not_identified"
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_revoked_key_is_no_key(api: Client) -> None:
    assert api.get("/api/v1/clients").status_code == 200

    ApiKey.objects.update(revoked_at=datetime.now(UTC))

    assert refusal(api.get("/api/v1/clients"), 401)["code"] == "not_identified"


def test_the_scheme_ignores_case(tenant: Tenant) -> None:
    _, key = callers.create_key(tenant, name="x", scopes=["customers"], is_test=False, now=datetime.now(UTC))

    assert Client().get("/api/client", headers={"Authorization": f"bearer {key}"}).status_code == 200


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("/api/v1/clients", "customers"),
        ("/api/client", "customers"),
        ("/api/v1/mailings", "mailings"),
        ("/api/mailing", "mailings"),
        ("/api/v1/messages", "mailings"),
        ("/api/message", "mailings"),
    ],
)
def test_a_scope_that_is_not_held_is_named(tenant: Tenant, path: str, scope: str) -> None:
    others = [each for each in callers.SCOPES if each != scope]

    refused = client_of(tenant, scopes=others).get(path)

    problem = refusal(refused, 403)
    assert (problem["code"], scope in problem["detail"]) == ("scope_missing", True)
    assert client_of(tenant, scopes=[scope]).get(path).status_code == 200


@pytest.mark.parametrize("header", ["rival", "SHOP", "shop ", "nobody", "*", "shop,shop", "\xe9"])
def test_a_tenant_that_is_not_the_keys_is_refused(api: Client, other_tenant: Tenant, header: str) -> None:
    answer = api.get("/api/v1/clients", headers={"X-TWC-Tenant": header})

    # Blanks around a header's value are none of it (RFC 9110 §5.5); servers cut them, the test client does not.
    assert refusal(answer, 403)["code"] == "wrong_tenant"


def test_the_keys_own_tenant_may_be_named(api: Client) -> None:
    assert api.get("/api/v1/clients", headers={"X-TWC-Tenant": "shop"}).status_code == 200


def test_a_credential_is_looked_at_before_anything_else(tenant: Tenant) -> None:
    answers = [ask(Client(), "POST", path, "no json", kind="text/plain") for path in BODIES]

    assert [answer.status_code for answer in answers] == [401] * len(BODIES)


EVERY_ROW = [
    (verb, f"{path}/{{client}}")
    for path in ("/api/v1/clients", "/api/client")
    for verb in ("GET", "PUT", "PATCH", "DELETE")
] + [
    *(("GET", f"{path}/{{message}}") for path in ("/api/v1/messages", "/api/message")),
    *(
        (verb, f"{path}/{{mailing}}")
        for path in ("/api/v1/mailings", "/api/mailing")
        for verb in ("GET", "PUT", "PATCH", "DELETE")
    ),
    *(("POST", f"/api/v1/mailings/{{mailing}}/{verb}") for verb in ("pause", "resume", "cancel")),
    *(("GET", f"/api/v1/mailings/{{mailing}}/{part}") for part in ("report", "messages")),
]


@pytest.mark.parametrize(("verb", "path"), EVERY_ROW)
def test_what_belongs_to_another_tenant_does_not_exist(
    api: Client, tenant: Tenant, other_tenant: Tenant, clock: Clock, verb: str, path: str
) -> None:
    rival = client_of(other_tenant)
    client = made(rival, "/api/v1/clients", CLIENT)
    mailing = made(rival, "/api/v1/mailings", {**OVER, "text": "theirs"})
    worker.tick(clock)
    message = rival.get("/api/message").json()[0]
    before = [rival.get(each).content for each in ("/api/client", "/api/mailing", "/api/message")]
    where = path.format(client=client["id"], mailing=mailing["id"], message=message["id"])
    face = where.rpartition("/")[0]

    answer = ask(api, verb, where, BODIES.get(face) if verb in ("PUT", "PATCH") else None)

    nothing = api.get("/api/v1/clients/999999999999").json()["detail"]
    assert refusal(answer, 404)["detail"] == nothing
    assert [rival.get(each).content for each in ("/api/client", "/api/mailing", "/api/message")] == before


def test_lists_and_sums_are_of_one_tenant(api: Client, other_tenant: Tenant, clock: Clock) -> None:
    rival = client_of(other_tenant)
    made(rival, "/api/v1/clients", CLIENT)
    mailing = made(rival, "/api/v1/mailings", {**OVER, "text": "theirs"})
    worker.tick(clock)

    assert api.get("/api/v1/mailings").json() == {"message_data": [], "total_mailings": 0}
    for path in ("/api/client", "/api/mailing", "/api/message", f"/api/message?mailing={mailing['id']}"):
        assert (api.get(path).json(), len(rival.get(path).json())) == ([], 1)


def test_what_a_test_key_sends_never_reaches_the_provider(
    tenant: Tenant, probe: GatewayAccount, sender: RunningSender, clock: Clock
) -> None:
    tester = client_of(tenant, is_test=True)
    make_customer(tenant)

    made(tester, "/api/v1/mailings", {**open_window(), "text": "a test"})
    made(tester, "/api/mailing", {**open_window(), "text": "a test", "clients": {}})
    made(tester, "/api/v1/mailings", {**open_window(), "text": "a test", "gateway_account": probe.name})
    worker.tick(clock)

    assert {row.account.gateway for row in Mailing.objects.select_related("account")} == {"log"}
    assert [row["sending_status"] for row in tester.get("/api/message").json()] == [True] * 3
    assert sender.counts()["requests"] == 0


def test_a_live_key_does_reach_it(
    api: Client, probe: GatewayAccount, sender: RunningSender, clock: Clock
) -> None:
    made(api, "/api/v1/clients", CLIENT)
    made(api, "/api/v1/mailings", {**open_window(), "text": "in earnest"})

    worker.tick(clock)

    assert sender.counts()["accepted"] == 1


@pytest.mark.parametrize(
    ("verb", "path", "body"),
    [
        ("PUT", "/api/v1/mailings/{}", MAILING),
        ("PATCH", "/api/v1/mailings/{}", {"text": "a test"}),
        ("PUT", "/api/mailing/{}", SHORT_MAILING),
        ("PATCH", "/api/mailing/{}", {"text": "a test"}),
        ("POST", "/api/v1/mailings/{}/pause", None),
        ("POST", "/api/v1/mailings/{}/resume", None),
        ("POST", "/api/v1/mailings/{}/cancel", None),
        ("DELETE", "/api/v1/mailings/{}", None),
        ("DELETE", "/api/mailing/{}", None),
    ],
)
def test_a_test_key_touches_no_mailing_that_reaches_people(
    api: Client, tenant: Tenant, verb: str, path: str, body: object
) -> None:
    live = made(api, "/api/v1/mailings", MAILING)
    before = api.get("/api/v1/mailings/list").json()

    answer = ask(client_of(tenant, is_test=True), verb, path.format(live["id"]), body)

    assert refusal(answer, 403)["code"] == "live_mailing"
    assert api.get("/api/v1/mailings/list").json() == before


@pytest.mark.parametrize("face", ["/api/v1/clients", "/api/client"])
def test_a_test_key_reads_clients_and_changes_none(api: Client, tenant: Tenant, face: str) -> None:
    client = made(api, face, BODIES[face])
    tester, row = client_of(tenant, is_test=True), f"{face}/{client['id']}"

    answers = [
        ask(tester, "POST", face, BODIES[face]),
        ask(tester, "PUT", row, BODIES[face]),
        ask(tester, "PATCH", row, {"tag": "a test"}),
        ask(tester, "DELETE", row),
    ]

    assert {refusal(answer, 403)["code"] for answer in answers} == {"live_client"}
    assert tester.get(row).json() == client
    assert Customer.objects.count() == 1


def test_a_test_mailing_stays_one_whoever_changes_it(
    api: Client, tenant: Tenant, probe: GatewayAccount, sender: RunningSender, clock: Clock
) -> None:
    make_customer(tenant)
    tester = client_of(tenant, is_test=True)
    mailing = made(tester, "/api/v1/mailings", MAILING)

    by_test = ask(tester, "PATCH", f"/api/v1/mailings/{mailing['id']}", {"text": "a second test"})
    by_live = ask(
        api,
        "PUT",
        f"/api/v1/mailings/{mailing['id']}",
        {**open_window(), "text": "in earnest?", "gateway_account": probe.name},
    )
    worker.tick(clock)

    assert (by_test.status_code, by_live.status_code) == (200, 200)
    assert by_live.json()["gateway_account"] == "test"
    assert sender.counts()["requests"] == 0


def test_nothing_of_a_refused_caller_is_stored(tenant: Tenant) -> None:
    ask(client_of(tenant, scopes=["logs"]), "POST", "/api/v1/clients", CLIENT)
    ask(Client(), "POST", "/api/v1/clients", CLIENT)

    assert not Customer.objects.exists()


@pytest.mark.parametrize(
    ("path", "event"),
    [
        (
            "/receive_event",
            {"event_type": "email_open", "customer_id": 7, "email_id": 1, "timestamp": "2023-10-24"},
        ),
        ("/api/v1/events", {"event_type": "PRODUCT"}),
    ],
)
def test_an_events_id_that_was_rehearsed_with_a_test_key_is_taken(
    api: Client, tenant: Tenant, path: str, event: dict[str, object]
) -> None:
    made(client_of(tenant, is_test=True), path, {**event, "id": 5})

    answer = ask(api, "POST", path, {**event, "id": 5})

    assert refusal(answer, 409)["code"] == "id_taken"
