"""New keys for what is sealed: everything opens at any moment, what breaks off is finished, no key goes that is needed."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.apps import apps

from clarion.flows import accounts
from clarion.flows import secrets as flow
from clarion.flows.destination_settings import Chosen
from clarion.lib.key_files import KeyFile
from clarion.lib.secrets import read_keys
from clarion.models import GatewayAccount, Subscription, Tenant
from clarion.models.sealed import Sealed
from tests.conftest import Clock
from tests.subscribers import URL, make_subscription

pytestmark = pytest.mark.django_db

SETTINGS = {"base_url": "https://sender.example.com", "token": "canary-token-7f3a"}


@pytest.fixture
def path(settings: Any, tmp_path: Path) -> Path:
    """A key file of the test's own."""
    settings.SECRET_KEYS = KeyFile(tmp_path / "secret.keys")
    return tmp_path / "secret.keys"


@pytest.fixture
def sealed(path: Path, tenant: Tenant, clock: Clock) -> list[GatewayAccount]:
    """Accounts sealed with the file's key, those that the tenant came with, too; returns those of a token."""
    for account in GatewayAccount.objects.all():
        account.seal({})
        account.save()
    return [
        accounts.add(tenant, name=f"account {n}", gateway="probe", settings=SETTINGS, now=clock())
        for n in range(5)
    ]


def all_open(sealed: list[GatewayAccount], keys: list[bytes]) -> bool:
    return all(GatewayAccount.objects.get(pk=each.pk).opens_with(keys) for each in sealed)


def test_after_a_rotation_the_new_key_alone_opens_everything(
    path: Path, sealed: list[GatewayAccount], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "BATCH", 2)

    outcome = flow.rotate(path)

    new, _ = read_keys(path)
    assert outcome == (True, GatewayAccount.objects.count(), 0)
    assert all_open(sealed, [new])
    assert GatewayAccount.objects.get(pk=sealed[0].pk).settings == SETTINGS


def test_what_subscriptions_are_set_up_with_is_sealed_anew_as_well(
    path: Path, tenant: Tenant, clock: Clock
) -> None:
    GatewayAccount.objects.all().delete()
    chosen = [Chosen("webhook", "webhook", {"url": URL, "timeout": n + 1}) for n in range(3)]
    made = [make_subscription(tenant, clock(), ref=f"s{n}", destination=chosen[n]) for n in range(3)]

    staged = flow.rotate(path, key_only=True)
    with pytest.raises(flow.StillNeeded, match="3 sealed settings"):
        flow.drop_old(path, now=clock() + timedelta(hours=1))
    done = flow.rotate(path)
    flow.drop_old(path, now=clock() + timedelta(hours=1))

    assert (staged, done) == ((True, 0, 0), (False, 3, 0))
    assert [Subscription.objects.get(pk=each.pk).settings["timeout"] for each in made] == [1, 2, 3]


def test_settings_that_were_copied_to_another_row_do_not_open_there(
    path: Path, sealed: list[GatewayAccount], tenant: Tenant, clock: Clock
) -> None:
    victim, subscription = sealed[0], make_subscription(tenant, clock())
    assert subscription.opens_with(read_keys(path))

    for other in (sealed[1], subscription):
        other.sealed_settings = victim.sealed_settings
        assert not other.opens_with(read_keys(path))
    # Of another kind it is somebody else, too, whatever its number.
    subscription.uid = victim.uid
    assert not subscription.opens_with(read_keys(path))


def test_a_rotation_that_broke_off_is_finished_without_another_key(
    path: Path, sealed: list[GatewayAccount], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "BATCH", 1)
    honest, left = flow._resealing, iter(range(2))

    def breaking(*given: Any) -> Any:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return honest(*given)

    monkeypatch.setattr(flow, "_resealing", breaking)
    with pytest.raises(KeyboardInterrupt):
        flow.rotate(path)
    assert all_open(sealed, read_keys(path))
    monkeypatch.setattr(flow, "_resealing", honest)

    outcome = flow.rotate(path)

    assert outcome == (False, GatewayAccount.objects.count() - 2, 0)
    assert all_open(sealed, read_keys(path)[:1])
    assert len(read_keys(path)) == 2


