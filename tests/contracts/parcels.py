"""What tests of destinations share: samples, parcels, and one send whose outcome is looked at."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clarion import destinations
from clarion.destinations import Destination, Parcel
from clarion.lib.http import HttpClient
from clarion.lib.sending import Receipt, SendError
from tests.contracts.test_gateways import Rerouted

SAMPLES = Path(__file__).parent.parent / "samples" / "destinations"
BODY = '{"type":"ORDER","text":"nobody\'s business: Привет"}'
# Seconds for an answer that comes; one that does not is waited for less.
PATIENCE = 10.0
AT = datetime(2026, 3, 4, 5, 6, 7, 890_000, tzinfo=UTC)


def sample_of(kind: str) -> dict[str, Any]:
    path = SAMPLES / f"{kind}.json"
    assert path.exists(), (
        f"destination {kind!r} has no sample: write {path.relative_to(SAMPLES.parent.parent)}"
    )
    sample: dict[str, Any] = json.loads(path.read_bytes())
    return sample


def parcel(number: int = 1, **members: Any) -> Parcel:
    """Return a parcel; `members` are those that matter."""
    attributes = {"event_id": f"e-{number}", "entity": "ORDER", "operation": "CREATE", "tenant": "default"}
    return Parcel(
        **{"id": f"dlv_{number}", "body": BODY, "attributes": attributes, "group": "ORDER 7", "at": AT}
        | members
    )


def made(kind: str, http: HttpClient, **settings: Any) -> Destination:
    """Return the destination of the sample, with these settings changed."""
    found = destinations.find(kind)
    return found(found.Config.model_validate({**sample_of(kind)["config"], **settings}), http)


def rerouted(kind: str, port: int, *, patience: float = PATIENCE) -> Rerouted:
    """Return a client that takes what is meant for the sample's origin to a port on loopback."""
    http = Rerouted(sample_of(kind)["http"]["origin"], port)
    http.patience = patience
    return http


async def outcome_of(destination: Destination, what: Parcel | None = None) -> Receipt | SendError:
    """Send; whatever is raised and is no SendError fails the test."""
    try:
        return await destination.send(what or parcel())
    except SendError as error:
        return error


async def outcomes_of(
    destination: Destination, parcels: Sequence[Parcel]
) -> list[Receipt | SendError] | SendError:
    """Send a batch; whatever is raised and is no SendError fails the test."""
    try:
        return await destination.send_batch(parcels)
    except SendError as error:
        return error
