"""A tenant's ways to its providers: which one is used, what a change of one does, and what is refused."""

from typing import Any

import pytest

from clarion.flows import accounts
from clarion.flows.accounts import AccountExists, BadAccount
from clarion.models import GatewayAccount, Lane, Tenant
from clarion.outbox.cycle import Outbox
from clarion.sandbox import RunningSender, running_sender
from tests.conftest import Clock
from tests.factories import make_mailing, statuses
from tests.outbox.rounds import due_messages, settle, until_landed

pytestmark = pytest.mark.django_db

SECRET = "s3cr3t-token"


def settings_of(sender: RunningSender, token: str = SECRET) -> dict[str, Any]:
    return {"base_url": sender.base_url, "token": token}


def test_the_account_made_last_is_used_where_none_is_named(
    tenant: Tenant, probe: GatewayAccount, clock: Clock
) -> None:
    first = make_mailing(tenant, now=clock())
    accounts.add(tenant, name="newer", gateway="log", settings={}, now=clock())

    assert first.account == probe
    assert make_mailing(tenant, now=clock()).account.name == "newer"
    assert make_mailing(tenant, now=clock(), account="outside sender").account == probe
    assert make_mailing(tenant, now=clock(), is_test=True).account.name == "test"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"gateway": "pigeon"}, "'pigeon'; known: log, probe"),
        ({"settings": {"token": SECRET}}, "base_url: "),
        ({"settings": {"base_url": f"ftp://{SECRET}.example.com", "token": SECRET}}, "base_url: "),
        ({"settings": {"base_url": "https://example.com", "token": f"{SECRET}\n"}}, "token: "),
        ({"settings": {"base_url": "https://example.com", "token": SECRET, "colour": SECRET}}, "colour: "),
        ({"doubt": "perhaps"}, "resend or hold"),
    ],
)
def test_an_account_that_cannot_work_is_refused_without_repeating_its_secrets(
    tenant: Tenant, clock: Clock, wrong: dict[str, Any], words: str
) -> None:
    before = GatewayAccount.objects.count(), Lane.objects.count()
    fine: dict[str, Any] = {"gateway": "probe", "settings": {}}

    with pytest.raises(BadAccount) as caught:
        accounts.add(tenant, name="x", now=clock(), **{**fine, **wrong})

    assert words in str(caught.value)
    assert SECRET not in str(caught.value)
    assert (GatewayAccount.objects.count(), Lane.objects.count()) == before


def test_a_name_is_used_once_by_a_tenant_and_leaves_no_lane_behind(
    tenant: Tenant, other_tenant: Tenant, clock: Clock
) -> None:
    accounts.add(tenant, name="x", gateway="log", settings={}, now=clock())
    accounts.add(other_tenant, name="x", gateway="log", settings={}, now=clock())
    lanes = Lane.objects.count()

    with pytest.raises(AccountExists):
        accounts.add(tenant, name="x", gateway="log", settings={}, now=clock())

    assert Lane.objects.count() == lanes


def test_settings_are_encrypted_and_open_in_their_own_row_only(
    tenant: Tenant, probe: GatewayAccount, clock: Clock
) -> None:
    stored = str(GatewayAccount.objects.filter(pk=probe.pk).values().get())
    other = accounts.add(tenant, name="other", gateway="log", settings={}, now=clock())
    other.sealed_settings = probe.sealed_settings

    assert "not-a-secret" not in stored
    assert GatewayAccount.objects.get(pk=probe.pk).settings["token"] == "not-a-secret"
    with pytest.raises(Exception, match="another owner"):
        _ = other.settings


def test_a_change_that_cannot_work_changes_nothing(tenant: Tenant, probe: GatewayAccount) -> None:
    Lane.objects.filter(pk=probe.lane_id).update(closed_because="HTTP 401")
    before = GatewayAccount.objects.filter(pk=probe.pk).values().get()

    for settings, doubt in (({"token": SECRET}, None), (None, "perhaps")):
        with pytest.raises(BadAccount):
            accounts.change(probe, settings=settings, doubt=doubt)

    assert GatewayAccount.objects.filter(pk=probe.pk).values().get() == before
    assert Lane.objects.get(pk=probe.lane_id).closed_because == "HTTP 401"


def test_of_two_changes_to_one_account_neither_is_lost(
    tenant: Tenant, probe: GatewayAccount, clock: Clock
) -> None:
    first, second = (GatewayAccount.objects.get(pk=probe.pk) for _ in range(2))

    accounts.change(first, settings={"base_url": "https://example.com", "token": SECRET}, doubt=None)
    accounts.change(second, settings=None, doubt="hold")

    kept = GatewayAccount.objects.get(pk=probe.pk)
    assert (kept.settings["token"], kept.doubt) == (SECRET, "hold")


def test_what_waits_for_a_mended_account_leaves_at_once(
    tenant: Tenant, probe: GatewayAccount, clock: Clock, outbox: Outbox
) -> None:
    with running_sender(token=SECRET) as sender:
        accounts.change(probe, settings=settings_of(sender, "wrong-token"), doubt=None)
        mailing = due_messages(tenant, clock, 3)
        settle(outbox, clock)
        closed = Lane.objects.get(pk=probe.lane_id).closed_until

        # In the same second: what the worker has read of the accounts is old now.
        accounts.change(probe, settings=settings_of(sender), doubt="hold")
        settle(outbox, clock)

        assert closed is not None
        assert statuses(mailing) == {"accepted": 3}
        assert Lane.objects.get(pk=probe.lane_id).closed_until is None


def test_an_answer_to_the_old_settings_does_not_close_the_lane_of_the_new(
    tenant: Tenant, probe: GatewayAccount, clock: Clock, outbox: Outbox
) -> None:
    with running_sender(token=SECRET) as sender:
        accounts.change(probe, settings=settings_of(sender, "wrong-token"), doubt=None)
        mailing = due_messages(tenant, clock)
        outbox.cycle(now=clock())
        until_landed(outbox, 1)

        accounts.change(probe, settings=settings_of(sender), doubt=None)
        outbox.cycle(now=clock(), take=False)
        lane = Lane.objects.get(pk=probe.lane_id)
        settle(outbox, clock)

        assert lane.closed_until is None
        assert statuses(mailing) == {"accepted": 1}
