"""What every test may ask for: a tenant, callers, a sender on loopback, and time that the test moves."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.test import Client

from clarion.flows import accounts, callers, outdated_deliveries, readers, reading, rounds, tenants
from clarion.lib import logs
from clarion.models import GatewayAccount, Tenant
from clarion.sandbox import RunningSender, running_sender
from tests.hub import Hub, Shop, running_hub

logs.set_up(level="warning", form="text")
# Each client of Django's makes the middleware anew; it need not read every static file each time.
settings.WHITENOISE_AUTOREFRESH = True


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever asks for the database runs on every database; whatever asks for the hub runs where it runs."""
    for item in items:
        names = getattr(item, "fixturenames", ())
        if "hub" in names:
            item.add_marker(pytest.mark.xdist_group("hub"))
        if item.get_closest_marker("django_db") or {"db", "transactional_db", "hub"} & set(names):
            item.add_marker(pytest.mark.database)


class Clock:
    """Time as a test wants it. Called, it says what it is."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **amount: float) -> None:
        self.now += timedelta(**amount)


@pytest.fixture(autouse=True)
def nothing_rests() -> None:
    """Each test begins anew, also where its rows have the ids of another's."""
    rounds._resting.clear()
    reading._served.clear()
    reading._paces.clear()
    readers._idle.clear()
    outdated_deliveries._looked_at.clear()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tenant(db: None, clock: Clock) -> Tenant:
    return tenants.create("shop", now=clock())


@pytest.fixture
def other_tenant(db: None, clock: Clock) -> Tenant:
    return tenants.create("rival", now=clock())


def client_of(tenant: Tenant, *, is_test: bool = False, scopes: list[str] | None = None) -> Client:
    """Return an HTTP client that holds a key of this tenant."""
    _, key = callers.create_key(
        tenant,
        name="tests",
        scopes=list(callers.SCOPES) if scopes is None else scopes,
        is_test=is_test,
        now=datetime.now(UTC),
    )
    return Client(headers={"Authorization": f"Bearer {key}"})


@pytest.fixture
def api(tenant: Tenant) -> Client:
    return client_of(tenant)


@pytest.fixture
def sender() -> Iterator[RunningSender]:
    with running_sender() as running:
        yield running


@pytest.fixture
def probe(tenant: Tenant, sender: RunningSender, clock: Clock) -> GatewayAccount:
    """The tenant sends through the stand-in sender."""
    return accounts.add(
        tenant,
        name="outside sender",
        gateway="probe",
        settings={"base_url": sender.base_url, "token": "not-a-secret"},
        now=clock(),
    )


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """Real processes: `clarion run --dev`. Shared; a test takes a tenant of its own with `hub.shop()`."""
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture
def shop(hub: Hub) -> Shop:
    return hub.shop()


@pytest.fixture
def development(settings: object) -> None:
    """Development mode, as `make run` has it."""
    changed = _settings().model_copy(update={"dev": True})
    settings.CLARION = changed  # type: ignore[attr-defined]


def _settings():  # type: ignore[no-untyped-def]
    return settings.CLARION
