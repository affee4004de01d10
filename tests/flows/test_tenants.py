"""A tenant begins with a way out that reaches nobody, and there is one of each name."""

import pytest

from clarion.flows import tenants
from clarion.flows.tenants import BadTenantName, TenantExists
from clarion.models import GatewayAccount, Tenant
from tests.conftest import Clock

pytestmark = pytest.mark.django_db


def test_a_fresh_tenant_has_a_way_out_and_one_for_its_test_keys(clock: Clock) -> None:
    tenant = tenants.create("shop", timezone="Europe/Berlin", now=clock())

    found = GatewayAccount.objects.of(tenant).order_by("pk").values_list("name", "gateway", "is_test")
    assert list(found) == [("log", "log", False), ("test", "log", True)]
    assert (tenant.timezone, tenant.created_at) == ("Europe/Berlin", clock())


def test_a_name_is_given_once(tenant: Tenant, clock: Clock) -> None:
    with pytest.raises(TenantExists):
        tenants.create("shop", now=clock())

    assert tenants.find_or_create("shop", now=clock()) == tenant
    assert (Tenant.objects.count(), GatewayAccount.objects.count()) == (1, 2)


@pytest.mark.parametrize("name", ["Shop", "shop.de", "7-shop_2", "x" * 64])
def test_a_name_may_be(clock: Clock, name: str) -> None:
    assert tenants.create(name, now=clock()).name == name


@pytest.mark.parametrize("name", ["", " ", "a b", "-x", ".x", "x" * 65, "é", "a\n", "a/b", "a%"])
def test_a_name_may_not_be(clock: Clock, name: str) -> None:
    with pytest.raises(BadTenantName):
        tenants.create(name, now=clock())

    assert not Tenant.objects.exists()


def test_names_that_differ_in_case_are_two_tenants(tenant: Tenant, clock: Clock) -> None:
    assert tenants.find_or_create("SHOP", now=clock()) != tenant
