"""`clarion listen` and `clarion trigger`: a tenant's events at a receiver of this machine, and made-up ones to a hub."""

import base64
import hashlib
import hmac
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import IO, Any

import pytest

from clarion.flows.event_checks import ENTITY_KINDS, MAIL_KINDS
from clarion.sandbox import events
from tests.hub import PATIENCE, PROJECT, Hub, Shop, wait_until
from tests.servers import free_port

DONE, FAILED, WRONG_USE, NOT_FOUND, REFUSED = range(5)


@dataclass(frozen=True)
class Posted:
    path: str
    headers: HTTPMessage
    body: bytes


@dataclass
class Receiver:
    """A receiver on loopback: what came, and what it answers, one after the other; then the last of them for ever."""

    answers: Sequence[tuple[int, dict[str, str], bytes]] = ((204, {}, b""),)
    port: int = 0
    came: list[Posted] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def receiving(*answers: tuple[int, dict[str, str], bytes]) -> Iterator[Receiver]:
    receiver = Receiver(answers) if answers else Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            receiver.came.append(Posted(self.path, self.headers, body))
            status, headers, content = receiver.answers[min(len(receiver.came), len(receiver.answers)) - 1]
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Listening:
    """A `clarion listen` that runs, the secret it printed, and its lines so far."""

    process: subprocess.Popen[str]
    secret: str = ""
    lines: list[str] = field(default_factory=list)

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE)


@contextmanager
def listening(hub: Hub, forward_to: str, *words: str) -> Iterator[Listening]:
    process = subprocess.Popen(
        [sys.executable, "-m", "clarion", "listen", "--forward-to", forward_to, *words],
        cwd=PROJECT,
        env=hub.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = Listening(process)

    def read(output: IO[str]) -> None:
        said.lines.extend(iter(lambda: output.readline().strip(), ""))

    assert process.stdout is not None
    reader = threading.Thread(target=read, args=(process.stdout,), daemon=True)
    reader.start()
    try:
        wait_until(lambda: len(said.lines) > 1 or process.poll() is not None, patience=PATIENCE * 2)
        said.secret = said.lines[0].split()[2] if len(said.lines) > 1 else ""
        yield said
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stdout.close()


def is_signed(posted: Posted, secret: str) -> bool:
    """Verify as the standard says, with nothing of ours."""
    named, moment = posted.headers["webhook-id"], posted.headers["webhook-timestamp"]
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{named}.{moment}.".encode() + posted.body, hashlib.sha256).digest()
    is_now = abs(datetime.now(UTC).timestamp() - int(moment)) < 60
    return posted.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}" and is_now


def tell(shop: Shop, event_id: str) -> None:
    body = f'{{"event_type":"ORDER", "id":"{event_id}", "price":1.5}}'
    assert shop.post("/api/v1/events", body).status == 201


@pytest.mark.slow
def test_what_comes_from_now_on_is_posted_signed_in_order_and_as_the_hub_gives_it(
    hub: Hub, shop: Shop
) -> None:
    tell(shop, "before")
    words = ("--tenant", shop.headers["X-TWC-Tenant"])
    with (
        receiving((200, {}, b"fine"), (500, {}, b"")) as receiver,
        listening(hub, f"{receiver.url}/hook?a=b", *words) as said,
    ):
        for number in range(3):
            tell(shop, f"e{number}")
        assert wait_until(lambda: len(receiver.came) == 3 and len(said.lines) == 5)
        code = said.end()

    told = [json.loads(posted.body)["id"] for posted in receiver.came]
    assert (told, code) == (["e0", "e1", "e2"], DONE)
    assert all(is_signed(posted, said.secret) for posted in receiver.came)
    assert receiver.came[0].body == shop.get("/api/v1/events/e0").body
    assert receiver.came[0].path == "/hook?a=b"
    assert [posted.headers["Clarion-Seq"] for posted in receiver.came] == ["2", "3", "4"]
    statuses = [line.rpartition("→ ")[2].split()[0] for line in said.lines[2:5]]
    assert (statuses, said.lines[-1]) == (["200", "500", "500"], "3 events were forwarded.")


@pytest.mark.slow
def test_from_a_number_on_what_was_there_before_comes_first(hub: Hub, shop: Shop) -> None:
    for number in range(3):
        tell(shop, f"e{number}")
    words = ("--tenant", shop.headers["X-TWC-Tenant"], "--since", "1")
    with receiving() as receiver, listening(hub, receiver.url, *words) as said:
        assert wait_until(lambda: len(receiver.came) == 2 and len(said.lines) == 4)

    assert [posted.headers["webhook-id"] for posted in receiver.came] == ["seq_2", "seq_3"]