def test_the_key_can_come_first_and_the_sealing_later(path: Path, sealed: list[GatewayAccount]) -> None:
    staged = flow.rotate(path, key_only=True)
    again = flow.rotate(path, key_only=True)
    done = flow.rotate(path)

    count = GatewayAccount.objects.count()
    assert (staged, again, done) == ((True, 0, 0), (False, 0, 0), (False, count, 0))
    assert len(read_keys(path)) == 2


def test_rotated_twice_everything_opens_with_the_last_key(path: Path, sealed: list[GatewayAccount]) -> None:
    flow.rotate(path)
    flow.rotate(path)

    assert len(read_keys(path)) == 3
    assert all_open(sealed, read_keys(path)[:1])


def test_old_keys_stay_while_a_row_needs_one(path: Path, sealed: list[GatewayAccount], clock: Clock) -> None:
    flow.rotate(path, key_only=True)
    before = path.read_bytes()

    with pytest.raises(flow.StillNeeded, match=f"{GatewayAccount.objects.count()} sealed settings"):
        flow.drop_old(path, now=clock() + timedelta(hours=1))

    assert path.read_bytes() == before


def test_old_keys_stay_while_somebody_may_still_store_what_they_sealed(
    path: Path, sealed: list[GatewayAccount], clock: Clock
) -> None:
    flow.rotate(path)

    with pytest.raises(flow.TooSoon):
        flow.drop_old(path, now=clock() + timedelta(seconds=30))

    assert len(read_keys(path)) == 2


def test_old_keys_that_open_nothing_are_taken_away(
    path: Path, sealed: list[GatewayAccount], clock: Clock
) -> None:
    flow.rotate(path)
    flow.rotate(path)
    later = clock() + timedelta(minutes=2)

    assert [flow.drop_old(path, now=later), flow.drop_old(path, now=later)] == [2, 0]
    assert all_open(sealed, read_keys(path))
    assert len(read_keys(path)) == 1


def test_what_no_key_opens_is_counted_and_left_as_it_is(path: Path, sealed: list[GatewayAccount]) -> None:
    foreign = Fernet(Fernet.generate_key()).encrypt(b"{}").decode()
    GatewayAccount.objects.filter(pk=sealed[0].pk).update(sealed_settings=foreign)

    outcome = flow.rotate(path)

    assert outcome == (True, GatewayAccount.objects.count() - 1, 1)
    assert GatewayAccount.objects.get(pk=sealed[0].pk).sealed_settings == foreign


def test_settings_that_were_changed_meanwhile_are_not_set_back(
    path: Path, sealed: list[GatewayAccount]
) -> None:
    account = sealed[0]
    batch = [(account.pk, account.sealed_settings)]
    flow.rotate(path, key_only=True)
    accounts.change(account, settings={**SETTINGS, "token": "newer"})

    moved, lost = flow._resealing(GatewayAccount, batch)()

    assert (moved, lost) == (0, 0)
    assert GatewayAccount.objects.get(pk=account.pk).settings["token"] == "newer"


def test_every_model_that_seals_is_among_those_that_are_sealed_anew() -> None:
    models = apps.get_app_config("clarion").get_models()
    sealing = {each for each in models if any(field.name == "sealed_settings" for field in each._meta.fields)}

    assert set(flow.SEALED) == sealing
    assert all(issubclass(each, Sealed) for each in sealing)


def test_no_log_line_holds_a_key_or_a_token(
    path: Path, sealed: list[GatewayAccount], capfd: pytest.CaptureFixture[str]
) -> None:
    flow.rotate(path)

    said = "".join(capfd.readouterr())
    assert "canary" not in said
    assert not [key for key in read_keys(path) if key.decode() in said]
