"""The stand-in sender goes away and comes back, and tells when each request came."""

import threading
import time

from clarion.lib.sending import InDoubt, NotSent, Receipt
from clarion.sandbox import running_sender
from tests.sandbox.calls import ask, send


def send_until(outcome: type[object], base_url: str, message_id: int) -> int:
    """Send the same message until it ends so; return how often that was."""
    limit = time.monotonic() + 10
    times = 1
    while not isinstance(send(base_url, message_id)[0], outcome):
        assert time.monotonic() < limit, f"it never was {outcome.__name__}"
        times += 1
    return times


def test_while_it_is_away_nobody_is_there_and_then_it_is_as_before() -> None:
    with running_sender("slow", delay=0) as sender:
        assert send_until(Receipt, sender.base_url, 1) == 1
        assert ask(sender, "POST", "/_sandbox/outage", b'{"seconds":0.3}') == (200, {"seconds": 0.3})
        send_until(NotSent, sender.base_url, 2)
        send_until(Receipt, sender.base_url, 3)

        assert ask(sender, "GET", "/_sandbox/counts")[1]["profile"] == "slow"
        assert sender.accepted() == {1: 1, 3: 1}


def test_an_outage_without_a_length_is_refused():
    with running_sender() as sender:
        status, answer = ask(sender, "POST", "/_sandbox/outage", b"{}")

        assert status == 400
        assert "seconds" in answer["message"]
        assert type(send(sender.base_url, 1)[0]) is Receipt


def test_an_outage_breaks_the_connections_there_are():
    with running_sender("hangs") as sender:
        began = time.monotonic()
        threading.Timer(0.1, sender.go_away, [60]).start()
        (outcome,) = send(sender.base_url, 1, timeout=30)

    assert isinstance(outcome, InDoubt)
    assert time.monotonic() - began < 10


def test_every_request_is_on_record_with_the_time_of_both_clocks():
    with running_sender("refuses", requests=1) as sender:
        began = time.time(), time.monotonic()
        send(sender.base_url, 5, 5, 6)
        ended = time.time(), time.monotonic()
        requests = sender.requests()
        over_http = ask(sender, "GET", "/_sandbox/requests")[1]

    assert [(each.message_id, each.accepted) for each in requests] == [(5, False), (5, True), (6, True)]
    for each in requests:
        assert began[0] <= each.at <= ended[0]
        assert began[1] <= each.steady_at <= ended[1]
    assert over_http == [list(each) for each in requests]
