"""From a credential to a caller: who is let in, as whom, and who is not."""

import pytest

from clarion.flows import callers
from clarion.flows.callers import BadScope, Caller, NotIdentified, WrongTenant
from clarion.models import ApiKey, Tenant
from tests.conftest import Clock

pytestmark = pytest.mark.django_db


@pytest.fixture
def key(tenant: Tenant, clock: Clock) -> str:
    _, shown = callers.create_key(
        tenant, name="shop system", scopes=["customers", "mailings"], is_test=False, now=clock()
    )
    return shown


def identify(authorization: str, tenant: str = "", *, dev: bool = False, clock: Clock) -> Caller:
    return callers.identify(authorization, tenant, is_development=dev, now=clock())


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER {}", "Bearer  {} "])
def test_a_key_says_who_asks_and_what_they_may_do(tenant: Tenant, key: str, clock: Clock, form: str) -> None:
    caller = identify(form.format(key), clock=clock)

    assert (caller.tenant, caller.name, caller.is_test) == (tenant, "shop system", False)
    assert caller.may("mailings")
    assert not caller.may("admin")


@pytest.mark.parametrize(
    "authorization",
    [
        *("", "Bearer", "Bearer ", "Bearer ck_live_wrong", "Basic {}", "{}", "Token {}", "Bearer {}x"),
        *("Bearer x{}", "Bearer \udcff", "Bearer ключ", "Bearer \x00", "Bearer {} {}", "Bearer {},"),
    ],
)
def test_what_is_no_valid_key_lets_nobody_in(key: str, clock: Clock, authorization: str) -> None:
    with pytest.raises(NotIdentified) as caught:
        identify(authorization.replace("{}", key), clock=clock)

    assert key not in str(caught.value)


def test_a_revoked_key_lets_nobody_in(key: str, clock: Clock) -> None:
    ApiKey.objects.update(revoked_at=clock())

    with pytest.raises(NotIdentified):
        identify(f"Bearer {key}", clock=clock)


def test_the_tenants_header_must_agree_with_the_key(
    tenant: Tenant, other_tenant: Tenant, key: str, clock: Clock
) -> None:
    assert identify(f"Bearer {key}", "shop", clock=clock).tenant == tenant
    for other in ("rival", "Shop", "shop ", "nobody"):
        with pytest.raises(WrongTenant):
            identify(f"Bearer {key}", other, clock=clock)


def test_in_development_nobody_needs_a_key(db: None, clock: Clock) -> None:
    caller = identify("", dev=True, clock=clock)

    assert (caller.tenant.name, caller.is_test) == ("default", False)
    assert caller.scopes == set(callers.SCOPES)


def test_in_development_the_header_names_the_tenant_which_is_made_once(db: None, clock: Clock) -> None:
    first, second = (identify("", "new-shop", dev=True, clock=clock).tenant for _ in range(2))

    assert first == second
    assert Tenant.objects.filter(name="new-shop").count() == 1
    assert first.gatewayaccount_set.count() == 2


@pytest.mark.parametrize("name", ["no spaces", "-dash", "x" * 65, "ümlaut", "a/b", "..", "a\n"])
def test_in_development_a_header_that_is_no_name_makes_no_tenant(db: None, clock: Clock, name: str) -> None:
    with pytest.raises(WrongTenant):
        identify("", name, dev=True, clock=clock)

    assert not Tenant.objects.exists()


def test_in_development_a_key_that_is_sent_still_has_to_be_good(
    tenant: Tenant, key: str, clock: Clock
) -> None:
    assert identify(f"Bearer {key}", dev=True, clock=clock).scopes == {"customers", "mailings"}
    with pytest.raises(NotIdentified):
        identify("Bearer wrong", dev=True, clock=clock)


@pytest.mark.parametrize(("is_test", "prefix"), [(False, "ck_live_"), (True, "ck_test_")])
def test_a_key_is_shown_once_and_kept_as_its_hash(
    tenant: Tenant, clock: Clock, is_test: bool, prefix: str
) -> None:
    row, key = callers.create_key(
        tenant, name="x", scopes=["mailings", "mailings"], is_test=is_test, now=clock()
    )

    stored = " ".join(map(str, ApiKey.objects.values_list().get()))
    assert key.startswith(prefix)
    assert key not in stored
    assert key.removeprefix(prefix)[:-4] not in stored
    assert row.hint == f"{prefix}…{key[-4:]}"
    assert row.scopes == ["mailings"]
    assert identify(f"Bearer {key}", clock=clock).is_test is is_test


def test_unknown_scopes_are_all_named_and_no_key_is_made(tenant: Tenant, clock: Clock) -> None:
    with pytest.raises(BadScope, match="no scope cats, dogs"):
        callers.create_key(tenant, name="x", scopes=["dogs", "mailings", "cats"], is_test=False, now=clock())

    assert not ApiKey.objects.exists()
