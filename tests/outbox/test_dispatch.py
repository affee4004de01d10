"""The sends themselves: begun in time, ended at the deadline, and answered whatever an adapter does."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from clarion import gateways
from clarion.gateways import Gateway, MessageContent
from clarion.lib.sending import InDoubt, Misconfigured, NotSent, Receipt, SendError
from clarion.models import GatewayAccount
from clarion.outbox.dispatch import Dispatch
from clarion.outbox.landing import Departure, Landing, TooLate
from clarion.sandbox import RunningSender, running_sender
from tests.conftest import Clock
from tests.outbox import rounds

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 10  # seconds; what is waited for here takes milliseconds, or the two seconds of the deadline


@pytest.fixture
def dispatch(clock: Clock) -> Iterator[Dispatch]:
    opened = Dispatch(slots=8, clock=clock)
    yield opened
    opened.close()


def account_of(settings: dict[str, object], *, gateway: str = "probe") -> GatewayAccount:
    account = GatewayAccount(pk=1, name="way out", gateway=gateway, lane_id=9)
    account.seal(settings)
    return account


def account_at(sender: RunningSender) -> GatewayAccount:
    return account_of({"base_url": sender.base_url, "token": "not-a-secret"})


def departure(
    account: GatewayAccount, clock: Clock, *, message_id: int = 7, seconds: float = 60
) -> Departure:
    return rounds.departure(account, clock() + timedelta(seconds=seconds), id=message_id)


def landings(dispatch: Dispatch, count: int = 1) -> list[Landing]:
    """Wait for this many answers."""
    found: list[Landing] = []
    limit = time.monotonic() + PATIENCE
    while len(found) < count:
        assert time.monotonic() < limit, "no answer came"
        dispatch.landed.wait(0.1)
        found += dispatch.take_landings()
    return found


def outcome(dispatch: Dispatch, start: Departure) -> Receipt | SendError | TooLate:
    dispatch.start([start])
    (landing,) = landings(dispatch)
    assert dispatch.free == dispatch.slots
    return landing.result


def test_a_send_lands_with_everything_that_recording_it_takes(
    dispatch: Dispatch, sender: RunningSender, clock: Clock
) -> None:
    start = departure(account_at(sender), clock)

    dispatch.start([start])
    (landing,) = landings(dispatch)

    assert landing.result == Receipt(provider_id="7", code="0")
    assert landing.departure is start
    assert landing.started_at == landing.ended_at == clock()


def test_a_slot_is_free_again_when_its_answer_was_taken(
    dispatch: Dispatch, sender: RunningSender, clock: Clock
) -> None:
    account = account_at(sender)

    dispatch.start([departure(account, clock, message_id=number) for number in range(1, 6)])
    free_meanwhile = dispatch.free
    taken = landings(dispatch, 5)

    assert (free_meanwhile, dispatch.free) == (3, 8)
    assert {landing.departure.id for landing in taken} == set(sender.accepted()) == {1, 2, 3, 4, 5}
    assert dispatch.take_landings() == []


@pytest.mark.slow
def test_a_send_that_hangs_is_aborted_at_its_deadline(
    dispatch: Dispatch, sender: RunningSender, clock: Clock
) -> None:
    sender.switch("hangs")
    began = time.monotonic()

    result = outcome(dispatch, departure(account_at(sender), clock, seconds=2.05))

    assert isinstance(result, InDoubt)
    assert result.code == "deadline"
    # Far below the gateway's own ten seconds.
    assert 2.0 <= time.monotonic() - began < 5


def test_a_send_that_cannot_start_two_seconds_before_its_deadline_does_not(
    dispatch: Dispatch, sender: RunningSender, clock: Clock
) -> None:
    result = outcome(dispatch, departure(account_at(sender), clock, seconds=1.999))

    assert isinstance(result, TooLate)
    assert sender.counts()["requests"] == 0


def test_the_clock_is_looked_at_again_just_before_the_first_byte(
    dispatch: Dispatch, sender: RunningSender, clock: Clock
) -> None:
    start = departure(account_at(sender), clock, seconds=60)
    clock.pass_by(seconds=59)

    assert isinstance(outcome(dispatch, start), TooLate)


def test_changed_settings_are_used_by_the_next_send(
    dispatch: Dispatch, sender: RunningSender, clock: Clock
) -> None:
    with running_sender() as elsewhere:
        outcome(dispatch, departure(account_at(sender), clock, message_id=1))
        outcome(dispatch, departure(account_at(elsewhere), clock, message_id=2))

        assert (set(sender.accepted()), set(elsewhere.accepted())) == ({1}, {2})


@pytest.mark.parametrize(
    ("settings", "gateway"),
    [
        ({"base_url": "https://example.com"}, "probe"),
        ({"base_url": "https://example.com", "token": "x", "colour": "red"}, "probe"),
        ({}, "pigeon"),
    ],
)
def test_settings_that_do_not_fit_are_the_accounts_fault(
    dispatch: Dispatch, clock: Clock, settings: dict[str, object], gateway: str
) -> None:
    result = outcome(dispatch, departure(account_of(settings, gateway=gateway), clock))

    assert isinstance(result, Misconfigured)
    assert result.code == "bad_settings"


def test_settings_that_do_not_open_are_the_accounts_fault(dispatch: Dispatch, clock: Clock) -> None:
    account, other = account_of({"token": "x"}), account_of({"token": "x"})
    account.sealed_settings = other.sealed_settings

    result = outcome(dispatch, departure(account, clock))

    assert isinstance(result, Misconfigured)
    assert "BadSeal" in result.detail


class Broken(Gateway):
    """An adapter with a mistake: it does what `settings` of its account say."""

    kind = "broken"
    channel = "sms"
    doubt = "hold"

    class Config(Gateway.Config):
        mistake: str = ""

    config: Config

    async def send(self, message: MessageContent) -> Receipt:
        match self.config.mistake:
            case "raises":
                return Receipt(provider_id=str(int(message.text)))
            case "cancels":
                raise asyncio.CancelledError
            case "times out":
                raise TimeoutError
            case _:
                raise NotSent("as an adapter should")


class Unbuildable(Broken):
    kind = "unbuildable"

    def __init__(self, config: Broken.Config, http: object) -> None:
        raise ZeroDivisionError


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plug two more gateways in, as another package would."""
    for gateway in (Broken, Unbuildable):
        monkeypatch.setitem(gateways._registry(), gateway.kind, gateway)


