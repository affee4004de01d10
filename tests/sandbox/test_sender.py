"""The stand-in sender: it behaves as told, and what it counts is what it took."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clarion.lib.sending import InDoubt, NotSent, Receipt, Refused, Throttled
from clarion.sandbox import (
    PROFILES,
    NotLoopback,
    RunningSender,
    UnknownProfile,
    read_ledger,
    running_sender,
    serve,
)
from clarion.sandbox.profiles import Behaviour, Settings
from tests.sandbox.calls import ask, send


def exchange(sender: RunningSender, raw: bytes) -> bytes:
    """Write these bytes on one connection and return all that comes back."""
    port = int(sender.base_url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile("rb") as answers:
        connection.sendall(raw)
        return answers.read()


@pytest.mark.parametrize(
    ("profile", "expected", "accepted"),
    [
        ("fine", {Receipt}, {12}),
        ("slow", {Receipt}, {12}),
        ("garbage", {InDoubt}, set(range(1, 12))),
        ("refuses", {NotSent}, {0}),
        ("resets", {InDoubt}, set(range(1, 12))),
        ("throttles", {Throttled}, {0}),
        ("flaky", {Receipt, InDoubt, NotSent, Throttled}, set(range(1, 13))),
    ],
)
def test_each_profile_is_met_as_it_is_named(profile, expected, accepted):
    with running_sender(profile, delay=0.01) as sender:
        outcomes = send(sender.base_url, *range(1, 13))

        assert {type(each) for each in outcomes} <= expected
        counts = sender.counts()

    assert counts["requests"] == 12
    assert counts["accepted"] in accepted
    assert counts["by_profile"] == {profile: {"requests": 12, "accepted": counts["accepted"]}}


def test_every_profile_is_tested_here():
    assert {*PROFILES} == {"fine", "slow", "garbage", "refuses", "resets", "throttles", "flaky", "hangs"}


@pytest.mark.parametrize(("accepts", "taken"), [(None, 1), (True, 1), (False, 0)])
@pytest.mark.parametrize("profile", ["hangs", "resets"])
def test_whether_a_lost_answer_means_taken_can_be_chosen(profile, accepts, taken):
    with running_sender(profile, accepts=accepts) as sender:
        (outcome,) = send(sender.base_url, 1)

        assert type(outcome) is InDoubt
        if profile == "hangs" or accepts is not None:
            assert sender.counts()["accepted"] == taken


def test_being_throttled_says_for_how_long():
    with running_sender("throttles", retry_after=7) as sender:
        (outcome,) = send(sender.base_url, 1)

    assert isinstance(outcome, Throttled)
    assert outcome.retry_after == 7


def test_a_slow_answer_comes_after_its_delay():
    with running_sender("slow", delay=0.1) as sender:
        started = time.monotonic()
        (outcome,) = send(sender.base_url, 1, timeout=5)

    assert isinstance(outcome, Receipt)
    assert time.monotonic() - started >= 0.1


def test_what_is_taken_twice_is_a_duplicate():
    with running_sender() as sender:
        send(sender.base_url, 1, 2, 1, 3, 1)
        arrivals = sender.arrivals()

        assert sender.accepted() == {1: 3, 2: 1, 3: 1}
        counts = sender.counts()

    assert (counts["accepted"], counts["distinct"], counts["duplicates"]) == (5, 3, 2)
    assert arrivals[2][0] == arrivals[2][1]
    assert arrivals[1][0] < arrivals[2][0] < arrivals[1][1]
    assert abs(arrivals[1][1] - time.time()) < 60


def test_a_profile_ends_after_so_many_requests_or_seconds():
    with running_sender("refuses", requests=2) as sender:
        kinds = [type(each) for each in send(sender.base_url, 1, 2, 3)]
        assert kinds == [NotSent, NotSent, Receipt]

    behaviour = Behaviour(Settings("refuses", seconds=5), now=100)
    assert not behaviour.next(1, 0, now=104.9).accepted
    assert behaviour.next(1, 0, now=105).accepted


def test_a_number_that_is_nobodys_is_refused_for_good_whatever_the_profile():
    with running_sender("refuses", requests=1, nobody="234") as sender:
        outcomes = [type(each) for each in send(sender.base_url, 1, 2)]
        sender.switch("slow", delay=0, nobody="235")
        outcomes += [type(each) for each in send(sender.base_url, 3)]

        assert outcomes == [NotSent, Refused, Receipt]
        assert sender.accepted() == {3: 1}


def test_the_profile_is_switched_while_it_runs():
    with running_sender() as sender:
        chosen = json.dumps({"profile": "refuses", "seconds": 60}).encode()
        assert ask(sender, "POST", "/_sandbox/profile", chosen) == (200, {"profile": "refuses"})
        assert [type(each) for each in send(sender.base_url, 1)] == [NotSent]

        sender.switch("fine")
        assert [type(each) for each in send(sender.base_url, 1)] == [Receipt]

        split = sender.counts()["by_profile"]
    assert split == {"refuses": {"requests": 1, "accepted": 0}, "fine": {"requests": 1, "accepted": 1}}


@pytest.mark.parametrize(
    "chosen",
    [b"", b"{}", b'{"profile":"rude"}', b'{"profile":"fine","typo":1}', b'{"profile":"fine","seconds":"1"}'],
)
def test_a_profile_that_is_none_changes_nothing(chosen):
    with running_sender("refuses") as sender:
        status, _ = ask(sender, "POST", "/_sandbox/profile", chosen)

        assert status == 400
        assert ask(sender, "GET", "/_sandbox/counts")[1]["profile"] == "refuses"


def test_an_unknown_profile_names_the_known_ones():
    with pytest.raises(UnknownProfile, match=r"'rude'; known: fine, slow"), running_sender("rude"):
        pass


def test_what_it_counted_can_be_read_over_http():
    with running_sender() as sender:
        send(sender.base_url, 1, 2, 2)

        _, counts = ask(sender, "GET", "/_sandbox/counts")
        assert (counts["requests"], counts["accepted"], counts["duplicates"]) == (3, 3, 1)
        assert ask(sender, "GET", "/_sandbox/accepted") == (200, {"1": 1, "2": 2})
        _, arrivals = ask(sender, "GET", "/_sandbox/arrivals")
        assert arrivals["2"][0] < arrivals["2"][1]


@pytest.mark.parametrize(
    ("status", "method", "path", "body", "token"),
    [
        (200, "POST", "/v1/send/7", b'{"id":7,"phone":70000001234,"text":"a"}', "Bearer t"),
        (401, "POST", "/v1/send/7", b'{"id":7,"phone":70000001234,"text":"a"}', "Bearer u"),
        (401, "POST", "/v1/send/7", b'{"id":7,"phone":70000001234,"text":"a"}', ""),
        (400, "POST", "/v1/send/8", b'{"id":7,"phone":70000001234,"text":"a"}', "Bearer t"),
        (400, "POST", "/v1/send/7", b'{"id":"7","phone":70000001234,"text":"a"}', "Bearer t"),
        (400, "POST", "/v1/send/7", b'{"id":7,"phone":"70000001234","text":"a"}', "Bearer t"),
        (400, "POST", "/v1/send/7", b'{"id":7,"phone":70000001234}', "Bearer t"),
        (400, "POST", "/v1/send/7", b'{"id":7,"phone":70000001234,"text":"a","more":1}', "Bearer t"),
        (400, "POST", "/v1/send/7", b"not JSON", "Bearer t"),
        (413, "POST", "/v1/send/7", b" " * 2_000_000, "Bearer t"),
        (405, "PUT", "/v1/send/7", b"", "Bearer t"),
        (404, "GET", "/", None, "Bearer t"),
    ],
)
def test_only_a_well_formed_request_is_a_request(status, method, path, body, token):
    with running_sender(token="t") as sender:
        assert ask(sender, method, path, body, Authorization=token)[0] == status
        assert sender.counts()["accepted"] == (status == 200)


def test_requests_sent_in_one_go_are_answered_in_their_order():
    body = b'{"id":7,"phone":70000001234,"text":"a"}'
    slow = b"POST /v1/send/7 HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    quick = b"GET /_sandbox/counts HTTP/1.1\r\nHost: a\r\n\r\n"
    goodbye = b"GET /_sandbox/accepted HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

    with running_sender("slow", delay=0.05) as sender:
        answers = exchange(sender, slow + quick + slow + goodbye)

    first, second, third, fourth = answers.split(b"HTTP/1.1 200 OK")[1:]
    assert first.endswith(b'{"code":0,"message":"OK"}')
    assert b'"requests":1' in second
    assert third.endswith(b'{"code":0,"message":"OK"}')
    assert fourth.endswith(b'{"7":2}')


def test_what_is_no_http_is_told_so_and_shown_out():
    with running_sender() as sender:
        assert exchange(sender, b"\x16\x03\x01 hello\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_the_same_seed_gives_each_message_the_same_fate_in_any_order():
    there, back = (Behaviour(Settings("flaky", seed=3), now=0) for _ in range(2))
    other = Behaviour(Settings("flaky", seed=4), now=0)

    forwards = {each: there.next(each, 0, now=0) for each in range(500)}
    backwards = {each: back.next(each, 0, now=0) for each in reversed(range(500))}

    assert forwards == backwards
    assert forwards != {each: other.next(each, 0, now=0) for each in range(500)}
    assert len({*forwards.values()}) == 10, "every kind of fault is met in 500 messages"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", ""])  # noqa: S104
def test_it_listens_on_loopback_only(host):
    with pytest.raises(NotLoopback), running_sender(host=host):
        pass
    with pytest.raises(NotLoopback):
        serve(host, 0)


def test_the_ledger_survives_a_killed_process_and_is_counted_on(tmp_path):
    ledger = tmp_path / "accepted"
    process, base_url = sender_process(ledger)
    send(base_url, 1, 2, 2)
    process.kill()
    process.wait()
    assert read_ledger(ledger) == {1: 1, 2: 2}

    process, base_url = sender_process(ledger)
    send(base_url, 2, 3)
    process.send_signal(signal.SIGTERM)

    assert process.wait(10) == 0
    assert read_ledger(ledger) == {1: 1, 2: 3, 3: 1}
    with running_sender(ledger=ledger) as sender:
        counts = sender.counts()
    assert (counts["accepted"], counts["distinct"], counts["duplicates"], counts["requests"]) == (5, 3, 2, 0)


def sender_process(ledger: Path) -> tuple[subprocess.Popen[str], str]:
    """Start a sender as a process of its own; return it and its base URL."""
    code = (
        "import sys; from pathlib import Path; from clarion.sandbox import serve; "
        "serve('127.0.0.1', 0, 'fine', Path(sys.argv[1]), on_ready=lambda url: print(url, flush=True))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, os.fspath(ledger)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout as ready:
        return process, ready.readline().strip()
