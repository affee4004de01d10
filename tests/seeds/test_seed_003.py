"""The notification service of seed 003, as its document prints it, against real processes."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.hub import Hub, Shop, wait_until

CLIENT = """{    
    "phone_number": "79999999999",
    "operator": 999,
    "tag": "string",
    "timezone": "UTC"
}"""  # noqa: W291 - as printed
MAILING = """{    
    "clients": {
        "tag": "a2",
        "operator": 999
    },
    "start_time": "2022-08-26T11:53:37+02:00",
    "end_time": "2022-08-27T11:53:38+02:00",
    "text": "Company X has a new promotion !!!!!"
}"""  # noqa: W291 - as printed
MAILING_IN_UTC = {
    **json.loads(MAILING),
    "start_time": "2022-08-26T09:53:37Z",
    "end_time": "2022-08-27T09:53:38Z",
}
BOTH_SPELLINGS = pytest.mark.parametrize("slash", ["/", ""], ids=["with a slash", "without a slash"])


def open_window() -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "start_time": (now - timedelta(minutes=1)).isoformat(),
        "end_time": (now + timedelta(minutes=10)).isoformat(),
    }


def add(shop: Shop, path: str, body: Any) -> dict[str, Any]:
    answer = shop.post(path, body)
    assert answer.status == 201, answer.body
    return dict(answer.json())


@BOTH_SPELLINGS
def test_the_index_names_the_resources(shop: Shop, slash: str) -> None:
    answer = shop.get(f"/api{slash}")

    assert answer.status == 200
    base = f"http://127.0.0.1:{shop.port}/api"
    assert answer.json() == {name: f"{base}/{name}/" for name in ("client", "mailing", "message")}


def test_every_resource_of_the_index_answers(shop: Shop) -> None:
    for url in shop.get("/api/").json().values():
        assert (url, shop.get(url.partition(str(shop.port))[2]).status) == (url, 200)


@BOTH_SPELLINGS
def test_the_printed_client_is_made_and_found_again(hub: Hub, slash: str) -> None:
    anybody = hub.anybody()

    made = anybody.post(f"/api/client{slash}", CLIENT)
    client = {**json.loads(CLIENT), "id": made.json()["id"]}
    found = anybody.get(f"/api/client/{client['id']}{slash}")

    assert (made.status, made.json()) == (201, client)
    assert (found.status, found.json()) == (200, client)


@BOTH_SPELLINGS
def test_the_list_of_clients_is_a_bare_array(shop: Shop, slash: str) -> None:
    made = [add(shop, "/api/client/", CLIENT) for _ in range(2)]

    assert shop.get(f"/api/client{slash}").json() == made


@BOTH_SPELLINGS
def test_clients_are_filtered_by_tag_and_operator_together(shop: Shop, slash: str) -> None:
    for tag, operator in (("a2", 914), ("a2", 999), ("b", 914), (None, 914)):
        add(shop, "/api/client/", {**json.loads(CLIENT), "tag": tag, "operator": operator})

    found = shop.get(f"/api/client{slash}?tag=a2&operator=914").json()

    assert [(row["tag"], row["operator"]) for row in found] == [("a2", 914)]


@BOTH_SPELLINGS
def test_a_client_is_put_as_it_is_printed(shop: Shop, slash: str) -> None:
    client = add(shop, "/api/client/", {**json.loads(CLIENT), "tag": None, "operator": 1})

    answer = shop.put(f"/api/client/{client['id']}{slash}", CLIENT)

    assert (answer.status, answer.json()) == (200, {**json.loads(CLIENT), "id": client["id"]})


@BOTH_SPELLINGS
def test_the_printed_mailing_is_made_and_found_again(hub: Hub, slash: str) -> None:
    anybody = hub.anybody()

    made = anybody.post(f"/api/mailing{slash}", MAILING)
    mailing = {**MAILING_IN_UTC, "id": made.json()["id"]}
    found = anybody.get(f"/api/mailing/{mailing['id']}{slash}")

    assert (made.status, made.json()) == (201, mailing)
    assert (found.status, found.json()) == (200, mailing)


def test_the_printed_window_is_over_and_the_answer_says_so(shop: Shop) -> None:
    answer = shop.post("/api/mailing/", MAILING)

    assert "end_time" in answer.headers["Clarion-Warnings"]


@BOTH_SPELLINGS
def test_the_list_of_mailings_is_a_bare_array(shop: Shop, slash: str) -> None:
    made = add(shop, "/api/mailing/", MAILING)

    assert shop.get(f"/api/mailing{slash}").json() == [made]


@BOTH_SPELLINGS
def test_a_mailing_is_put_before_it_starts(shop: Shop, slash: str) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    window = {"start_time": soon.isoformat(), "end_time": (soon + timedelta(hours=1)).isoformat()}
    mailing = add(shop, "/api/mailing/", {"clients": {}, "text": "first", **window})

    answer = shop.put(f"/api/mailing/{mailing['id']}{slash}", MAILING)

    assert (answer.status, answer.json()) == (200, {**MAILING_IN_UTC, "id": mailing["id"]})


def test_a_mailing_that_has_started_is_not_put(shop: Shop) -> None:
    mailing = add(shop, "/api/mailing/", MAILING)

    answer = shop.put(f"/api/mailing/{mailing['id']}", MAILING)

    assert (answer.status, answer.json()["code"]) == (409, "already_started")


def test_inside_its_window_a_mailing_goes_at_once_to_all_who_match(shop: Shop) -> None:
    chosen = add(shop, "/api/client/", {**json.loads(CLIENT), "tag": "A2"})
    add(shop, "/api/client/", {**json.loads(CLIENT), "tag": "A2", "operator": 914})
    add(shop, "/api/client/", {**json.loads(CLIENT), "phone_number": "70000000001"})

    mailing = add(shop, "/api/mailing/", {**json.loads(MAILING), **open_window()})
    sent = wait_until(
        lambda: [row for row in shop.get("/api/message/").json() if row["sending_status"] is True]
    )

    assert [(row["client"], row["mailing"]) for row in sent] == [(chosen["id"], mailing["id"])]
    assert set(sent[0]) == {"id", "sending_status", "start_date", "client", "mailing"}
    assert abs(datetime.now(UTC) - datetime.fromisoformat(sent[0]["start_date"])) < timedelta(minutes=1)
    for path in (f"/api/message/{sent[0]['id']}", f"/api/message/{sent[0]['id']}/"):
        assert shop.get(path).json() == sent[0]


def test_messages_are_filtered_by_mailing_client_and_status(shop: Shop) -> None:
    client = add(shop, "/api/client/", {**json.loads(CLIENT), "tag": "a2"})
    late = add(shop, "/api/mailing/", MAILING)
    add(shop, "/api/mailing/", {**json.loads(MAILING), **open_window()})
    wait_until(lambda: len(shop.get("/api/message/?status=SENT").json()) == 1)

    found = shop.get(f"/api/message/?mailing={late['id']}&client={client['id']}&status=timeout").json()

    assert [(row["mailing"], row["sending_status"]) for row in found] == [(late["id"], False)]
    assert shop.get(f"/api/message?mailing={late['id']}&status=SENT").json() == []


def test_messages_are_read_only(shop: Shop) -> None:
    answer = shop.post("/api/message/", {})

    assert (answer.status, answer.headers["Allow"]) == (405, "GET")


def test_a_command_makes_an_admin_who_can_sign_in(hub: Hub) -> None:
    word = "correct horse battery"
    admin = {
        "DJANGO_SUPERUSER_USERNAME": "anna",
        "DJANGO_SUPERUSER_PASSWORD": word,
        "DJANGO_SUPERUSER_EMAIL": "anna@example.com",
    }

    made = hub.run("manage.py", "createsuperuser", "--noinput", more=admin)
    page = hub.anybody().get("/admin/login/?next=/admin/")
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.body.decode())
    cookie = page.headers["Set-Cookie"].partition(";")[0]
    assert token is not None
    form = f"csrfmiddlewaretoken={token[1]}&username=anna&password={word.replace(' ', '+')}&next=/admin/"
    signed_in = hub.anybody().post(
        "/admin/login/", form, Cookie=cookie, Content_Type="application/x-www-form-urlencoded"
    )

    assert made.returncode == 0, made.stderr
    assert page.status == 200
    assert (signed_in.status, signed_in.headers["Location"]) == (302, "/admin/")


@pytest.mark.parametrize("path", ["/admin/", "/admin"])
def test_the_admin_panel_asks_who_is_there(hub: Hub, path: str) -> None:
    answer = hub.anybody().get(path)

    assert answer.status == 302
    assert answer.headers["Location"].startswith("/admin/login/")


@pytest.mark.parametrize("path", ["/docs", "/docs/", "/docs/problems", "/admin/login/"])
def test_pages_take_nothing_from_another_site(hub: Hub, path: str) -> None:
    anybody = hub.anybody()

    page = anybody.get(path)

    text = page.body.decode()
    taken = re.findall(r"""(?:src|href|action|url)\s*[=:(]\s*["']?([^"'\s>)]+)""", text)
    ours = [url for url in taken if url.startswith("/static/")]
    assert page.status == 200
    assert [url for url in taken if re.match(r"\w+:|//", url)] == []
    assert [url for url in ours if anybody.get(url).status != 200] == []


def test_the_page_of_the_api_sends_its_description_to_nobody(hub: Hub) -> None:
    """Swagger UI shows a badge of its maker's validator unless it is told not to."""
    assert '"validatorUrl": null' in hub.anybody().get("/docs").body.decode()


@BOTH_SPELLINGS
def test_the_description_of_the_api_is_served(hub: Hub, slash: str) -> None:
    answer = hub.anybody().get(f"/openapi.json{slash}")

    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.json()["openapi"].startswith("3.")