@pytest.mark.parametrize("mistake", ["raises", "cancels", "times out"])
def test_a_mistake_in_an_adapter_leaves_its_own_message_in_doubt(
    broken: None, dispatch: Dispatch, sender: RunningSender, clock: Clock, mistake: str
) -> None:
    result = outcome(dispatch, departure(account_of({"mistake": mistake}, gateway="broken"), clock))
    after = outcome(dispatch, departure(account_at(sender), clock))

    assert isinstance(result, InDoubt)
    assert result.code == "adapter_failed"
    assert after == Receipt(provider_id="7", code="0")


def test_an_adapter_that_cannot_even_be_built_has_sent_nothing(
    broken: None, dispatch: Dispatch, clock: Clock
) -> None:
    result = outcome(dispatch, departure(account_of({}, gateway="unbuildable"), clock))

    assert isinstance(result, Misconfigured)


def test_an_adapters_own_error_is_handed_on(broken: None, dispatch: Dispatch, clock: Clock) -> None:
    result = outcome(dispatch, departure(account_of({}, gateway="broken"), clock))

    assert isinstance(result, NotSent)
    assert result.detail == "as an adapter should"


def test_closing_abandons_what_is_under_way(sender: RunningSender, clock: Clock) -> None:
    sender.switch("hangs")
    dispatch = Dispatch(slots=2, clock=clock)
    dispatch.start([departure(account_at(sender), clock)])
    until(lambda: sender.counts()["requests"] == 1)

    dispatch.close()

    assert dispatch.take_landings() == []
    assert "dispatch" not in {thread.name for thread in threading.enumerate()}


def until(true: Callable[[], bool]) -> None:
    limit = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < limit, "it did not come to pass"
        time.sleep(0.001)


TALKATIVE = """
import django, os
os.environ["DJANGO_SETTINGS_MODULE"] = "clarion.settings"
django.setup()
from clarion import gateways
from clarion.lib import logs
from tests.conftest import Clock
from tests.outbox import rounds
from tests.outbox.test_dispatch import Broken, account_of, departure, landings
from clarion.outbox.dispatch import Dispatch

logs.set_up(level="debug", form="{form}")
gateways._registry()["broken"] = Broken
clock = Clock()
dispatch = Dispatch(slots=4, clock=clock)
for settings, gateway in (
    ({{"mistake": "raises"}}, "broken"),
    ({{"base_url": "https://example.com", "token": "se cret"}}, "probe"),
    ({{"base_url": "http://127.0.0.1:9", "token": "se-cret"}}, "probe"),
    ({{}}, "log"),
):
    dispatch.start([departure(account_of(settings, gateway=gateway), clock)])
    print(type(landings(dispatch)[0].result).__name__, flush=True)
dispatch.close()
"""


@pytest.mark.slow
@pytest.mark.parametrize("form", ["json", "text"])
def test_neither_secret_nor_text_nor_address_reaches_the_log(form: str) -> None:
    command = [sys.executable, "-c", TALKATIVE.format(form=form)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert ended.stdout.split() == ["InDoubt", "Misconfigured", "NotSent", "Receipt"], ended.stderr
    assert "adapter_failed" in ended.stderr
    assert "int(message.text)" in ended.stderr
    for private in ("se-cret", "se cret", "70000001234", "hello"):
        assert private not in ended.stderr
    if form == "json":
        assert all(json.loads(line) for line in ended.stderr.splitlines())
