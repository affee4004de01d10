"""The first start makes what is needed and shows it once; every later one makes nothing."""

import pytest
from django.contrib.auth import authenticate, get_user_model

from clarion.flows import callers, first_start
from clarion.models import ApiKey, Tenant
from tests.conftest import Clock

pytestmark = pytest.mark.django_db


@pytest.mark.slow
def test_a_fresh_installation_gets_an_operator_a_tenant_and_a_key(clock: Clock) -> None:
    welcome = first_start.prepare(clock())

    operator = authenticate(username=first_start.OPERATOR, password=welcome.password)
    caller = callers.identify(f"Bearer {welcome.key}", "", is_development=False, now=clock())
    assert operator is not None
    assert operator.is_superuser
    assert caller.tenant == Tenant.objects.get(name="default")
    assert caller.scopes == set(callers.SCOPES) - {"admin"}


def test_the_second_start_makes_and_shows_nothing(clock: Clock) -> None:
    first_start.prepare(clock())

    again = first_start.prepare(clock())

    assert (again.password, again.key) == ("", "")
    assert [model.objects.count() for model in (get_user_model(), Tenant, ApiKey)] == [1, 1, 1]


def test_what_is_there_already_is_left_alone(clock: Clock) -> None:
    get_user_model().objects.create_superuser("ann", password="a password of her own")
    first_start.prepare(clock())
    ApiKey.objects.update(revoked_at=clock())

    welcome = first_start.prepare(clock())

    assert (welcome.password, welcome.key) == ("", "")
    assert get_user_model().objects.count() == 1


@pytest.mark.slow
def test_what_is_shown_once_does_not_show_in_what_is_printed(clock: Clock) -> None:
    welcome = first_start.prepare(clock())

    assert welcome.key not in repr(welcome)
    assert welcome.password not in repr(welcome)