@pytest.mark.slow
def test_a_receiver_that_is_away_is_named_and_what_a_terminal_would_obey_is_not_shown(
    hub: Hub, shop: Shop
) -> None:
    words = ("--tenant", shop.headers["X-TWC-Tenant"])
    with listening(hub, f"http://127.0.0.1:{free_port()}/", *words) as said:
        tell(shop, "\\u001b[2J\\u202eevil")
        assert wait_until(lambda: len(said.lines) == 3)

    assert "→ no answer: Connection refused" in said.lines[2]
    assert "?[2J?evil" in said.lines[2]


@pytest.mark.slow
def test_a_hub_that_is_away_for_a_while_and_a_log_that_was_cut_stop_nobody(hub: Hub) -> None:
    entry = {"seq": 7, "received": "", "event": {"event_type": "ORDER", "id": "e7"}}
    answers = [
        (503, {}, b"{}"),
        (410, {"Clarion-First-Seq": "7"}, b"{}"),
        (200, {}, json.dumps({"data": [entry], "next": None}).encode()),
        (200, {}, b'{"data":[],"next":null}'),
    ]
    with (
        receiving(*answers) as stand_in,
        receiving() as receiver,
        listening(hub, receiver.url, "--url", stand_in.url, "--since", "2") as said,
    ):
        assert wait_until(lambda: len(receiver.came) == 1 and len(said.lines) == 5)

    asked = [posted.path.partition("?")[2] for posted in stand_in.came[:4]]
    assert asked == [f"after_seq={number}&limit=100" for number in (2, 2, 6, 7)]
    assert "it is asked again" in said.lines[2]
    assert "begins with number 7" in said.lines[3]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("--forward-to", "localhost:3000"), WRONG_USE, "begins with http://"),
        (("--forward-to", "http://u:p@localhost/"), WRONG_USE, "no user and no password"),
        (("--forward-to", "http://localhost/", "--key", "ck_live_nobody"), REFUSED, "good key"),
        (("--forward-to", "http://localhost/", "--tenant", "ключ"), WRONG_USE, "No tenant has such letters"),
    ],
)
def test_what_cannot_be_listened_to_is_refused_with_the_reason(
    hub: Hub, words: tuple[str, ...], code: int, sentence: str
) -> None:
    done = hub.run("-m", "clarion", "listen", *words)

    assert (done.returncode, sentence in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr


def test_there_is_a_sample_of_every_type_and_the_hub_takes_each_without_a_word(shop: Shop) -> None:
    assert sorted(events.TYPES) == sorted((*MAIL_KINDS, *ENTITY_KINDS))
    for kind in events.TYPES:
        sample = events.sample(kind, customer="c-7", now=datetime.now(UTC))

        made = shop.post(sample.path, sample.body)

        assert (made.status, made.headers["Clarion-Warnings"]) == (201, None), made.body
        assert made.json()["event_type"] == kind
    assert len(shop.get("/get_events/c-7?limit=100").json()) == len(events.TYPES)


@pytest.mark.slow
def test_a_triggered_event_is_in_the_log_and_is_a_new_one_each_time(hub: Hub, shop: Shop) -> None:
    words = (
        "-m",
        "clarion",
        "trigger",
        "order",
        "--tenant",
        shop.headers["X-TWC-Tenant"],
        "--customer",
        "c-9",
    )

    done = [hub.run(*words) for _ in range(2)]

    assert [each.stdout for each in done] == [f"ORDER is number {n} of the log.\n" for n in (1, 2)]
    assert [each["event_type"] for each in shop.get("/get_events/c-9").json()] == ["ORDER", "ORDER"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ((), WRONG_USE, "Which type?"),
        (("PIGEON",), NOT_FOUND, "--list shows them"),
        (("ORDER", "--key", "ck_live_nobody"), REFUSED, "not known, or it was revoked"),
        (("ORDER", "--customer", " "), REFUSED, "customer_id"),
        (("ORDER", "--url", "ftp://localhost"), WRONG_USE, "begins with http://"),
        (("ORDER", "--url", "http://127.0.0.1:1"), FAILED, "No hub answers at http://127.0.0.1:1"),
    ],
)
def test_what_cannot_be_triggered_is_refused_with_the_reason(
    hub: Hub, words: tuple[str, ...], code: int, sentence: str
) -> None:
    done = hub.run("-m", "clarion", "trigger", *words)

    assert (done.returncode, done.stdout, sentence in done.stderr) == (code, "", True), done.stderr


@pytest.mark.slow
def test_an_answer_that_is_no_hubs_is_told(hub: Hub) -> None:
    with receiving((200, {}, b"<html>")) as stranger:
        triggered = hub.run("-m", "clarion", "trigger", "ORDER", "--url", stranger.url)
        listened = hub.run("-m", "clarion", "listen", "--url", stranger.url, "--forward-to", stranger.url)

    assert [triggered.returncode, listened.returncode] == [FAILED, FAILED]
    assert "no hub of ours" in triggered.stderr + listened.stderr
    assert "Traceback" not in triggered.stderr + listened.stderr
